"""The log of a job on its way to the store: bounded, and never in the job's way."""

from __future__ import annotations

import re
import threading
from collections import deque
from collections.abc import Sequence
from datetime import datetime

SERVICE = "service"
"""What the service writes of a job, as Cloud Logging's task_name had it."""
MASTER = "master-replica-0"
"""What the job process writes."""

LONGEST_LINE = 8192
"""Characters; what is longer goes on in the next line."""
_WAITING_LINES = 2000
_CLEAN = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f]")
_GLOG = re.compile(r"([IWEF])\d{4} ")

Line = tuple[datetime, str, str, str]
"""(at, severity, task, text), as `JobStore.append_log` takes it."""


class LineBuffer:
    """Lines that wait to be stored. Where they come faster than they are stored, the oldest are dropped, and how
    many is said."""

    def __init__(self, limit: int = _WAITING_LINES) -> None:
        self._lines: deque[Line] = deque()
        self._limit = limit
        self._dropped = 0
        self._lock = threading.Lock()

    def add(self, line: Line) -> None:
        with self._lock:
            self._lines.append(line)
            if len(self._lines) > self._limit:
                self._lines.popleft()
                self._dropped += 1

    def take(self) -> list[Line]:
        """All that wait; they do no more."""
        with self._lock:
            lines, dropped = list(self._lines), self._dropped
            self._lines.clear()
            self._dropped = 0
        if dropped and lines:
            note = f"{dropped} lines were dropped here: they came faster than they could be stored."
            lines.insert(0, (lines[0][0], "WARNING", SERVICE, note))
        return lines

    def put_back(self, lines: Sequence[Line]) -> None:
        """Have lines wait again that could not be stored, before all others."""
        with self._lock:
            self._lines.extendleft(reversed(lines))
            while len(self._lines) > self._limit:
                self._lines.popleft()
                self._dropped += 1


class LineReader:
    """Cuts what a process writes into lines; one without an end is cut too."""

    def __init__(self, longest: int = LONGEST_LINE) -> None:
        self._longest = longest
        self._rest = b""

    def feed(self, data: bytes) -> list[str]:
        """The lines that are complete with these bytes."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        while len(self._rest) > self._longest:
            lines.append(self._rest[: self._longest])
            self._rest = self._rest[self._longest :]
        return [text for line in lines for text in self._texts(line)]

    def end(self) -> list[str]:
        """What is left when nothing comes any more."""
        rest, self._rest = self._rest, b""
        return self._texts(rest) if rest else []

    def _texts(self, line: bytes) -> list[str]:
        # A progress bar writes over its line again and again; what it showed last is what counts.
        shown = line.rstrip(b"\r").rpartition(b"\r")[2]
        text = _CLEAN.sub("", shown.decode("utf-8", "replace")).rstrip()
        return [text[at : at + self._longest] for at in range(0, len(text), self._longest)]


def severity_of(text: str, *, stderr: bool) -> str:
    """How bad a line is that a program wrote, as far as its beginning tells."""
    found = _GLOG.match(text) or re.search(r"\d\d: ([IWEF]) ", text[:40])
    if found:
        return {"I": "INFO", "W": "WARNING", "E": "ERROR", "F": "ERROR"}[found[1]]
    head = text[:80]
    if re.search(r"\b(ERROR|CRITICAL|FATAL)\b", head) or (
        stderr and re.match(r"Traceback |\w*(Error|Exception): ", text)
    ):
        return "ERROR"
    if re.search(r"\bWARN(ING)?\b|\b\w*Warning: ", head):
        return "WARNING"
    return "INFO"
