"""Where the time of an attempt goes: parts of the hot path, wrapped so that a clock runs while they work.

They are entered once for a run or a group of records, so that looking at the clock does not matter.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from batchpredict.estimate.sampled import Stages
from batchpredict.models import Column, Model, Outputs, Signature
from batchpredict.scoring import Place, Watch

# A thread that loses its core in each of so many looks at the clock gets a moment that is off by a little.
_READINGS = 5

_F = TypeVar("_F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Moment:
    """Attributes: wall: seconds of a clock. waited: seconds that this thread had waited for a core until then."""

    wall: float
    waited: float

    def own_since(self, before: Moment) -> float:
        """The seconds since a moment in which this thread did not wait for a core."""
        return self.wall - before.wall - self.waited_since(before)

    def waited_since(self, before: Moment) -> float:
        return self.waited - before.waited


class Stopwatch:
    """Seconds of one attempt at a time. Used by the thread that has made it.

    Where others use the machine, a thread waits for a core now in this part of its work and now in that. So what a
    part takes is told without it, and the waiting apart.

    Args:
      clock: seconds, from anywhere.
      waited: seconds that this thread has waited for a core so far.
    """

    def __init__(
        self, clock: Callable[[], float] = time.perf_counter, waited: Callable[[], float] | None = None
    ) -> None:
        self.clock = clock
        self._waited = waited or Waited()
        self.begin()

    def begin(self) -> None:
        """A new attempt."""
        self._seconds = dict.fromkeys(("read", "decode", "model", "write"), 0.0)
        self._first: Moment | None = None
        self._last = self.moment()

    def moment(self) -> Moment:
        """Now. The two numbers belong together: this thread has not lost its core between reading them."""
        before = self._waited()
        for _ in range(_READINGS):
            wall, after = self.clock(), self._waited()
            if after == before:
                break
            before = after
        return Moment(wall, before)

    def add(self, stage: str, started: Moment) -> None:
        """Book the time since `started`, and take this moment for the end of the loop so far."""
        self._last = self.moment()
        self._seconds[stage] += self._last.own_since(started)
        self._first = started if self._first is None else self._first

    def lap(self) -> None:
        """The loop over records is still going on."""
        self._last = self.moment()

    def timed(self, stage: str, function: _F) -> _F:
        """The function, whose time is booked, also when it raises."""

        def run(*arguments: Any, **named: Any) -> Any:
            started = self.moment()
            try:
                return function(*arguments, **named)
            finally:
                self.add(stage, started)

        return cast(_F, run)

    def stages(self, seconds: float) -> Stages:
        """Where the time of an attempt went that took `seconds`, without the loading of the model."""
        if self._first is None:
            return Stages(commit=seconds)
        other = max(self._last.own_since(self._first) - sum(self._seconds.values()), 0.0)
        loop = self._last.wall - self._first.wall
        waited = self._last.waited_since(self._first)
        return Stages(**self._seconds, other=other, waited=waited, commit=max(seconds - loop, 0.0))


class Waited:
    """Seconds that the thread which has made it has waited for a core; 0 where the system does not tell.

    It is the second number of Linux's schedstat (Documentation/scheduler/sched-stats.rst), in nanoseconds. A look
    takes some 2 us.
    """

    def __init__(self) -> None:
        self._file: int | None = None
        with contextlib.suppress(OSError):
            self._file = os.open("/proc/thread-self/schedstat", os.O_RDONLY | os.O_CLOEXEC)

    def __call__(self) -> float:
        if self._file is None:
            return 0.0
        try:
            return int(os.pread(self._file, 100, 0).split()[1]) / 1e9
        except (OSError, ValueError, IndexError):
            return 0.0

    def __del__(self) -> None:
        if self._file is not None:
            os.close(self._file)


class TimedModel:
    """A `Model` whose calls are timed, those that fail too."""

    def __init__(self, model: Model, stopwatch: Stopwatch) -> None:
        self._model = model
        self._call = stopwatch.timed("model", model.call)
        self._call_batches = stopwatch.timed("model", model.call_batches)

    @property
    def signature(self) -> Signature:
        return self._model.signature

    def call(self, columns: Mapping[str, Column], count: int) -> Outputs:
        return self._call(columns, count)

    def call_batches(self, columns: Mapping[str, Column], count: int, batch_size: int) -> list[Outputs]:
        return self._call_batches(columns, count, batch_size)


class TimedResults:
    """The results of a split, whose writing is timed."""

    def __init__(self, results: Any, stopwatch: Stopwatch) -> None:
        self._results = results
        self.write = stopwatch.timed("write", results.write)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._results, name)


class TimedWatch:
    """A `Watch` that tells a stopwatch when a group of records is done, and passes everything on."""

    def __init__(self, watch: Watch, stopwatch: Stopwatch) -> None:
        self._stopwatch = stopwatch
        self.calling: Callable[[Place, Place], None] = watch.calling
        self.called: Callable[[], None] = watch.called
        self.warn: Callable[[str, str], None] = watch.warn
        self._scored = watch.scored

    def scored(
        self, predictions: int, errors: int, bytes_read: int, first_error: str | None, *, at_once: bool = False
    ) -> None:
        self._scored(predictions, errors, bytes_read, first_error, at_once=at_once)
        self._stopwatch.lap()
