"""Where the time of an attempt goes: parts of the hot path, wrapped so that a clock runs while they work.

They are entered once for a run or a group of records, so that looking at the clock does not matter.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

from batchpredict.estimate.sampled import Stages
from batchpredict.models import Column, Model, Outputs, Signature
from batchpredict.scoring import Place, Watch

_F = TypeVar("_F", bound=Callable[..., Any])


class Stopwatch:
    """Seconds of one attempt at a time. Used by one thread.

    Args:
      clock: seconds, from anywhere.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self.clock = clock
        self.begin()

    def begin(self) -> None:
        """A new attempt."""
        self._seconds = dict.fromkeys(("read", "decode", "model", "write"), 0.0)
        self._first: float | None = None
        self._last = 0.0

    def add(self, stage: str, started: float) -> None:
        """Book the time since `started`, and take this moment for the end of the loop so far."""
        now = self.clock()
        self._seconds[stage] += now - started
        self._first = started if self._first is None else self._first
        self._last = now

    def lap(self) -> None:
        """The loop over records is still going on."""
        self._last = self.clock()

    def timed(self, stage: str, function: _F) -> _F:
        """The function, whose time is booked, also when it raises."""

        def run(*arguments: Any, **named: Any) -> Any:
            started = self.clock()
            try:
                return function(*arguments, **named)
            finally:
                self.add(stage, started)

        return cast(_F, run)

    def stages(self, seconds: float) -> Stages:
        """Where the time of an attempt went that took `seconds`, without the loading of the model."""
        loop = 0.0 if self._first is None else self._last - self._first
        other = max(loop - sum(self._seconds.values()), 0.0)
        return Stages(**self._seconds, other=other, commit=max(seconds - loop, 0.0))


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
        self.names = results.names
        self.writer = results.writer
        self.write = stopwatch.timed("write", results.write)


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
