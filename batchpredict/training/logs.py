"""What replicas write, on its way from the hosts that they run on to whoever watches the job.

    LOGS/WRITER.00001.jsonl    ["2026-01-31T12:00:00.000Z", "master-replica-0", "", "Epoch 1"] a line

The third is the trial, "" if there is none. Object stores cannot append, so the file that grows is written anew,
and is followed by the next one before that costs much.
"""

from __future__ import annotations

import contextlib
import json
import threading
import uuid
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone

from batchpredict import storage

_FLUSH_SECONDS = 1.0
# Bytes of a file that is followed by the next one.
_FILE = 128 * 2**10
# Files of one host: 64 MiB of lines. What comes after is left out.
_FILES = 512
# Lines that wait for a store that is away.
_WAITING = 20_000


@dataclass(frozen=True)
class Line:
    """One line of a replica. `time`: RFC 3339, UTC; `task`: "master-replica-0"; `trial`: "" for none."""

    time: str
    task: str
    trial: str
    text: str


class LogWriter:
    """Writes the lines of all replicas of one host, from a thread of its own. Used from many threads.

    A store that does not take them is asked again with the next ones; the job never waits for it.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._name = uuid.uuid4().hex[:12]
        self._number = 1
        self._written = b""
        self._lines: deque[Line] = deque(maxlen=_WAITING)
        self._closed = threading.Event()
        self._guard = threading.Lock()
        self._thread = threading.Thread(target=self._work, name="training-logs", daemon=True)
        self._thread.start()

    def add(self, task: str, trial: str, text: str) -> None:
        now = datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self._lines.append(Line(now, task, trial, text))

    def close(self) -> None:
        """Write what is left."""
        self._closed.set()
        self._thread.join()

    def flush(self) -> None:
        """Write what has come."""
        with self._guard, contextlib.suppress(OSError):
            while self._lines and self._number <= _FILES:
                self._flush_some()

    def _flush_some(self) -> None:
        taken = []
        data = self._written
        while self._lines and len(data) < _FILE:
            line = self._lines.popleft()
            taken.append(line)
            data += json.dumps([line.time, line.task, line.trial, line.text]).encode() + b"\n"
        url = storage.join(self._folder, f"{self._name}.{self._number:05d}.jsonl")
        try:
            storage.again(lambda: storage.replace_bytes(url, data))
        except OSError:
            self._lines.extendleft(reversed(taken))
            raise
        self._written = data
        if len(data) >= _FILE:
            self._number, self._written = self._number + 1, b""

    def _work(self) -> None:
        while not self._closed.wait(_FLUSH_SECONDS):
            self.flush()
        self.flush()


class LogTail:
    """Reads the lines of all hosts as they come.

    Args:
      folder: of the log.
      earlier: bytes of its files, by name, that are passed over.
    """

    def __init__(self, folder: str, earlier: Mapping[str, int] | None = None) -> None:
        self._folder = folder
        self._read = dict(earlier or {})

    def poll(self) -> list[Line]:
        """The lines that have come since, those of one moment in the order of their times.

        Raises:
          OSError: the store does not answer; what it has is read by the next call.
        """
        lines = []
        for name, size in storage.sizes_in(self._folder).items():
            before = self._read.get(name, 0)
            if size <= before or not name.endswith(".jsonl") or name.startswith("."):
                continue
            data = storage.read_range(storage.join(self._folder, name), before, size)
            whole = data[: data.rfind(b"\n") + 1]
            self._read[name] = before + len(whole)
            lines += list(_parsed(whole))
        return sorted(lines, key=lambda line: line.time)


def _parsed(data: bytes) -> Iterator[Line]:
    for text in data.splitlines():
        with contextlib.suppress(ValueError, TypeError):
            yield Line(*map(str, json.loads(text)))
