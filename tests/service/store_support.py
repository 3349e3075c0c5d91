"""What tests of stores share: a clock that they move, and jobs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from batchpredict.service.queue import Begin
from batchpredict.service.store import NewJob, Store, StoredJob, StoredModel, StoredVersion

LEASE = timedelta(seconds=15)
SECOND = timedelta(seconds=1)
START = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)


@dataclass
class Clock:
    """Tells what it was set to."""

    time: datetime = START

    def __call__(self) -> datetime:
        return self.time

    def forward(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


def new_job(job_id: str, project: str = "p", **fields: Any) -> NewJob:
    document: Mapping[str, Any] = {"predictionInput": {"inputPaths": ["/in/*"], "maxWorkerCount": 10}}
    return NewJob(project, job_id, fields.pop("document", document), **fields)


def running(store: Store, job_id: str = "j", worker: str = "w", **fields: Any) -> StoredJob:
    """A job that is created, claimed and begun."""
    new = new_job(job_id, **fields)
    store.create_job(new)
    claimed = store.claim(new.project, job_id, worker, LEASE, new.workers)
    assert claimed is not None
    return store.tell(new.project, job_id, Begin(claimed.standing.generation))


def new_model(model: str, project: str = "p", **fields: Any) -> StoredModel:
    document = fields.pop("document", {"name": model})
    return StoredModel(project, model, document, fields.pop("labels", {}), "user:ann@x.org", START, "", **fields)


def new_version(model: str, version: str, project: str = "p", **fields: Any) -> StoredVersion:
    document = fields.pop("document", {"name": version})
    return StoredVersion(project, model, version, document, fields.pop("labels", {}), START, "", **fields)


def ids(jobs: list[StoredJob]) -> list[str]:
    return [job.job_id for job in jobs]
