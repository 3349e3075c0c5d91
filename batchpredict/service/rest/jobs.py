"""The REST methods of jobs."""

from __future__ import annotations

from typing import Any

from batchpredict.job import Job, State
from batchpredict.service.filters import JOB_FIELDS
from batchpredict.service.rest import labels
from batchpredict.service.rest.bodies import fields_of
from batchpredict.service.rest.calls import Answer, Call
from batchpredict.service.rest.errors import Problem, wrong
from batchpredict.service.rest.field_masks import paths
from batchpredict.service.rest.guard import Guard
from batchpredict.service.rest.job_methods import JobMethods
from batchpredict.service.rest.listing import listing
from batchpredict.service.store import job_resource
from batchpredict.service.store.interface import JobStore, Stale, StoredJob

PROGRESS = ("done", "total", "workers")
"""What of a job's progress is told: input bytes read and in all, and worker processes."""

_STARTED = frozenset({State.RUNNING, State.SUCCEEDED})


def resource(job: StoredJob) -> dict[str, Any]:
    """The Job resource. A prediction job that runs has a predictionOutput, also before anything was counted."""
    document = job_resource(job)
    asked = document.get("predictionInput")
    if asked is not None and job.standing.state in _STARTED:
        output = document.get("predictionOutput", {})
        path = asked.get("outputPath") or asked.get("output_path", "")
        none = {"outputPath": path, "predictionCount": "0", "errorCount": "0", "nodeHours": 0}
        document["predictionOutput"] = {**none, **output}
    if job.new.webhook:
        document["webhook"] = job.new.webhook
    return document


class Jobs:
    """create, list, get, patch, cancel."""

    def __init__(self, store: JobStore, guard: Guard, methods: JobMethods) -> None:
        self._store = store
        self._guard = guard
        self._methods = methods

    def create(self, call: Call) -> Answer:
        if call.query.get("validateOnly"):
            new = self._methods.validated(call.project, call.body, call.caller)
            unset = {"labels": dict(new.labels), "webhook": new.webhook}
            return Answer({**new.document, **{name: value for name, value in unset.items() if value}})
        job = self._methods.create_job(call.project, call.body, call.caller)
        return Answer(resource(job), created=f"projects/{job.project}/jobs/{job.job_id}")

    def list(self, call: Call) -> Answer:
        self._guard.project(call)
        asked = listing(call, "jobs", JOB_FIELDS)
        jobs, following = self._store.jobs(call.project, where=asked.where, size=asked.size, before=asked.position)
        return asked.page([resource(job) for job in jobs], following)

    def get(self, call: Call) -> Answer:
        job = self._guard.job(call)
        document = resource(job)
        if call.query.get("progress") and job.progress is not None:
            # Additive, and only where it is asked for: clients know no such field.
            known = {name: str(job.progress[name]) for name in PROGRESS if name in job.progress}
            document["progress"] = known
        return Answer(document)

    def patch(self, call: Call) -> Answer:
        job = self._guard.job(call)
        body = fields_of(call.body, [*_JOB_FIELDS], "job")
        mask = paths(call.query.get("updateMask", ""))
        for path in mask:
            if path not in _CHANGEABLE:
                text = f'"{path[:80]}" of a job cannot be changed; only {" and ".join(_CHANGEABLE)} can.'
                raise wrong("update_mask", text)
        etag = body.get("etag")
        if etag is not None and not isinstance(etag, str):
            raise wrong("job.etag", "Expected a string.")
        if "etag" in mask and not etag:
            raise wrong("job.etag", "This field is required, because update_mask names it.")
        changes_labels = "labels" in mask or (not mask and "labels" in body)
        if not changes_labels and not etag:
            raise wrong("update_mask", "Nothing to change: name labels, or labels,etag.")
        wanted = labels.check(body.get("labels"), "job.labels") if changes_labels else dict(job.new.labels)
        try:
            return Answer(resource(self._store.patch_job(call.project, call.names["job"], wanted, etag or None)))
        except Stale:
            text = "The etag is not the job's any more: somebody else has changed it. Get the job and try again."
            raise Problem(409, "ABORTED", f"Field: job.etag Error: {text}") from None

    def cancel(self, call: Call) -> Answer:
        # Kubeflow Pipelines sends a name that the message does not have (cmle-behaviour §8).
        fields_of(call.body, ("name",))
        self._methods.cancel(call.project, call.names["job"], call.caller)
        return Answer({})


_CHANGEABLE = ("labels", "etag")
_JOB_FIELDS = tuple(sorted({name for name in Job.spellings() if "_" not in name} | {"webhook"}))
