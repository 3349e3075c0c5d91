"""The pools of worker processes in this process, and why its jobs failed.

Beam transforms find the pool through this module, because what Beam pickles into a transform is only the job's
description. Whoever has started a pool for a job before the pipeline runs (the in-process runner does, so that
workers load the model meanwhile) finds it used.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from batchpredict.errors import BatchPredictError
from batchpredict.ledger.budget import Tally, parse_budget
from batchpredict.ledger.plan import Plan
from batchpredict.ledger.progress import committed_tally
from batchpredict.ledger.spec import PredictionSpec
from batchpredict.ledger.staging import Staging
from batchpredict.prediction.request import Request, cores
from batchpredict.workers.pool import Allowance, WorkerPool
from batchpredict.workers.protocol import Setup

# Beam wraps what a transform raises in messages of its own; whoever runs the pipeline in this process finds the
# bare reason here.
_log = logging.getLogger(__name__)

_failures: dict[str, BatchPredictError] = {}


def note_failure(spec: PredictionSpec, error: BatchPredictError) -> None:
    """Keep the reason why a job of this process failed; the first one stands."""
    _failures.setdefault(spec.to_json(), error)


@contextlib.contextmanager
def noting_failure(spec: PredictionSpec) -> Iterator[None]:
    try:
        yield
    except BatchPredictError as error:
        note_failure(spec, error)
        raise


def take_failure(spec: PredictionSpec) -> BatchPredictError | None:
    """The reason that was kept for a job, which is forgotten then."""
    return _failures.pop(spec.to_json(), None)


def make_pool(
    request: Request,
    plan: Plan,
    before: Tally,
    on_warning: Callable[[str], None] | None = None,
    *,
    most: int | None = None,
) -> WorkerPool:
    """A pool for a job; nothing is started yet. `most` bounds its processes: a job of one split needs one."""
    processes = min(request.processes, most or request.processes)
    setup = Setup(request.spec.to_json(), plan.fingerprint, max(1, cores() // processes), plan.model)
    allowance = Allowance(parse_budget(request.spec.max_errors), plan.bytes, before)
    exact = not request.spec.input.guessed_cuts
    return WorkerPool(setup, processes, allowance=allowance, on_warning=on_warning, exact_cuts=exact)


@dataclass
class _Entry:
    """A pool that steps of this process use. One that a runner has offered is the runner's to end."""

    pool: WorkerPool
    offered: bool = False
    leases: int = 0


_entries: dict[str, _Entry] = {}
_lock = threading.Lock()


def offer_pool(staging: Staging, pool: WorkerPool) -> None:
    """Make a pool the one that steps of this process use for a job."""
    with _lock:
        _entries[staging.root] = _Entry(pool, offered=True)


def withdraw_pool(staging: Staging, pool: WorkerPool) -> None:
    """Undo `offer_pool`, unless somebody else has offered another one since."""
    with _lock:
        entry = _entries.get(staging.root)
        if entry is not None and entry.pool is pool:
            del _entries[staging.root]


class Lease:
    """A step's use of the pool of a job in this process. The last lease to end ends a pool that nobody offered.

    A pool outlives the bundles of a step, so that its processes load the model once.
    """

    def __init__(self) -> None:
        self._root: str | None = None

    def pool(self, request: Request, plan: Plan, staging: Staging) -> WorkerPool:
        """The pool of a job; made if there is none, or only one that has ended."""
        with _lock:
            entry = _entries.get(staging.root)
            if entry is None:
                entry = _entries[staging.root] = _Entry(_make(request, plan, staging))
                self._root = None
            elif entry.pool.failure is not None and not entry.offered:
                entry.pool = _make(request, plan, staging)
            if self._root is None:
                self._root = staging.root
                entry.leases += 1
            return entry.pool

    def end(self) -> None:
        """Give the pool back; may be called at any time, and again."""
        with _lock:
            entry = None if self._root is None else _entries.get(self._root)
            root, self._root = self._root, None
            if root is None or entry is None:
                return
            entry.leases -= 1
            if entry.offered or entry.leases > 0:
                return
            del _entries[root]
        entry.pool.close()


def _make(request: Request, plan: Plan, staging: Staging) -> WorkerPool:
    before = committed_tally(staging, plan) if request.spec.max_errors else Tally()
    # Nobody watches a pool that a step has made; what it warns of goes to the runner's log.
    return make_pool(request, plan, before, _log.warning)
