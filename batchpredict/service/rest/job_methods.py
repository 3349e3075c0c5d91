"""What can be done with jobs, permissions and checks included: behind the REST methods and the console's forms."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from batchpredict.errors import InvalidJob, Violation
from batchpredict.job import Job
from batchpredict.resources import ID_RULE
from batchpredict.service.access.interface import Access, Caller
from batchpredict.service.queue.lifecycle import Cancel, Finished
from batchpredict.service.rest import labels
from batchpredict.service.rest.bodies import camel
from batchpredict.service.rest.errors import Problem, invalid, quota_failure, wrong
from batchpredict.service.rest.interface import JobCheck
from batchpredict.service.store.interface import Exists, JobStore, Missing, NewJob, QueueFull, StoredJob

WebhookCheck = Callable[[str], str]
"""The URL of a webhook as it is to be called; raises InvalidJob with the field "job.webhook"."""

_INPUTS = ("trainingInput", "predictionInput")


class JobMethods:
    """Create and cancel. Used from many threads."""

    def __init__(
        self,
        store: JobStore,
        access: Access,
        check: JobCheck,
        webhook: WebhookCheck,
        queue_limit: int | None = None,
    ) -> None:
        self._store = store
        self._access = access
        self._check = check
        self._webhook = webhook
        self._queue_limit = queue_limit

    def draft(self, project: str, document: Mapping[str, Any], caller: Caller) -> NewJob:
        """The job of a create request, with everything checked but whether its id is free.

        Raises:
          Forbidden, Hidden: the caller may not create jobs in this project.
          InvalidJob, Problem: what is wrong with the document.
          whatever `JobCheck` raises; 409 instead if the id is taken.
        """
        self._access.require(caller, "ml.jobs.create", f"projects/{project}")
        sent = dict(document)
        webhook = sent.pop("webhook", None)
        job = _parsed(sent)
        tags = labels.check(job.labels, "job.labels")
        if webhook is not None and not isinstance(webhook, str):
            raise wrong("job.webhook", "Expected a string.")
        try:
            checked = self._check(project, job, caller)
        except Exception:
            # Who creates a job again after a crash is to be told that it is there, also if its inputs are gone.
            self._refuse_taken(project, job.job_id)
            raise
        return NewJob(
            project=project,
            job_id=job.job_id,
            document=_kept(sent, job.job_id),
            labels=tags,
            creator=caller.member,
            workers=checked.workers,
            pinned=checked.pinned,
            webhook=self._webhook(webhook) if webhook else "",
        )

    def validated(self, project: str, document: Mapping[str, Any], caller: Caller) -> NewJob:
        """What `create_job` would create, and nothing is. Raises as `create_job`, but for a full queue."""
        new = self.draft(project, document, caller)
        self._refuse_taken(project, new.job_id)
        return new

    def check(self, project: str, document: Mapping[str, Any], caller: Caller) -> None:
        """Raises as `validated`."""
        self.validated(project, document, caller)

    def create_job(self, project: str, document: Mapping[str, Any], caller: Caller) -> StoredJob:
        """Raises as `draft`; 409 for an id that is taken, 429 if the project's queue is full."""
        with self._store.job_coming():
            new = self.draft(project, document, caller)
            try:
                return self._store.create_job(new, queue_limit=self._queue_limit)
            except Exists:
                raise _taken() from None
            except QueueFull:
                raise quota_failure(project, self._queue_limit) from None

    def create(self, project: str, document: Mapping[str, Any], caller: Caller) -> str:
        """Create a job; its id. Raises as `create_job`."""
        return self.create_job(project, document, caller).job_id

    def cancel(self, project: str, job_id: str, caller: Caller) -> None:
        """Raises Missing, Hidden, Forbidden; Problem 400 for a job that has ended."""
        job = self._store.job(project, job_id)
        name = f"projects/{project}/jobs/{job_id}"
        self._access.require(caller, "ml.jobs.cancel", name, owner=job.new.creator)
        by = "a request" if caller.member == "allUsers" else caller.member
        try:
            self._store.cancel(project, job_id, Cancel(f"The job was cancelled by {by}."))
        except Finished as error:
            raise Problem(400, "FAILED_PRECONDITION", f"Field: name Error: {error}") from None

    def _refuse_taken(self, project: str, job_id: str) -> None:
        try:
            self._store.job(project, job_id)
        except Missing:
            return
        raise _taken()


def _taken() -> Problem:
    violation = Violation("job.job_id", "A job with this id already exists.")
    return invalid([violation], 409, "ALREADY_EXISTS")


def _parsed(document: Mapping[str, Any]) -> Job:
    try:
        return Job.submitted(document)
    except InvalidJob as error:
        raise invalid([_as_answered(violation) for violation in error.violations]) from None


def _as_answered(violation: Violation) -> Violation:
    """The service blamed a bad id on `job_id`, and a taken one on `job.job_id` (cmle-behaviour §4.3)."""
    bad_id = violation.field == "job.job_id" and violation.description == ID_RULE
    return Violation("job_id", violation.description) if bad_id else violation


def _kept(sent: Mapping[str, Any], job_id: str) -> dict[str, Any]:
    """The document that is stored: the input to the letter, under the name that answers have it by.

    Clients compare it with theirs after a 409 (cmle-behaviour §8), nulls and all.
    """
    inputs = {camel(name): value for name, value in sent.items() if value is not None and camel(name) in _INPUTS}
    return {"jobId": job_id, **inputs}
