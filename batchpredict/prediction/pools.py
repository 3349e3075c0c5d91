"""The pools of worker processes in this process.

Beam transforms find the pool through this module, because what Beam pickles into a transform is only the job's
description. Whoever has started a pool for a job before the pipeline runs (a job on this machine does, so that
workers load the model meanwhile) finds it used.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from batchpredict.ledger import Plan, PredictionSpec, Staging, Tally, committed_tally, parse_budget
from batchpredict.workers import Allowance, MachineSlots, Setup, WorkerPool, cores

_log = logging.getLogger(__name__)


def make_pool(
    spec: PredictionSpec,
    plan: Plan,
    processes: int,
    *,
    before: Tally,
    on_warning: Callable[[str], None] | None = None,
    slots: MachineSlots | None = None,
) -> WorkerPool:
    """A pool for a job; nothing is started yet.

    Args:
      processes: most worker processes at a time; the threads of the machine are shared out among them.
      before: what earlier runs of the job had committed.
      on_warning: told what the job's user should hear.
      slots: see `WorkerPool`.
    """
    setup = Setup(spec.to_json(), plan.fingerprint, max(1, cores() // processes), plan.model)
    allowance = Allowance(parse_budget(spec.max_errors), plan.bytes, before)
    exact = not spec.input.guessed_cuts
    return WorkerPool(setup, processes, allowance=allowance, on_warning=on_warning, exact_cuts=exact, slots=slots)


@dataclass
class _Entry:
    """A pool that steps of this process use. One that a driver has offered is the driver's to end."""

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


def _is_needed(entry: _Entry | None) -> bool:
    """Whether a step must make a pool, because there is none that it can use."""
    return entry is None or (entry.pool.failure is not None and not entry.offered)


class Lease:
    """A step's use of the pool of a job in this process. The last lease to end ends a pool that nobody offered.

    A pool outlives the bundles of a step, so that its processes load the model once.

    Args:
      spec: the job.
      processes: most worker processes of a pool that has to be made.
      away: this process is one of those that a runner has on its machines, and others may be beside it.
    """

    def __init__(self, spec: PredictionSpec, processes: int, *, away: bool = False) -> None:
        self._spec = spec
        self._processes = processes
        self._away = away
        self._root: str | None = None

    def pool(self, plan: Plan, staging: Staging) -> WorkerPool:
        """The pool of the job; made if there is none, or only one that has ended."""
        with _lock:
            needed = _is_needed(_entries.get(staging.root))
        # Reading the manifests takes its time, and other jobs of this process must not wait for it.
        made = self._make(plan, staging) if needed else None
        with _lock:
            entry = _entries.get(staging.root)
            useless = made
            if made is not None and _is_needed(entry):
                useless = None if entry is None else entry.pool
                if entry is None:
                    entry = _entries[staging.root] = _Entry(made)
                    self._root = None
                else:
                    entry.pool = made
            if entry is not None and self._root is None:
                self._root = staging.root
                entry.leases += 1
            pool = None if entry is None else entry.pool
        if useless is not None:
            # One that has ended, with what its processes have left; or ours, because another step was faster.
            useless.close()
        # Between the two looks a driver may have taken its pool back, or the last other lease may have ended.
        return pool or self.pool(plan, staging)

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

    def _make(self, plan: Plan, staging: Staging) -> WorkerPool:
        before = committed_tally(staging, plan) if self._spec.max_errors else Tally()
        slots = MachineSlots(cores()) if self._away else None
        # Nobody watches a pool that a step has made; what it warns of goes to the runner's log.
        return make_pool(self._spec, plan, self._processes, before=before, on_warning=_log.warning, slots=slots)
