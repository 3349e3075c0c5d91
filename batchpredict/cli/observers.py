"""How a job's progress is shown: a bar on a terminal, a line now and then elsewhere, JSON lines on request.

What is shown of a kind of work is its gauge's business: it reads the numbers off a snapshot.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import IO, TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from batchpredict.counted import counted
from batchpredict.launch import by_task

if TYPE_CHECKING:
    from batchpredict.ledger import Snapshot as PredictionSnapshot
    from batchpredict.training import Snapshot as TrainingSnapshot

S = TypeVar("S")
S_contra = TypeVar("S_contra", contravariant=True)

# Seconds between two lines where there is no terminal.
_LINE_SECONDS = 10.0
_JSON_SECONDS = 2.0


@dataclass(frozen=True)
class Reading:
    """What there is to show of a work at one moment.

    Attributes:
      phase: what it is doing, in a word or two.
      done, total: of whatever unit it counts its progress in.
      text: the numbers of a progress line.
      fields: the same for programs.
    """

    phase: str
    done: int
    total: int
    text: str
    fields: Mapping[str, Any] = field(default_factory=dict)

    @property
    def share(self) -> float:
        return min(self.done / max(self.total, 1), 1.0)


class Gauge(Protocol[S_contra]):
    """Reads a kind of snapshot."""

    def read(self, snapshot: S_contra) -> Reading: ...


def choose(
    gauge: Gauge[S], *, quiet: bool, json_logs: bool
) -> TerminalObserver[S] | LineObserver[S] | JsonObserver[S]:
    """The observer that fits stderr and the flags."""
    if json_logs:
        return JsonObserver(gauge, sys.stderr, quiet=quiet, seconds=_JSON_SECONDS)
    if sys.stderr.isatty() and not quiet:
        return TerminalObserver(gauge)
    return LineObserver(gauge, sys.stderr, quiet=quiet, seconds=_LINE_SECONDS)


class Rate:
    """Records per second of this run, and what is left of it by the bytes that are left."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._started: float | None = None
        self._records = 0

    def update(self, snapshot: PredictionSnapshot) -> tuple[float, float | None]:
        """Records per second since the first record of this run, and seconds to go, None if unknown."""
        done = snapshot.tally.records - snapshot.resumed.records
        if done <= 0:
            self._started = None
            return 0.0, None
        now = self._clock()
        if self._started is None:
            # Loading the model is no part of the rate: the clock starts with the first records.
            self._started, self._records = now, done
            return 0.0, None
        elapsed = max(now - self._started, 1e-9)
        read = snapshot.tally.bytes - snapshot.resumed.bytes
        left = max(snapshot.total_bytes - snapshot.tally.bytes, 0)
        rate = (done - self._records) / elapsed
        return rate, (elapsed * left / read if read and rate else None)


