"""What tests of workers share: a store with jobs, processes of a run, and a worker in this process."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

import psutil
import support

from batchpredict.job import State
from batchpredict.service.queue.lifecycle import Lease, Standing
from batchpredict.service.store import NewJob, Store, StoredJob
from batchpredict.service.worker import JobWorker, WorkerOptions
from batchpredict.service.worker.isolation import MARK
from batchpredict.service.worker.leftovers import marked

BEGINNING = datetime(2026, 1, 1, tzinfo=timezone.utc)


def claimed(job_id: str = "j", *, generation: int = 1, workers: int = 1, worker: str = "w") -> StoredJob:
    """A job as a worker gets it when it has claimed it."""
    lease = Lease(worker, generation, BEGINNING + timedelta(seconds=15), workers)
    standing = Standing(State.PREPARING, BEGINNING, generation, lease)
    new = NewJob("p", job_id, {"jobId": job_id}, workers=workers)
    return StoredJob(new, sequence=1, created=BEGINNING, etag="e", standing=standing)


def digits_job(job_id: str, output: str, **fields: Any) -> NewJob:
    """A job that scores the digits; `fields` are further ones of its predictionInput."""
    fields.setdefault("maxWorkerCount", "1")
    document = support.job(support.DIGITS_MODEL, support.digits("text", "part-*"), output, **fields)
    return NewJob("p", job_id, {**document, "jobId": job_id})


@contextlib.contextmanager
def working(store: Store, state: Any, **options: Any) -> Iterator[JobWorker]:
    """A worker in this process, shut down at the end with nothing left."""
    options.setdefault("spare", False)
    options.setdefault("workers", 2)
    worker = JobWorker(store, WorkerOptions(state=str(state), **options))
    worker.start()
    try:
        yield worker
    finally:
        assert worker.stop(60), "the worker did not end"
        assert marked(f"{worker.worker}/") == []
        assert os.listdir(os.path.join(str(state), "workers")) == []


def state_of(store: Store, job_id: str) -> State:
    return store.job("p", job_id).standing.state


def ended(store: Store, job_id: str, seconds: float = 120) -> StoredJob:
    """A job once it has ended."""
    support.wait_until(lambda: store.job("p", job_id).standing.end_time, seconds, f"the end of {job_id}")
    return store.job("p", job_id)


def texts(store: Store, job_id: str) -> list[str]:
    """What the log of a job says."""
    return [line.text for line in store.log("p", job_id)]


def processes_of(mark: str) -> list[psutil.Process]:
    """The processes that carry a mark, or one that begins with it; those that have just ended are left out."""
    found = []
    for pid in marked(mark):
        with contextlib.suppress(psutil.NoSuchProcess):
            found.append(psutil.Process(pid))
    return support.alive(found)


def environment_with(mark: str, **variables: str) -> Mapping[str, str]:
    return {**os.environ, MARK: mark, **variables}


def eventually(condition: Callable[[], Any], seconds: float = 30) -> Any:
    """Wait for a condition, and give its value."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.02)
    return value
