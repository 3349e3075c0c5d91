"""The API as an ASGI application."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from fastapi import APIRouter, FastAPI
from starlette.convertors import Convertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Match, Route
from starlette.types import Receive, Scope, Send

from batchpredict.service.access.interface import Access
from batchpredict.service.measures import Measures
from batchpredict.service.rest import logs, rendezvous, routes_beside
from batchpredict.service.rest.calls import Call
from batchpredict.service.rest.catalogue import Models, Operations, Versions
from batchpredict.service.rest.dispatch import Endpoint, Run, endpoint
from batchpredict.service.rest.errors import Problem, no_such_method, problem, wrong_verb
from batchpredict.service.rest.guard import Guard
from batchpredict.service.rest.interface import JobCheck, Registry, WatchCheck
from batchpredict.service.rest.job_methods import JobMethods, WebhookCheck
from batchpredict.service.rest.jobs import Jobs
from batchpredict.service.rest.method import VERSIONS, Method
from batchpredict.service.rest.methods import METHODS
from batchpredict.service.rest.policies import Policies
from batchpredict.service.rest.projects import Projects
from batchpredict.service.rest.watch_methods import WatchMethods
from batchpredict.service.rest.watches import Watches
from batchpredict.service.rest.writing import failure
from batchpredict.service.store.interface import Store

Console = Callable[[JobMethods, WatchMethods], APIRouter]
"""Makes the console's pages, which do with jobs and watches what these methods do."""


@dataclass(frozen=True)
class Backend:
    """What the API is made of.

    Attributes:
      store, access, registry: see their interfaces.
      check: of a job before it is created.
      watch_check: of a watch before it is created.
      webhook: of a job's webhook.
      queue_limit: most queued jobs of a project; None for no limit.
      account: user that job processes run as.
      measures: what this process counts.
      stopping: set when the service is to end: streams end, and it is not ready any more.
    """

    store: Store
    access: Access
    registry: Registry
    check: JobCheck
    watch_check: WatchCheck
    webhook: WebhookCheck
    queue_limit: int | None = None
    account: str = ""
    measures: Measures = field(default_factory=Measures)
    stopping: threading.Event = field(default_factory=threading.Event)


class _Segment(Convertor[str]):
    """An id in a path. The verb of a method follows it after a colon."""

    regex = "[^/:]+"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("id", _Segment())


class Application:
    """The application, as ASGI has it.

    A method of the API is called at once: what FastAPI and Starlette put around an endpoint (a dozen calls of
    middleware for a request, and as many for its answer) took an eighth of the time of a create, for things that
    `dispatch` does itself. Whatever fits no method goes to the whole application, which knows what to say of it.
    """

    def __init__(self, whole: FastAPI, methods: Sequence[tuple[Route, Endpoint]]) -> None:
        self._whole = whole
        self._methods = methods

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            for route, respond in self._methods:
                match, found = route.matches(scope)
                if match is Match.FULL:
                    scope.update(found)
                    request = Request(scope, receive, send)
                    try:
                        response = await respond(request)
                    except Exception as error:
                        response = _unforeseen(request, error)
                    await response(scope, receive, send)
                    return
        await self._whole(scope, receive, send)


def app(backend: Backend, console: Console | None = None) -> Application:
    """The application: the API, what is beside it (health, metrics, descriptions), and the console if given."""
    application = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    methods = JobMethods(backend.store, backend.access, backend.check, backend.webhook, backend.queue_limit)
    watch_methods = WatchMethods(backend.store, backend.access, backend.watch_check, backend.webhook)
    runs = _runs(backend, methods, watch_methods)
    offers: list[tuple[Route, Endpoint]] = []
    for version in VERSIONS:
        for path, offered in _by_path().items():
            table = {method.verb: (method, runs[method.id]) for method in offered}
            respond = endpoint(version, table, backend.access, backend.measures)
            route = Route(f"/{version}/{path}", respond, methods=list(table))
            application.router.routes.append(route)
            offers.append((route, respond))
    application.router.routes += routes_beside.routes(backend.store, backend.measures, backend.stopping)
    application.router.routes += rendezvous.routes(backend.store, backend.measures)
    if console is not None:
        application.include_router(console(methods, watch_methods))
    application.add_exception_handler(HTTPException, _http_error)
    application.add_exception_handler(Exception, _unforeseen)
    return Application(application, offers)


