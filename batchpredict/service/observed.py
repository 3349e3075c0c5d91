"""A store that counts what goes through it: how long jobs waited, and how many records and splits they commit.

Around the store of a worker, so that the worker itself need not know that anybody counts.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

from batchpredict.service.measures import Measures
from batchpredict.service.queue.fairness import NO_LIMITS, Limits
from batchpredict.service.store.interface import Store, StoredJob

if TYPE_CHECKING:
    from batchpredict.service.queue.lifecycle import Event

_Key = tuple[str, str, int]


class ObservedStore:
    """Everything that the store does; `claim` and `tell` are looked at."""

    def __init__(self, store: Store, measures: Measures) -> None:
        self._store = store
        self._measures = measures
        # What of a run was counted already: records and splits.
        self._counted: dict[_Key, tuple[int, int]] = {}
        self._lock = threading.Lock()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def claim(
        self,
        project: str,
        job_id: str,
        worker: str,
        lease: timedelta,
        workers: int,
        limits: Limits = NO_LIMITS,
    ) -> StoredJob | None:
        job = self._store.claim(project, job_id, worker, lease, workers, limits)
        if job is not None:
            generation = job.standing.generation
            if generation == 1:
                self._measures.waited((job.standing.changed - job.created).total_seconds())
            # A job that goes on after a crash was counted up to here by whoever had it.
            with self._lock:
                self._counted[project, job_id, generation] = figures(job.output, job.progress)
        return job

    def tell(
        self,
        project: str,
        job_id: str,
        event: Event,
        output: Mapping[str, Any] | None = None,
        progress: Mapping[str, Any] | None = None,
    ) -> StoredJob:
        job = self._store.tell(project, job_id, event, output, progress)
        key = (project, job_id, getattr(event, "generation", 0))
        records, splits = figures(output, progress)
        with self._lock:
            before = self._counted.get(key, (0, 0))
            if key in self._counted:
                self._counted[key] = (max(before[0], records), max(before[1], splits))
                self._measures.scored(records - before[0])
                self._measures.committed(splits - before[1])
            if job.standing.lease is None:
                self._counted.pop(key, None)
        return job


def observed(store: Store, measures: Measures) -> Store:
    """The store, looked at."""
    return cast(Store, ObservedStore(store, measures))


def figures(output: Mapping[str, Any] | None, progress: Mapping[str, Any] | None) -> tuple[int, int]:
    """Records and splits that are committed."""
    counts = output or {}
    records = _count(counts.get("predictionCount")) + _count(counts.get("errorCount"))
    return records, _count((progress or {}).get("splits"))


def _count(said: Any) -> int:
    """A count as a job process says it, which may be anything: what cannot be one must not stop the queue."""
    try:
        return max(0, int(said or 0))
    except (TypeError, ValueError, OverflowError):
        return 0
