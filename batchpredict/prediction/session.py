"""A job on this machine: its plan, its staging folder and the pool that scores its splits.

Beam transforms find the pool through this module, because what Beam pickles into a transform is only the job's
description. Whoever has started a pool for a job before the pipeline runs (the local runner does, so that
workers load the model meanwhile) finds it used.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from batchpredict.errors import BatchPredictError, OutputRefused
from batchpredict.formats import Split
from batchpredict.job import PredictionOutput
from batchpredict.prediction.budget import Tally, check, parse_budget
from batchpredict.prediction.plan import Plan, load_plan, make_plan, store_plan
from batchpredict.prediction.pool import Allowance, WorkerPool
from batchpredict.prediction.protocol import Setup
from batchpredict.prediction.publish import finished_output, publish
from batchpredict.prediction.published import occupancy, refuse_others
from batchpredict.prediction.spec import PredictionSpec
from batchpredict.prediction.staging import Staging
from batchpredict.prediction.task import Task


@dataclass(frozen=True)
class Request:
    """A job and how it is to be run.

    Attributes:
      spec: the job.
      workers: worker processes on this machine; None for as many as there are cores, at most maxWorkerCount.
      overwrite: results of another job in the output folder may be replaced.
      fresh: forget what earlier runs of this job had committed.
      fingerprint: of the plan that whoever submits the job has stored; None if the pipeline is to plan it.
    """

    spec: PredictionSpec
    workers: int | None = None
    overwrite: bool = False
    fresh: bool = False
    fingerprint: str | None = None

    @property
    def processes(self) -> int:
        """Worker processes of this machine."""
        wanted = self.workers or cores()
        return max(1, min(wanted, self.spec.max_workers or wanted))


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True)
class Prepared:
    """A job that can run: planned, and nothing known that speaks against it.

    Attributes:
      done: its output, if it is finished already.
    """

    request: Request
    plan: Plan
    staging: Staging
    splits: tuple[Split, ...]
    done: PredictionOutput | None

    def submitted(self) -> Request:
        """The request for the pipeline, which then uses this plan and does not forget anything again."""
        return replace(self.request, fresh=False, fingerprint=self.plan.fingerprint)

    def todo(self) -> list[Split]:
        """The splits that nobody has committed yet."""
        committed = {number for number, start in self.staging.committed() if start is None}
        return [split for split in self.splits if split.index not in committed]


def prepare(request: Request) -> Prepared:
    """Plan a job and look for all that can be known to be wrong before anything is scored.

    Raises:
      JobFailed: no input, no model, or an output folder that cannot be used.
    """
    spec = request.spec
    plan, splits = make_plan(spec)
    staging = Staging(spec.output_path, plan.fingerprint)
    refuse_others(staging, occupancy(spec.output_path), overwrite=request.overwrite)
    if request.fresh:
        try:
            staging.clear()
        except OSError as error:
            raise OutputRefused(f"outputPath: cannot delete '{staging.root}': {error}") from error
    done = finished_output(staging)
    if done is not None:
        # The budget is no part of what makes a job this job, so it may be tighter than it was.
        tally = Tally(done.prediction_count or 0, done.error_count or 0)
        check(parse_budget(spec.max_errors), tally, None)
    else:
        store_plan(staging, plan, splits)
    return Prepared(request, plan, staging, tuple(splits), done)


def committed_tally(staging: Staging) -> Tally:
    """What the manifests of a job come to so far."""
    planned = [key for key in staging.committed() if key[1] is None]
    manifests = staging.read_all(planned)
    return sum(map(Tally.of, manifests), Tally())


# Beam wraps what a transform raises in messages of its own; whoever runs the pipeline in this process finds the
# bare reason here.
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


_pools: dict[str, WorkerPool] = {}
# The staging folders of those that no runner has offered: nobody else would end their processes.
_own: set[str] = set()
_pools_lock = threading.Lock()


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
    exact = request.spec.data_format != "TF_RECORD"
    return WorkerPool(setup, processes, allowance=allowance, on_warning=on_warning, exact_cuts=exact)


def offer_pool(staging: Staging, pool: WorkerPool) -> None:
    """Make a pool the one that transforms of this process use for a job."""
    with _pools_lock:
        _pools[staging.root] = pool


def withdraw_pool(staging: Staging, pool: WorkerPool) -> None:
    """Undo `offer_pool`, unless somebody else has offered another one since."""
    with _pools_lock:
        if _pools.get(staging.root) is pool:
            del _pools[staging.root]


def pool_of(request: Request, plan: Plan, staging: Staging) -> WorkerPool:
    """The pool of a job in this process, made if there is none."""
    with _pools_lock:
        pool = _pools.get(staging.root)
        if pool is None:
            before = committed_tally(staging) if request.spec.max_errors else Tally()
            pool = _pools[staging.root] = make_pool(request, plan, before)
            _own.add(staging.root)
        return pool


def end_pool(staging: Staging) -> None:
    """End the processes that `pool_of` has started in this process for a job; a later attempt gets new ones."""
    with _pools_lock:
        pool = _pools.pop(staging.root) if staging.root in _own else None
        _own.discard(staging.root)
    if pool is not None:
        pool.close()


def stored_plan(request: Request, fingerprint: str) -> tuple[Plan, Staging]:
    """The plan that `prepare` stored for a job, without its splits."""
    staging = Staging(request.spec.output_path, fingerprint)
    plan, _ = load_plan(staging)
    return plan, staging


def publish_job(request: Request, plan: Plan, staging: Staging) -> PredictionOutput:
    """Publish a job whose splits are committed, reading again those whose guessed border was wrong."""

    def redo(split: Split, start: int | None) -> None:
        pool_of(request, plan, staging).submit(Task(split, forced_start=start)).result()

    return publish(request.spec, staging, plan.splits, overwrite=request.overwrite, redo=redo)
