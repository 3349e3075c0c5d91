"""Pages about watches: those of a project, one with its epochs, and what can be done with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from batchpredict.resources import ProjectName, WatchName
from batchpredict.service.access.interface import Access, Caller
from batchpredict.service.console.interface import WatchMethods
from batchpredict.service.console.listing import PAGE, query_text
from batchpredict.service.console.pages import Fields, is_fragment, page, segment
from batchpredict.service.console.sessions import HOME, Visitor, check_form, visitor
from batchpredict.service.console.views import cut, json_text
from batchpredict.service.console.watch_views import epoch_view, watch_view
from batchpredict.service.console.watching import SHOWN
from batchpredict.service.rest import paging
from batchpredict.service.rest.errors import Problem
from batchpredict.service.store.interface import Missing, Store
from batchpredict.service.store.watching import StoredWatch


class Watches:
    """Watches and epochs, under the same rules as in the API."""

    def __init__(self, store: Store, access: Access, methods: WatchMethods) -> None:
        self._store = store
        self._access = access
        self._methods = methods

    def watches(self, request: Request, project: str) -> Response:
        """A page of a project's watches, newest first; for the script, only its rows."""
        seen = visitor(self._access, request)
        name = ProjectName(project)
        self._access.require(seen.caller, "ml.watches.list", str(name))
        token = request.query_params.get("pageToken", "")
        before = paging.position(token, f"{name}/watches", "")
        found, following = self._store.watches(project, size=PAGE, before=before)
        return page(
            seen,
            "watches_rows.html" if is_fragment(request) else "watches.html",
            project=project,
            watches=[watch_view(watch) for watch in found],
            older=query_text({"pageToken": paging.token(following, f"{name}/watches", "")}),
            first=not token,
        )

    def watch(self, request: Request, project: str, watch_id: str) -> Response:
        """A watch with a page of its epochs; for the script, only what of it changes."""
        seen = visitor(self._access, request)
        watch = self._found(seen.caller, project, watch_id, "ml.watches.get")
        return self._page(request, seen, watch)

    def pause(self, request: Request, project: str, watch_id: str, fields: Fields) -> Response:
        return self._change(request, project, watch_id, fields, self._methods.pause)

    def resume(self, request: Request, project: str, watch_id: str, fields: Fields) -> Response:
        return self._change(request, project, watch_id, fields, self._methods.resume)

    def retry(self, request: Request, project: str, watch_id: str, fields: Fields) -> Response:
        return self._change(request, project, watch_id, fields, self._methods.retry)

    def ask_to_delete(self, request: Request, project: str, watch_id: str) -> Response:
        """The question whether the watch shall be deleted."""
        seen = visitor(self._access, request)
        watch = self._found(seen.caller, project, watch_id, "ml.watches.delete")
        return page(seen, "watch_delete.html", project=project, watch=watch_view(watch))

    def delete(self, request: Request, project: str, watch_id: str, fields: Fields) -> Response:
        seen = visitor(self._access, request)
        check_form(request, fields)
        self._found(seen.caller, project, watch_id, "ml.watches.delete")
        self._methods.delete(project, watch_id)
        return RedirectResponse(f"{HOME}/projects/{segment(project)}/watches", 303)

    def _change(
        self,
        request: Request,
        project: str,
        watch_id: str,
        fields: Fields,
        change: Callable[[str, str], object],
    ) -> Response:
        seen = visitor(self._access, request)
        check_form(request, fields)
        watch = self._found(seen.caller, project, watch_id, "ml.watches.update")
        try:
            change(project, watch_id)
        except Problem as error:
            # What its page showed is not so any more.
            return self._page(request, seen, watch, error)
        return RedirectResponse(f"{HOME}/projects/{segment(project)}/watches/{segment(watch_id)}", 303)

    def _page(self, request: Request, seen: Visitor, watch: StoredWatch, error: Problem | None = None) -> Response:
        name = str(WatchName(watch.project, watch.watch_id))
        token = request.query_params.get("pageToken", "")
        before = paging.position(token, f"{name}/epochs", "")
        epochs, following = self._store.epochs(watch.project, watch.watch_id, size=PAGE, before=before)
        owner = watch.new.creator
        values: dict[str, Any] = {
            "project": watch.project,
            "watch": watch_view(watch),
            "epochs": [epoch_view(epoch) for epoch in epochs],
            "older": query_text({"pageToken": paging.token(following, f"{name}/epochs", "")}),
            "first": not token,
            "fault": error.message.partition(" Error: ")[2] or error.message if error else "",
            "may_update": self._access.may(seen.caller, "ml.watches.update", name, owner=owner),
            "may_delete": self._access.may(seen.caller, "ml.watches.delete", name, owner=owner),
        }
        if is_fragment(request):
            return page(seen, "watch_live.html", **values)
        document = cut(json_text(watch.new.document), SHOWN)
        return page(seen, "watch.html", status=error.code if error else 200, document=document, **values)

    def _found(self, caller: Caller, project: str, watch_id: str, permission: str) -> StoredWatch:
        """A watch with which the caller may do this.

        Raises:
          Missing: there is none.
          Forbidden, Hidden: the caller may not; also where there is none.
        """
        name = str(WatchName(project, watch_id))
        try:
            watch = self._store.watch(project, watch_id)
        except Missing:
            self._access.require(caller, permission, name)
            raise
        self._access.require(caller, permission, name, owner=watch.new.creator)
        return watch
