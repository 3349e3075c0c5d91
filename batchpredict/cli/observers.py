"""How a job's progress is shown: a bar on a terminal, a line now and then elsewhere, JSON lines on request."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from datetime import datetime, timezone
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from batchpredict.ledger import Snapshot

# Seconds between two lines where there is no terminal.
_LINE_SECONDS = 10.0
_JSON_SECONDS = 2.0


def choose(*, quiet: bool, json_logs: bool) -> TerminalObserver | LineObserver | JsonObserver:
    """The observer that fits stderr and the flags."""
    if json_logs:
        return JsonObserver(sys.stderr, quiet=quiet, seconds=_JSON_SECONDS)
    if sys.stderr.isatty() and not quiet:
        return TerminalObserver()
    return LineObserver(sys.stderr, quiet=quiet, seconds=_LINE_SECONDS)


class Rate:
    """Records per second of this run, and what is left of it by the bytes that are left."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._started: float | None = None
        self._records = 0

    def update(self, snapshot: Snapshot) -> tuple[float, float | None]:
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


class TerminalObserver:
    """A bar with records, errors, rate, time to go and workers."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        self._bar = Progress(
            TextColumn("{task.fields[phase]}"),
            BarColumn(bar_width=30),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("{task.fields[records]}"),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._bar.add_task("", total=None, phase="starting", records="")
        self._rate = Rate()
        self._bar.start()

    def progress(self, snapshot: Snapshot) -> None:
        rate, left = self._rate.update(snapshot)
        started = snapshot.tally.records > snapshot.resumed.records
        self._bar.update(
            self._task,
            total=max(snapshot.total_bytes, 1),
            completed=min(snapshot.tally.bytes, snapshot.total_bytes),
            phase="scoring" if started else "loading the model",
            records=describe(snapshot, rate, left),
        )

    def warning(self, message: str) -> None:
        self._bar.console.print(f"warning: {message}", style="yellow", markup=False, highlight=False)

    def message(self, text: str) -> None:
        self._bar.console.print(text, markup=False, highlight=False)

    def error(self, text: str) -> None:
        self.close()
        print(text, file=sys.stderr)

    def close(self) -> None:
        self._bar.stop()


class _StreamObserver:
    """What observers share that write lines to a stream: when it is time for the next one, and at what rate.

    Args:
      stream: where to write.
      quiet: only warnings and errors.
      seconds: between two lines of progress.
    """

    def __init__(
        self, stream: IO[str], *, quiet: bool, seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stream = stream
        self._quiet = quiet
        self._seconds = seconds
        self._clock = clock
        self._last = clock()
        self._rate = Rate(clock)

    def progress(self, snapshot: Snapshot) -> None:
        rate, left = self._rate.update(snapshot)
        now = self._clock()
        if not self._quiet and now - self._last >= self._seconds:
            self._last = now
            self._write_progress(snapshot, rate, left)

    def _write_progress(self, snapshot: Snapshot, rate: float, left: float | None) -> None:
        raise NotImplementedError

    def close(self) -> None:
        pass


class LineObserver(_StreamObserver):
    """A line of text now and then."""

    def _write_progress(self, snapshot: Snapshot, rate: float, left: float | None) -> None:
        share = snapshot.tally.bytes / max(snapshot.total_bytes, 1)
        self.message(f"{min(share, 1):4.0%}  {describe(snapshot, rate, left)}")

    def warning(self, message: str) -> None:
        print(f"warning: {message}", file=self._stream, flush=True)

    def message(self, text: str) -> None:
        if not self._quiet:
            print(text, file=self._stream, flush=True)

    def error(self, text: str) -> None:
        print(text, file=self._stream, flush=True)


class JsonObserver(_StreamObserver):
    """JSON lines with the field names of structured logs: time, severity, message, and the counts."""

    def _write_progress(self, snapshot: Snapshot, rate: float, left: float | None) -> None:
        self._write(
            "INFO",
            "progress",
            predictionCount=str(snapshot.tally.predictions),
            errorCount=str(snapshot.tally.errors),
            recordsPerSecond=round(rate, 1),
            secondsLeft=None if left is None else round(left, 1),
            bytesRead=str(snapshot.tally.bytes),
            totalBytes=str(snapshot.total_bytes),
            splitsDone=snapshot.splits_done,
            splits=snapshot.splits,
            workers=snapshot.workers,
        )

    def _write(self, severity: str, message: str, **fields: Any) -> None:
        now = datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = {"time": now, "severity": severity, "message": message, **fields}
        print(json.dumps(line), file=self._stream, flush=True)

    def warning(self, message: str) -> None:
        self._write("WARNING", message)

    def message(self, text: str) -> None:
        if not self._quiet:
            self._write("INFO", text)

    def error(self, text: str) -> None:
        self._write("ERROR", text)


def describe(snapshot: Snapshot, rate: float, left: float | None) -> str:
    """The numbers of a progress line."""
    parts = [f"{snapshot.tally.records:,} records", f"{snapshot.tally.errors:,} errors"]
    if rate:
        parts.append(f"{rate:,.0f}/s")
    if left is not None:
        parts.append(f"{duration(left)} left")
    if snapshot.workers:
        parts.append(f"{snapshot.workers} worker{'' if snapshot.workers == 1 else 's'}")
    return ", ".join(parts)


def duration(seconds: float) -> str:
    """Seconds as hours, minutes and seconds, the largest two."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
