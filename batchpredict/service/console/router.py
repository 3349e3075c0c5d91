"""The console as a router: which page is where."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter
from starlette.responses import RedirectResponse, Response

from batchpredict.service.access.interface import Access, Paths
from batchpredict.service.console.catalogue import Catalogue
from batchpredict.service.console.entrance import Entrance
from batchpredict.service.console.interface import JobMethods, WatchMethods
from batchpredict.service.console.listing import Listing
from batchpredict.service.console.pages import ASSETS, Page
from batchpredict.service.console.sessions import HOME
from batchpredict.service.console.submission import Submission
from batchpredict.service.console.watches import Watches
from batchpredict.service.console.watching import Watching
from batchpredict.service.store.interface import Missing, Store


def console(
    store: Store, access: Access, paths: Paths, methods: JobMethods, watch_methods: WatchMethods
) -> APIRouter:
    """Pages of the service for a browser, below /console; "/" leads there.

    Args:
      store: read for what pages show.
      access: asked before anything is read, as in the API.
      paths: where a job's errors may be read.
      methods: the API's own methods of jobs, which do whatever changes something; and those of watches.
    """
    router = APIRouter(route_class=Page, include_in_schema=False)
    entrance, listing, catalogue = Entrance(access), Listing(store, access), Catalogue(store, access)
    watching, submission = Watching(store, access, paths, methods), Submission(store, access, methods)
    led = Watches(store, access, watch_methods)

    def get(path: str, endpoint: Callable[..., Response]) -> None:
        _add(router, path, endpoint, ["GET", "HEAD"])

    def post(path: str, endpoint: Callable[..., Response]) -> None:
        _add(router, path, endpoint, ["POST"])

    jobs = f"{HOME}/projects/{{project}}/jobs"
    models = f"{HOME}/projects/{{project}}/models"
    watches = f"{HOME}/projects/{{project}}/watches"
    submit = f"{HOME}/projects/{{project}}/submit"

    get("/", _home)
    get(HOME, listing.projects)
    get(f"{HOME}/sign-in", entrance.ask)
    get(f"{HOME}/static/{{digest}}/{{name}}", _asset)
    get(jobs, listing.jobs)
    get(f"{jobs}/{{job_id}}", watching.job)
    get(f"{jobs}/{{job_id}}/errors", watching.errors)
    get(f"{jobs}/{{job_id}}/trials", watching.trials)
    get(f"{jobs}/{{job_id}}/log", watching.log)
    get(f"{jobs}/{{job_id}}/cancel", watching.ask_to_cancel)
    get(submit, submission.ask)
    get(models, catalogue.models)
    get(f"{models}/{{model}}", catalogue.model)
    get(watches, led.watches)
    get(f"{watches}/{{watch_id}}", led.watch)
    get(f"{watches}/{{watch_id}}/delete", led.ask_to_delete)

    post(f"{HOME}/sign-in", entrance.enter)
    post(f"{HOME}/sign-out", entrance.leave)
    post(f"{jobs}/{{job_id}}/cancel", watching.cancel)
    post(submit, submission.submit)
    post(f"{watches}/{{watch_id}}/pause", led.pause)
    post(f"{watches}/{{watch_id}}/resume", led.resume)
    post(f"{watches}/{{watch_id}}/retry", led.retry)
    post(f"{watches}/{{watch_id}}/delete", led.delete)
    get(f"{HOME}/{{rest:path}}", _nothing)
    return router


def _add(router: APIRouter, path: str, endpoint: Callable[..., Response], methods: list[str]) -> None:
    router.add_api_route(path, endpoint, methods=methods, response_class=Response, response_model=None)


def _home() -> Response:
    return RedirectResponse(HOME, 303)


def _asset(digest: str, name: str) -> Response:
    asset = ASSETS.get(name)
    if asset is None or asset.url != f"{HOME}/static/{digest}/{name}":
        raise Missing("There is no such file.")
    return asset.response()


def _nothing(rest: str) -> Response:
    if not rest:
        return RedirectResponse(HOME, 303)
    raise Missing("There is no such page.")