def _by_path() -> dict[str, list[Method]]:
    """Methods by the path that Starlette matches."""
    found = defaultdict(list)
    for method in METHODS:
        found[method.flat.replace("}", ":id}").replace("{project:id}", "{project}")].append(method)
    return dict(found)


def _runs(backend: Backend, methods: JobMethods, watch_methods: WatchMethods) -> dict[str, Run]:
    """What each method does, by its id."""
    guard = Guard(backend.store, backend.access)
    jobs = Jobs(backend.store, guard, methods)
    models, versions = Models(backend.registry, guard), Versions(backend.registry, guard)
    watches = Watches(backend.store, guard, watch_methods)
    operations, policies = Operations(backend.registry, guard), Policies(backend.access, guard)

    def log(call: Call) -> Response:
        guard.job(call)
        lines = logs.stream(
            backend.store,
            call.project,
            call.names["job"],
            after=call.query.get("after", 0),
            follow=call.query.get("follow", False),
            stopping=backend.stopping.is_set,
        )
        return StreamingResponse(lines, media_type=logs.MEDIA_TYPE, headers={"Cache-Control": "no-store"})

    runs: dict[str, Run] = {
        "projects.jobs.create": jobs.create,
        "projects.jobs.list": jobs.list,
        "projects.jobs.get": jobs.get,
        "projects.jobs.patch": jobs.patch,
        "projects.jobs.cancel": jobs.cancel,
        "projects.jobs.logs": log,
        "projects.models.create": models.create,
        "projects.models.list": models.list,
        "projects.models.get": models.get,
        "projects.models.patch": models.patch,
        "projects.models.delete": models.delete,
        "projects.models.versions.create": versions.create,
        "projects.models.versions.list": versions.list,
        "projects.models.versions.get": versions.get,
        "projects.models.versions.patch": versions.patch,
        "projects.models.versions.delete": versions.delete,
        "projects.models.versions.setDefault": versions.set_default,
        "projects.watches.create": watches.create,
        "projects.watches.list": watches.list,
        "projects.watches.get": watches.get,
        "projects.watches.delete": watches.delete,
        "projects.watches.pause": watches.pause,
        "projects.watches.resume": watches.resume,
        "projects.watches.retry": watches.retry,
        "projects.watches.epochs": watches.epochs,
        "projects.getConfig": Projects(guard, backend.account).config,
        "projects.operations.list": operations.list,
    }
    for resource in ("projects", "projects.locations"):
        runs[f"{resource}.operations.get"] = operations.get
        runs[f"{resource}.operations.cancel"] = operations.cancel
    for resource in ("projects", "projects.jobs", "projects.models"):
        runs[f"{resource}.getIamPolicy"] = policies.get
        runs[f"{resource}.setIamPolicy"] = policies.set
        runs[f"{resource}.testIamPermissions"] = policies.test
    return runs


def _http_error(request: Request, error: Exception) -> Response:
    """What Starlette says of a path or a verb that is not served, in the shape of the API."""
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return failure(no_such_method(request.url.path))
    if error.status_code == 405:
        allowed = ", ".join(sorted((error.headers or {}).get("Allow", "").split(", ")))
        return failure(wrong_verb(request.method, allowed))
    status = "INVALID_ARGUMENT" if error.status_code < 500 else "INTERNAL"
    return failure(Problem(error.status_code, status, str(error.detail)))


def _unforeseen(request: Request, error: Exception) -> Response:
    return failure(problem(error, request.url.path))
