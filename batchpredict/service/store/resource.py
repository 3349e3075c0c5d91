"""A stored job as the Job resource that clients see."""

from __future__ import annotations

from typing import Any

from batchpredict.job import State, to_timestamp
from batchpredict.service.store.interface import StoredJob

# Those end with a word to the client; of the others a message is what happened to it on the way.
_WITH_MESSAGE = frozenset({State.FAILED, State.CANCELLING, State.CANCELLED})
_WITHOUT_WORDS = "The job ended without a message."


def job_resource(job: StoredJob) -> dict[str, Any]:
    """A Job in wire form: what was sent, to the letter, and what the service knows of it.

    errorMessage is there whenever the job failed or was cancelled, and predictionOutput or trainingOutput when it
    succeeded: clients read both without asking (projects-jobs.txt).
    """
    standing = job.standing
    resource: dict[str, Any] = {"jobId": job.job_id, **job.new.document}
    resource["createTime"] = to_timestamp(job.created)
    resource["state"] = standing.state.value
    resource["etag"] = job.etag
    if job.new.labels:
        resource["labels"] = dict(job.new.labels)
    if standing.start_time is not None:
        resource["startTime"] = to_timestamp(standing.start_time)
    if standing.end_time is not None:
        resource["endTime"] = to_timestamp(standing.end_time)
    if standing.state in _WITH_MESSAGE:
        resource["errorMessage"] = standing.message or _WITHOUT_WORDS
    if job.position is not None:
        resource["jobPosition"] = str(job.position)
    if job.output is not None or standing.state is State.SUCCEEDED:
        field = "trainingOutput" if "trainingInput" in job.new.document else "predictionOutput"
        resource[field] = dict(job.output or {})
    return resource
