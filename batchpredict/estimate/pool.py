"""The processes that sample: a pool of workers as a job has it, whose results go to a scratch folder."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
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
# Of the errors of an attempt, these are looked at for examples.
_ERROR_BYTES = 1 << 20
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

    def warm_up(self, segments: Sequence[Segment], rows: int) -> list[Measured]:
        """Have every process score its first batch, and wait for it; gives what each of them has measured.

        Raises:
          JobFailed, InvalidJob: what would end the job, here as from the other methods.
        """
        waiting = [self._submit(segments, rows=rows) for _ in range(self.processes)]
        return [self._taken(one) for one in waiting]

    def sample(self, places: Sequence[Segment], rows: int, seconds: float) -> list[Measured]:
        """Score the first records of places until all are done, or the time is over; gives what came of each.

        Args:
          places: in the order in which they are done.
          rows: records of each.
          seconds: at the end of which no place is begun any more.
        """
        end = monotonic() + seconds
        measured: list[Measured] = []
        waiting: set[Future[Measured]] = set()
        left = iter(places)
        while True:
            # One is done whatever the time, or nothing would be known.
            while len(waiting) < self.processes and (monotonic() < end or not (waiting or measured)):
                place = next(left, None)
                if place is None:
                    break
                waiting.add(self._submit([place], rows=rows))
            if not waiting:
                return measured
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            measured += [self._taken(one, publish=True) for one in done]

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
                waiting.add(self._submit(next(source).segments, seconds=limit, run_rows=run_rows))
            if not waiting:
                return measured
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            measured += [self._taken(one) for one in done]

    def _submit(self, segments: Sequence[Segment], **limits: Any) -> Future[Measured]:
        """Have segments scored as a split; `limits` are fields of `SampleTask`."""
        task = SampleTask(Split(next(self._numbers), tuple(segments)), **limits)
        return cast("Future[Measured]", self._pool.submit(task))

    def _taken(self, future: Future[Measured], *, publish: bool = False) -> Measured:
        """What an attempt came to, with its first errors; its files are deleted, or published before."""
        measured = _result(future)
        failed: tuple[dict[str, Any], ...] = ()
        if measured.errors is not None:
            url = self._staging.part(measured.errors.name)
            data = storage.read_range(url, 0, min(measured.errors.bytes, _ERROR_BYTES))
            # The last piece is empty, or a line that is cut.
            failed = tuple(map(orjson.loads, data.split(b"\n")[:-1]))
            self._staging.discard(measured.errors.name)
        seconds = self._published(measured.results.name) if publish else 0.0
        self._staging.discard(measured.results.name)
        return replace(measured, failed=failed, publish_seconds=seconds)

    def _published(self, name: str) -> float:
        """Have a part on the disk and under another name and back, as publishing does once; the seconds it took."""
        part = self._staging.part(name)
        started = monotonic()
        with contextlib.suppress(OSError):
            storage.sync(part)
            storage.move(part, f"{part}.published")
            storage.move(f"{part}.published", part)
        return monotonic() - started


def _result(future: Future[Measured]) -> Measured:
    """What an attempt came to.

    Raises:
      JobFailed: what would end the job; or there is no room for the results of the sample.
    """
    try:
        return future.result()
    except OutputRefused as error:
        raise JobFailed(f"The results of the sample cannot be kept: {error}") from error
