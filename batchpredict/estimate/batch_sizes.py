"""How fast and how large a worker is with other batch sizes: 1, 2, 4, … records of a model call.

They are tried in a process of its own, so that a batch that does not fit into memory ends that process, no more.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from time import monotonic

from batchpredict.errors import BatchPredictError
from batchpredict.estimate.pool import FINGERPRINT, setup_of, spawn
from batchpredict.estimate.sampled import Measured, SampleTask
from batchpredict.formats import Split
from batchpredict.ledger import PredictionSpec, Staging
from batchpredict.workers import Died, WorkerProcess

LARGEST = 4096
# A doubling that gains less has not been worth its memory.
_GAIN = 1.05
_ATTEMPT_SECONDS = 0.12
# Records per second of a model of which nothing is known yet.
_FIRST_RATE = 500.0
# The first time makes TensorFlow and the allocator ready for a size, and says how much memory it takes.
_ROUNDS = 3


@dataclass(frozen=True)
class BatchSize:
    """One worker process alone, with one batch size.

    Attributes:
      rows: records of a model call.
      rate: records per second of the whole way from file to results; what others of the machine take is left out.
      model_rate: records per second of the model calls alone.
      peak_bytes: peak of the process's resident memory.
    """

    rows: int
    rate: float
    model_rate: float
    peak_bytes: int

    def better(self, again: BatchSize) -> BatchSize:
        """The best of two attempts. Memory is that of the first: before the second, larger batches have come."""
        return replace(self, rate=max(self.rate, again.rate), model_rate=max(self.model_rate, again.model_rate))


@dataclass(frozen=True)
class BatchSizes:
    """What was found of them.

    Attributes:
      tried: the sizes, ascending.
      stopped: why no larger one was tried; "" if none was wanted.
    """

    tried: tuple[BatchSize, ...] = ()
    stopped: str = ""


def enough(tried: Sequence[BatchSize], rate: Callable[[BatchSize], float]) -> BatchSize | None:
    """The first size whose doubling gains less than 5 %; the last one if there is none; None if nothing was tried.

    Single measurements scatter, so a size is given the best rate up to it, and one that only a later size shows to
    be worth it does not end the search: the next two doublings must gain too little.
    """
    best = 0.0
    rates = []
    for one in tried:
        best = max(best, rate(one))
        rates.append(best)
    for at, one in enumerate(tried):
        ahead = rates[at + 1 : at + 3]
        if all(later < rates[at] * _GAIN**steps for steps, later in enumerate(ahead, 1)):
            return one
    return None


def try_sizes(
    spec: PredictionSpec,
    scratch: str,
    model: str,
    split: Split,
    *,
    processes: int,
    largest: int,
    seconds: float,
) -> BatchSizes:
    """Try batch sizes until one is the largest, does not fit, or the time is over.

    Args:
      spec: the job.
      scratch: folder of this machine.
      model: digest of the model's files.
      split: whose records are scored.
      processes: workers among which the machine's cores are shared out.
      largest: the largest size to try, at most `LARGEST`.
      seconds: for all of them, the start of the process not counted.
    """
    with contextlib.closing(spawn(setup_of(spec, scratch, model, processes))) as process:
        trial = _Trial(process, Staging(scratch, FINGERPRINT), split)
        trial.warm_up()
        return _ascend(trial, min(largest, LARGEST), seconds)


def _ascend(trial: _Trial, largest: int, seconds: float) -> BatchSizes:
    end = monotonic() + seconds
    tried: list[BatchSize] = []
    stopped = ""
    rows = 1
    while rows <= largest and not stopped:
        stopped = _unlikely_to_fit(tried)
        if tried and _seconds_of(tried[-1], rows) > end - monotonic():
            stopped = f"there was no time for larger batches than {tried[-1].rows:,}"
        found = None if stopped else trial.measure(rows, tried[-1].rate if tried else _FIRST_RATE)
        if found is not None:
            tried.append(found)
        stopped = stopped or trial.failure
        rows *= 2
    # Again from the smallest, so that a slow moment of the machine does not meet all attempts of one size.
    for _ in range(0 if trial.failure else _ROUNDS - 1):
        for at, one in enumerate(tried):
            again = trial.measure(one.rows, one.rate) if _seconds_of(one, one.rows) < end - monotonic() else None
            tried[at] = one if again is None else one.better(again)
    return BatchSizes(tuple(tried), stopped)


def _seconds_of(last: BatchSize, rows: int) -> float:
    """What trying a size will take, by what another one did."""
    return max(_ATTEMPT_SECONDS, 2 * rows / last.rate)


def _unlikely_to_fit(tried: Sequence[BatchSize]) -> str:
    """Why the next size is not even tried: the last doubling took so much that two more of that are not free."""
    if len(tried) < 2:
        return ""
    grown = tried[-1].peak_bytes - tried[-2].peak_bytes
    free = available_bytes()
    if free is None or 2 * grown < free:
        return ""
    return f"a batch of {2 * tried[-1].rows:,} records would not fit into the memory that is free"


class _Trial:
    """The process in which sizes are tried. `failure`: why the last size gave nothing."""

    def __init__(self, process: WorkerProcess, staging: Staging, split: Split) -> None:
        self._process = process
        self._staging = staging
        self._segments = split.segments
        self._number = 0
        self._too_large = False
        self.failure = ""

    def warm_up(self) -> None:
        """Have the model loaded. A failure is found again by whoever measures."""
        with contextlib.suppress(BatchPredictError, Died):
            self._run(SampleTask(self._split(), rows=1))

    def measure(self, rows: int, rate: float) -> BatchSize | None:
        """One attempt at a size, of which some `rate` is expected; None if it does not fit."""
        # Whether the time is over is asked after a run of records.
        run_rows = max(int(rate * _ATTEMPT_SECONDS / 4) // rows, 1) * rows
        task = SampleTask(
            self._split(),
            seconds=_ATTEMPT_SECONDS,
            at_least=2 * rows,
            run_rows=run_rows,
            batch_size=rows,
            repeat=True,
        )
        try:
            found = self._run(task)
        except Died as death:
            self.failure = f"a batch of {rows:,} records ended its process, which {death.end}"
            return None
        except BatchPredictError as error:
            self.failure = f"a batch of {rows:,} records fails: {error}"
            return None
        if self._too_large:
            self.failure = f"a batch of {rows:,} records does not fit into the device's memory"
            return None
        if found is None or not found.records or not found.stages.loop:
            self.failure = "there are no records to try it with"
            return None
        # Without the waiting for a core that others have, by which sizes could not be told apart.
        model = found.batch_rows / max(found.stages.model, 0.01 * found.stages.own, 1e-9)
        return BatchSize(rows, found.records / max(found.stages.own, 1e-9), model, found.peak_bytes)

    def _split(self) -> Split:
        self._number += 1
        return Split(self._number, self._segments)

    def _run(self, task: SampleTask) -> Measured | None:
        def warned(warning: object) -> None:
            self._too_large = self._too_large or getattr(warning, "kind", "") == "too_large"

        found = self._process.run(task, _ignore, warned)
        if not isinstance(found, Measured):
            return None
        self._staging.discard(*(one.name for one in (found.results, found.errors) if one is not None))
        return found


def _ignore(progress: object) -> None:
    del progress


def available_bytes() -> int | None:
    """Memory of this machine, or of this container, that is free for use; None if the system does not tell."""
    found = [one for one in (_of_machine(), _of_container()) if one is not None]
    return min(found, default=None)


def _of_machine() -> int | None:
    with contextlib.suppress(OSError, ValueError), open("/proc/meminfo") as file:
        for line in file:
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return None


def _of_container() -> int | None:
    """What is left below the limit of the control group (cgroup v2), where there is one."""
    try:
        with open("/sys/fs/cgroup/memory.max") as limit, open("/sys/fs/cgroup/memory.current") as current:
            return max(int(limit.read()) - int(current.read()), 0)
    except (OSError, ValueError):
        # There is no group, or it is called "max".
        return None
