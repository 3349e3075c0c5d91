"""Pages about one job: what it is doing, its errors, its log, and its end."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from batchpredict.resources import JobName, WatchName
from batchpredict.service.access.interface import Access, Caller, Paths
from batchpredict.service.console.charts import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, beyond, charts
from batchpredict.service.console.failures import Failures, Position, Unreadable
from batchpredict.service.console.interface import JobMethods
from batchpredict.service.console.logs import log_page
from batchpredict.service.console.pages import Fields, is_fragment, page, segment
from batchpredict.service.console.reads import BoundedReads, TooSlow
from batchpredict.service.console.sessions import HOME, check_form, visitor
from batchpredict.service.console.training_views import TrainingView, training_view
from batchpredict.service.console.views import cut, job_view, json_text, timeline
from batchpredict.service.console.watch_views import watch_of
from batchpredict.service.rest.errors import Problem
from batchpredict.service.store.interface import Missing, Store, StoredJob

_LOG_TAIL = 200

SHOWN = 64 * 1024
"""Characters of a job's input that its page shows: a job may name ten thousand files."""

_STEPS = 200

# No name of a task is as long.
_LONGEST_TASK = 200


class Watching:
    """One job. Every page asks whether the caller may see it before anything of it is read."""

    def __init__(self, store: Store, access: Access, paths: Paths, methods: JobMethods) -> None:
        self._store = store
        self._access = access
        self._paths = paths
        self._methods = methods
        self._reads = BoundedReads()

    def job(self, request: Request, project: str, job_id: str) -> Response:
        """The job; for the script, only what of it changes."""
        seen = visitor(self._access, request)
        job = visible_job(self._store, self._access, seen.caller, project, job_id)
        name = str(JobName(project, job_id))
        now = self._store.now()
        view = job_view(job, now)
        history = self._store.history(project, job_id)
        summary: list[tuple[str, int]] = []
        unreadable = ""
        if view.over and view.errors:
            try:
                summary = self._reads(Failures(job, self._paths).summary)
            except (Unreadable, TooSlow) as error:
                unreadable = str(error)
        values: dict[str, Any] = {
            "project": project,
            "job": view,
            "training": training_view(job),
            "now": now,
            "timeline": timeline(history, now)[-_STEPS:],
            "summary": summary,
            "unreadable": unreadable,
            "watch": self._watch_of(seen.caller, job),
            "may_cancel": self._access.may(seen.caller, "ml.jobs.cancel", name, owner=job.new.creator),
            "may_create": self._access.may(seen.caller, "ml.jobs.create", f"projects/{project}"),
        }
        if is_fragment(request):
            return page(seen, "job_live.html", **values)
        lines = self._store.log(project, job_id, limit=_LOG_TAIL, latest=True)
        values |= _of_trials(values["training"])
        return page(seen, "job.html", document=cut(json_text(job.new.document), SHOWN), lines=lines, **values)

    def _watch_of(self, caller: Caller, job: StoredJob) -> str:
        """The id of the job's watch, if it is there still and the caller may see it; "" otherwise."""
        watch_id = watch_of(job)
        if not watch_id:
            return ""
        try:
            watch = self._store.watch(job.project, watch_id)
        except Missing:
            return ""
        name = str(WatchName(job.project, watch_id))
        return watch_id if self._access.may(caller, "ml.watches.get", name, owner=watch.new.creator) else ""

    def trials(self, request: Request, project: str, job_id: str) -> Response:
        """The trials of a search, a part of the job's page; whoever comes here without its script is led there."""
        seen = visitor(self._access, request)
        job = visible_job(self._store, self._access, seen.caller, project, job_id)
        training = training_view(job)
        if training is None or not training.search:
            raise Missing("This job has no trials.")
        if not is_fragment(request):
            return RedirectResponse(f"{_address(project, job_id)}#trials-heading", 303)
        view = job_view(job, self._store.now())
        known = str(training.left_out + len(training.trials))
        if request.query_params.get("known") == known and not view.over:
            # A trial is listed when it has ended, and does not change after that.
            return Response(status_code=204)
        values = {"project": project, "job": view, "training": training, **_of_trials(training)}
        return page(seen, "job_trials.html", **values)

    def log(self, request: Request, project: str, job_id: str) -> Response:
        """The log from a line on, of one task if `task` is asked for; for the script, only its lines."""
        seen = visitor(self._access, request)
        job = visible_job(self._store, self._access, seen.caller, project, job_id)
        text = request.query_params.get("after", "0")
        after = int(text) if text.isdecimal() and text.isascii() and len(text) < 18 else 0
        task = request.query_params.get("task", "").strip()[:_LONGEST_TASK]
        found = log_page(self._store, project, job_id, after, task)
        values: dict[str, Any] = {
            "project": project,
            "job": job_view(job, self._store.now()),
            "training": training_view(job),
            "lines": found.lines,
            "task": task,
            "after": after,
            "looked": found.looked,
            "following": found.more,
        }
        return page(seen, "log_lines.html" if is_fragment(request) else "log.html", **values)

    def errors(self, request: Request, project: str, job_id: str) -> Response:
        """A page of the job's named errors."""
        seen = visitor(self._access, request)
        job = visible_job(self._store, self._access, seen.caller, project, job_id)
        token = request.query_params.get("pageToken", "")
        begin = Position.of(token) if token else Position()
        values: dict[str, Any] = {"project": project, "job": job_view(job, self._store.now()), "first": not token}
        try:
            failures = Failures(job, self._paths)
            found = self._reads(lambda: failures.page(begin))
            summary = self._reads(failures.summary) if not token else []
        except (Unreadable, TooSlow) as error:
            return page(seen, "errors.html", found=None, summary=[], unreadable=str(error), **values)
        return page(seen, "errors.html", found=found, summary=summary, unreadable="", **values)

    def ask_to_cancel(self, request: Request, project: str, job_id: str) -> Response:
        """The question whether the job shall be cancelled."""
        seen = visitor(self._access, request)
        job = visible_job(self._store, self._access, seen.caller, project, job_id)
        name = str(JobName(project, job_id))
        self._access.require(seen.caller, "ml.jobs.cancel", name, owner=job.new.creator)
        return page(seen, "cancel.html", project=project, job=job_view(job, self._store.now()), fault="")

    def cancel(self, request: Request, project: str, job_id: str, fields: Fields) -> Response:
        seen = visitor(self._access, request)
        check_form(request, fields)
        job = visible_job(self._store, self._access, seen.caller, project, job_id)
        try:
            self._methods.cancel(project, job_id, seen.caller)
        except Problem as error:
            # It has ended meanwhile.
            job = self._store.job(project, job_id)
            fault = error.message.partition(" Error: ")[2] or error.message
            view = job_view(job, self._store.now())
            return page(seen, "cancel.html", status=error.code, project=project, job=view, fault=fault)
        return RedirectResponse(_address(project, job_id), 303)


def visible_job(
    store: Store, access: Access, caller: Caller, project: str, job_id: str, permission: str = "ml.jobs.get"
) -> StoredJob:
    """A job that the caller may see.

    Raises:
      Missing: there is none.
      Forbidden, Hidden: the caller may not; also where there is none.
    """
    name = str(JobName(project, job_id))
    try:
        job = store.job(project, job_id)
    except Missing:
        access.require(caller, permission, name)
        raise
    access.require(caller, permission, name, owner=job.new.creator)
    return job


def _address(project: str, job_id: str) -> str:
    return f"{HOME}/projects/{segment(project)}/jobs/{segment(job_id)}"


def _of_trials(training: TrainingView | None) -> dict[str, Any]:
    """What the part of the page about trials takes."""
    if training is None or not training.search:
        return {}
    size = {"width": WIDTH, "height": HEIGHT, "left": LEFT, "right": RIGHT, "top": TOP, "bottom": BOTTOM}
    return {"charts": charts(training), "beyond": beyond(training), **size}
