"""Pages that list: the projects, and the jobs of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from batchpredict.errors import InvalidName
from batchpredict.job import State
from batchpredict.resources import ProjectName
from batchpredict.service import filters
from batchpredict.service.access.interface import Access
from batchpredict.service.console.pages import is_fragment, page, segment
from batchpredict.service.console.sessions import HOME, visitor
from batchpredict.service.console.views import job_view
from batchpredict.service.rest import paging
from batchpredict.service.rest.bodies import text_fault
from batchpredict.service.store.interface import Store, StoredJob

PAGE = 25

TABS: Mapping[str, tuple[str, tuple[State, ...]]] = {
    "": ("All", ()),
    "queued": ("Queued", (State.QUEUED,)),
    "running": ("Running", (State.PREPARING, State.RUNNING, State.CANCELLING)),
    "succeeded": ("Succeeded", (State.SUCCEEDED,)),
    "failed": ("Failed", (State.FAILED,)),
    "cancelled": ("Cancelled", (State.CANCELLED,)),
}


class Listing:
    """The first page, and the jobs of a project."""

    def __init__(self, store: Store, access: Access) -> None:
        self._store = store
        self._access = access

    def projects(self, request: Request) -> Response:
        """The projects whose jobs the caller may list, and a box for the name of any."""
        seen = visitor(self._access, request)
        asked = request.query_params.get("project", "").strip()
        fault = ""
        if asked:
            try:
                name = ProjectName(asked)
            except InvalidName as error:
                fault = str(error)
            else:
                return RedirectResponse(f"{HOME}/projects/{segment(name.project)}/jobs", 303)
        names = [
            name
            for name in self._store.projects()
            if self._access.may(seen.caller, "ml.jobs.list", str(ProjectName(name)))
        ]
        return page(seen, "projects.html", names=names, asked=asked, fault=fault, status=400 if fault else 200)

    def jobs(self, request: Request, project: str) -> Response:
        """A page of a project's jobs, newest first; for the script, only its rows."""
        seen = visitor(self._access, request)
        name = ProjectName(project)
        self._access.require(seen.caller, "ml.jobs.list", str(name))
        asked = request.query_params.get("filter", "").strip()
        tab = request.query_params.get("state", "")
        tab = tab if tab in TABS else ""
        token = request.query_params.get("pageToken", "")
        fault = ""
        jobs: Sequence[StoredJob] = ()
        token_of_next = ""
        try:
            _refuse_odd_text(asked)
            text = filter_text(asked, TABS[tab][1])
            where = filters.parse(text)
            before = paging.position(token, f"{name}/jobs", text)
            jobs, following = self._store.jobs(project, where=where, size=PAGE, before=before)
            token_of_next = paging.token(following, f"{name}/jobs", text)
        except filters.FilterInvalid as error:
            fault = str(error)
        now = self._store.now()
        query = {"filter": asked, "state": tab}
        return page(
            seen,
            "jobs_rows.html" if is_fragment(request) else "jobs.html",
            status=400 if fault else 200,
            project=project,
            jobs=[job_view(job, now) for job in jobs],
            asked=asked,
            fault=fault,
            tab=tab,
            tabs=[(key, label, query_text({**query, "state": key})) for key, (label, _) in TABS.items()],
            first=not token,
            here=query_text({**query, "pageToken": token}),
            newest=query_text(query),
            older=query_text({**query, "pageToken": token_of_next}) if token_of_next else "",
            may_create=self._access.may(seen.caller, "ml.jobs.create", str(name)),
        )


def filter_text(asked: str, states: Sequence[State]) -> str:
    """The filter of the API that means what was typed, and one of some states; so page tokens are the API's too.

    Raises:
      FilterInvalid: what was typed is no filter by itself.
    """
    if asked:
        # Before it is put in parentheses: places in the message are then those of what was typed.
        filters.parse(asked)
    chosen = " OR ".join(f"state={state.value}" for state in states)
    return " AND ".join(f"({part})" for part in (asked, chosen) if part) if asked and chosen else asked or chosen


def _refuse_odd_text(asked: str) -> None:
    """Text that no database takes. Raises FilterInvalid."""
    fault = text_fault(asked)
    if fault:
        raise filters.FilterInvalid(1, fault)


def query_text(values: Mapping[str, str]) -> str:
    """A query of what is set, with its question mark; "" if nothing is."""
    text = urlencode({key: value for key, value in values.items() if value})
    return f"?{text}" if text else ""