class PredictionGauge:
    """Records, errors, rate, time to go and workers, over the input bytes."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = Rate(clock)

    def read(self, snapshot: PredictionSnapshot) -> Reading:
        rate, left = self._rate.update(snapshot)
        started = snapshot.tally.records > snapshot.resumed.records
        return Reading(
            phase="scoring" if started else "loading the model",
            done=min(snapshot.tally.bytes, snapshot.total_bytes),
            total=snapshot.total_bytes,
            text=describe(snapshot, rate, left),
            fields={
                "predictionCount": str(snapshot.tally.predictions),
                "errorCount": str(snapshot.tally.errors),
                "recordsPerSecond": round(rate, 1),
                "secondsLeft": None if left is None else round(left, 1),
                "bytesRead": str(snapshot.tally.bytes),
                "totalBytes": str(snapshot.total_bytes),
                "splitsDone": snapshot.splits_done,
                "splits": snapshot.splits,
                "workers": snapshot.workers,
            },
        )


class TrainingGauge:
    """Replicas that are up, restarts, trials, and the best so far."""

    def read(self, snapshot: TrainingSnapshot) -> Reading:
        progress = snapshot.to_progress()
        searching = snapshot.trials_wanted > 0
        return Reading(
            phase="searching" if searching else "training" if snapshot.running else "starting",
            done=progress["done"] if searching else 0,
            total=progress["total"],
            text=snapshot.sentence(),
            fields={
                "replicasUp": snapshot.running,
                "replicas": len(snapshot.replicas),
                "restarts": snapshot.restarts,
                "trialsDone": snapshot.trials,
                "trials": snapshot.trials_wanted,
                "best": snapshot.best,
            },
        )


class TerminalObserver(Generic[S]):
    """A bar with the numbers beside it."""

    def __init__(self, gauge: Gauge[S]) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        self._bar = Progress(
            TextColumn("{task.fields[phase]}"),
            BarColumn(bar_width=30),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("{task.fields[numbers]}"),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._bar.add_task("", total=None, phase="starting", numbers="")
        self._gauge = gauge
        self._bar.start()

    def progress(self, snapshot: S) -> None:
        reading = self._gauge.read(snapshot)
        self._bar.update(
            self._task,
            total=max(reading.total, 1),
            completed=reading.done,
            phase=reading.phase,
            numbers=reading.text,
        )

    def warning(self, message: str) -> None:
        self._bar.console.print(f"warning: {message}", style="yellow", markup=False, highlight=False)

    def message(self, text: str, task: str = "") -> None:
        self._bar.console.print(by_task(text, task), markup=False, highlight=False)

    def error(self, text: str) -> None:
        self.close()
        print(text, file=sys.stderr)

    def close(self) -> None:
        self._bar.stop()


class _StreamObserver(Generic[S]):
    """What observers share that write lines to a stream: when it is time for the next one.

    Args:
      gauge: reads the numbers.
      stream: where to write.
      quiet: only warnings and errors.
      seconds: between two lines of progress.
    """

    def __init__(
        self,
        gauge: Gauge[S],
        stream: IO[str],
        *,
        quiet: bool,
        seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._gauge = gauge
        self._stream = stream
        self._quiet = quiet
        self._seconds = seconds
        self._clock = clock
        self._last = clock()

    def progress(self, snapshot: S) -> None:
        reading = self._gauge.read(snapshot)
        now = self._clock()
        if not self._quiet and now - self._last >= self._seconds:
            self._last = now
            self._write_progress(reading)

    def _write_progress(self, reading: Reading) -> None:
        raise NotImplementedError

    def close(self) -> None:
        pass


class LineObserver(_StreamObserver[S]):
    """A line of text now and then."""

    def _write_progress(self, reading: Reading) -> None:
        self.message(f"{reading.share:4.0%}  {reading.text}")

    def warning(self, message: str) -> None:
        print(f"warning: {message}", file=self._stream, flush=True)

    def message(self, text: str, task: str = "") -> None:
        if not self._quiet:
            print(by_task(text, task), file=self._stream, flush=True)

    def error(self, text: str) -> None:
        print(text, file=self._stream, flush=True)


def log_line(severity: str, message: str, **fields: Any) -> str:
    """A line of --json-logs: what happens now, with the field names of structured logs."""
    now = datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return json.dumps({"time": now, "severity": severity, "message": message, **fields})


class JsonObserver(_StreamObserver[S]):
    """JSON lines with the field names of structured logs: time, severity, message, and the counts."""

    def _write_progress(self, reading: Reading) -> None:
        self._write("INFO", "progress", **reading.fields)

    def _write(self, severity: str, message: str, **fields: Any) -> None:
        print(log_line(severity, message, **fields), file=self._stream, flush=True)

    def warning(self, message: str) -> None:
        self._write("WARNING", message)

    def message(self, text: str, task: str = "") -> None:
        if not self._quiet:
            self._write("INFO", text, **({"task": task} if task else {}))

    def error(self, text: str) -> None:
        self._write("ERROR", text)


def describe(snapshot: PredictionSnapshot, rate: float, left: float | None) -> str:
    """The numbers of a progress line."""
    parts = [f"{snapshot.tally.records:,} records", f"{snapshot.tally.errors:,} errors"]
    if rate:
        parts.append(f"{rate:,.0f}/s")
    if left is not None:
        parts.append(f"{duration(left)} left")
    if snapshot.workers:
        parts.append(counted(snapshot.workers, "worker"))
    return ", ".join(parts)


def duration(seconds: float) -> str:
    """Seconds as hours, minutes and seconds, the largest two."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
