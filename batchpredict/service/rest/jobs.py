"""The REST methods of jobs."""

from __future__ import annotations

from collections.abc import Mapping
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
    return document


class Jobs:
    """create, list, get, patch, cancel."""

    def __init__(self, store: JobStore, guard: Guard, methods: JobMethods) -> None:
        self._store = store
        self._guard = guard
        self._methods = methods

    def create(self, call: Call) -> Answer:
        if call.query.get("validateOnly"):
            new = self._methods.draft(call.project, call.body, call.caller).new
            tags: Mapping[str, Any] = {"labels": dict(new.labels)} if new.labels else {}
            return Answer({"jobId": new.job_id, **new.document, **tags})
        job = self._methods.create_job(call.project, call.body, call.caller)
        return Answer(resource(job), created=f"projects/{job.project}/jobs/{job.job_id}")

    def list(self, call: Call) -> Answer:
        self._guard.project(call)
        asked = listing(call, "jobs", JOB_FIELDS)
        jobs, following = self._store.jobs(call.project, where=asked.where, size=asked.size, before=asked.position)
        return asked.page([resource(job) for job in jobs], following)

    def get(self, call: Call) -> Answer:
        return Answer(resource(self._guard.job(call)))

    def patch(self, call: Call) -> Answer:
        job = self._guard.job(call)
        body = fields_of(call.body, [*_JOB_FIELDS], "job")
        mask = paths(call.query.get("updateMask", ""), ("labels", "etag"), "job")
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
            return Answer(resource(self._store.patch_job(call.project, call.names["job"], wanted, etag)))
        except Stale:
            text = "The etag is not the job's any more: somebody else has changed it. Get the job and try again."
            raise Problem(409, "ABORTED", f"Field: job.etag Error: {text}") from None

    def cancel(self, call: Call) -> Answer:
        # Kubeflow Pipelines sends a name that the message does not have (cmle-behaviour §8).
        fields_of(call.body, ("name",))
        self._methods.cancel(call.project, call.names["job"], call.caller)
        return Answer({})


_JOB_FIELDS = tuple(sorted({name for name in Job.spellings() if "_" not in name} | {"webhook"}))
