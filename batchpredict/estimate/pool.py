"""The processes that sample: a pool of workers as a job has it, whose results go to a scratch folder."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import replace
from functools import partial
from itertools import count, cycle
from time import monotonic
from typing import Any, cast

import orjson

from batchpredict import storage
from batchpredict.errors import JobFailed, OutputRefused
from batchpredict.estimate.sampled import Measured, SampleTask
from batchpredict.estimate.sampler import PROGRAM
from batchpredict.formats import Segment, Split
from batchpredict.ledger import PredictionSpec, Staging
from batchpredict.workers import Setup, WorkerPool, WorkerProcess, cores

FINGERPRINT = "sample"
"""Names the staging folder within a scratch folder; it is no plan's."""
# One attempt of a measurement: long enough for a steady rate, short enough that several places get their turn.
_ATTEMPT_SECONDS = 1.5
_ENOUGH_SECONDS = 1.0
# What is left of the time that is not worth another attempt.
_LEAST_SECONDS = 0.2

spawn: Callable[[Setup], WorkerProcess] = partial(WorkerProcess, program=PROGRAM)
"""Starts a process that samples."""


def setup_of(spec: PredictionSpec, scratch: str, model: str, processes: int) -> Setup:
    """What a process is told that samples for a job, as one of several.

    Args:
      spec: the job.
      scratch: folder of this machine for its results.
      model: digest of the model's files.
      processes: workers among which the machine's cores are shared out.
    """
    spec = replace(spec, output_path=scratch)
    return Setup(spec.to_json(), FINGERPRINT, max(1, cores() // processes), model)


class SamplePool:
    """Worker processes that sample. A context manager; its processes end with it.

    Args:
      spec: the job.
      scratch: folder of this machine, which is made; whoever gave it deletes it.
      model: digest of the model's files.
      processes: how many.
      on_warning: told what a worker finds that a user should hear.
    """

    def __init__(
        self,
        spec: PredictionSpec,
        scratch: str,
        model: str,
        processes: int,
        on_warning: Callable[[str], None],
    ) -> None:
        self.processes = processes
        self._staging = Staging(scratch, FINGERPRINT)
        self._numbers = count()
        setup = setup_of(spec, scratch, model, processes)
        self._pool = WorkerPool(setup, processes, on_warning=on_warning, spawn=spawn)
        self._pool.start(processes)

    def __enter__(self) -> SamplePool:
        return self

    def __exit__(self, *failure: object) -> None:
        self._pool.cancel()
        self._pool.close()

    def submit(self, segments: Sequence[Segment], **limits: Any) -> Future[Measured]:
        """Have segments scored as a split; `limits` are fields of `SampleTask`. Its files stay until `discard`."""
        task = SampleTask(Split(next(self._numbers), tuple(segments)), **limits)
        return cast("Future[Measured]", self._pool.submit(task))

    def warm_up(self, segment: Segment, rows: int) -> list[Measured]:
        """Have every process score its first batch, and wait for it; gives what each of them has measured."""
        waiting = [self.submit([segment], rows=rows) for _ in range(self.processes)]
        return [self._discarded(one) for one in waiting]

    def sample(self, places: Sequence[Segment], rows: int, seconds: float) -> Iterator[tuple[Segment, Measured]]:
        """Score the first records of places, as they come, until all are done or the time is over.

        Args:
          places: in the order in which they are done.
          rows: records of each.
          seconds: at the end of which no place is begun any more.
        """
        end = monotonic() + seconds
        waiting: dict[Future[Measured], Segment] = {}
        left = iter(places)
        begun = 0
        while True:
            # One is begun whatever the time, or nothing would be known.
            while len(waiting) < self.processes and (monotonic() < end or not begun):
                place = next(left, None)
                if place is None:
                    break
                waiting[self.submit([place], rows=rows)] = place
                begun += 1
            if not waiting:
                return
            done, _ = wait(waiting, return_when=FIRST_COMPLETED)
            for future in done:
                yield waiting.pop(future), _result(future)

    def keep_busy(self, splits: Sequence[Split], seconds: float, run_rows: int) -> list[Measured]:
        """Have all processes score splits for some time, as a job does; gives what came of each attempt.

        It ends before that when every split was done and a second of each process is known.

        Args:
          splits: in the order in which they are begun; the first one follows the last. Of a long one, as much is
            scored as there is time for.
          seconds: how long.
          run_rows: most records that a reader hands over at a time.
        """
        end = monotonic() + seconds
        needed = min(_ENOUGH_SECONDS, seconds) * self.processes
        measured: list[Measured] = []
        waiting: set[Future[Measured]] = set()
        source = cycle(splits)
        while True:
            left = end - monotonic()
            if len(measured) >= len(splits) and sum(one.stages.loop for one in measured) >= needed:
                left = 0.0
            while len(waiting) < self.processes and left > _LEAST_SECONDS:
                limit = min(left, _ATTEMPT_SECONDS)
                waiting.add(self.submit(next(source).segments, seconds=limit, run_rows=run_rows))
            if not waiting:
                return measured
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            measured += [self._discarded(one) for one in done]

    def errors_of(self, measured: Measured) -> list[dict[str, Any]]:
        """The lines of an attempt's error part."""
        if measured.errors is None:
            return []
        data = storage.read_bytes(self._staging.part(measured.errors.name))
        return [orjson.loads(line) for line in data.splitlines()]

    def discard(self, measured: Measured) -> float:
        """Delete the files of an attempt; gives the seconds that it took to sync and to move its results before."""
        part = self._staging.part(measured.results.name)
        started = monotonic()
        with contextlib.suppress(OSError):
            storage.sync(part)
            storage.move(part, f"{part}.moved")
        seconds = monotonic() - started
        self._staging.discard(f"{measured.results.name}.moved")
        if measured.errors is not None:
            self._staging.discard(measured.errors.name)
        return seconds

    def _discarded(self, future: Future[Measured]) -> Measured:
        measured = _result(future)
        names = [one.name for one in (measured.results, measured.errors) if one is not None]
        self._staging.discard(*names)
        return measured


def _result(future: Future[Measured]) -> Measured:
    """What an attempt came to.

    Raises:
      JobFailed: what would end the job; or there is no room for the results of the sample.
    """
    try:
        return future.result()
    except OutputRefused as error:
        raise JobFailed(f"The results of the sample cannot be kept: {error}") from error
