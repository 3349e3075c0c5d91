"""One user process, as its host sees it."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from typing_extensions import Self

from batchpredict.errors import JobFailed
from batchpredict.training.replica import guard
from batchpredict.training.replica.lines import LineSplitter

OnLine = Callable[[str, str], None]
"""Told of a line: "stdout" or "stderr", and its text. From a thread of the child's own."""

TAIL_LINES = 300
"""Lines of stderr that are kept for the message of a failure."""

STDOUT, STDERR, _REPORT = "stdout", "stderr", "report"
_READ_BYTES = 1 << 16
# Once the guard has ended nothing is left that could write; what is still in the pipes is read in moments.
_DRAIN_SECONDS = 5.0
# Not as a module of ours: a bare interpreter starts in a tenth of the time.
_GUARD = (sys.executable, "-I", "-S", os.path.abspath(guard.__file__))


class Child:
    """A process in a session of its own, below a guard: when it ends, is ended, or this process dies, however that
    comes about, nothing of what it started is left. Safe to use from any thread.
    """

    def __init__(self, process: subprocess.Popen[bytes], streams: Mapping[str, int], on_line: OnLine) -> None:
        self._guard = process
        self._on_line = on_line
        self._stdin_lock = threading.Lock()
        self._status: int | None = None
        # What the guard says at its end; it stays so if the guard is killed.
        self._ended = -int(signal.SIGKILL)
        self._pid: int | None = None
        self._error: str | None = None
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._splitters = {STDOUT: LineSplitter(), STDERR: LineSplitter()}
        self._report = b""
        self._thread = threading.Thread(
            target=self._pump, args=(dict(streams),), name="replica-output", daemon=True
        )
        self._thread.start()

    @classmethod
    def start(cls, command: Sequence[str], env: Mapping[str, str], cwd: str, on_line: OnLine) -> Self:
        """Start a process.

        Args:
          env: its whole environment.
          on_line: told of each line of its output; what it raises is dropped, with the line.

        Raises:
          JobFailed: this machine cannot start another process. That the command itself cannot be run is found
            out later: the status is then 127, and `last_lines` says why.
        """
        with contextlib.ExitStack() as opened:
            ends = {}
            theirs = {}
            try:
                for name in (STDOUT, STDERR, _REPORT):
                    ends[name], theirs[name] = os.pipe()
                    opened.callback(os.close, theirs[name])
                charge = {"command": list(command), "cwd": cwd, **theirs}
                process = subprocess.Popen(
                    _GUARD,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    pass_fds=tuple(theirs.values()),
                    env=dict(env),
                    start_new_session=True,
                )
            except (OSError, ValueError) as error:
                for handle in ends.values():
                    os.close(handle)
                raise JobFailed(f"A process cannot be started: {error}") from error
        child = cls(process, ends, on_line)
        child._tell(charge)
        return child

    @property
    def pid(self) -> int | None:
        """Of the user process and its group; None until the guard has started it."""
        return self._pid

    @property
    def last_lines(self) -> list[str]:
        """The last lines of its stderr."""
        return list(self._tail)

    def poll(self) -> int | None:
        """Its exit status once it has ended, nothing it started is left, and all its output was handed on.

        Below 0 for the number of the signal that ended it, as `subprocess` has it; None until then.
        """
        return self._status

    def wait(self, seconds: float | None = None) -> int | None:
        """As `poll`, but waits for the end, at most so long."""
        self._thread.join(seconds)
        return self._status

    def keep(self, seconds: float | None) -> None:
        """Have it killed when so many seconds have passed without another call; None for never.

        For a host that hangs while others take its place.
        """
        self._tell({"within": seconds})

    def end(self, grace_seconds: float, *, wait: bool = True) -> None:
        """End it and all that it started: SIGTERM to its group, after `grace_seconds` SIGKILL to all.

        Whoever ends several does not `wait` for one before the other: the guards count the seconds.
        """
        self._tell({"end": grace_seconds})
        if wait:
            self._thread.join()

    def _tell(self, message: Mapping[str, Any]) -> None:
        stdin = self._guard.stdin
        assert stdin is not None
        with self._stdin_lock, contextlib.suppress(OSError, ValueError):
            stdin.write(json.dumps(message).encode() + b"\n")
            stdin.flush()

    def _pump(self, streams: dict[str, int]) -> None:
        """Hand on the output until all ends are closed."""
        deadline: float | None = None
        with selectors.DefaultSelector() as selector:
            for name, handle in streams.items():
                selector.register(handle, selectors.EVENT_READ, name)
            while selector.get_map() and (deadline is None or time.monotonic() < deadline):
                for key, _ in selector.select(None if deadline is None else _DRAIN_SECONDS / 10):
                    data = os.read(key.fd, _READ_BYTES)
                    self._take(key.data, data)
                    if not data:
                        selector.unregister(key.fd)
                        if key.data == _REPORT:
                            self._bury()
                            deadline = time.monotonic() + _DRAIN_SECONDS
        for handle in streams.values():
            os.close(handle)
        for name, splitter in self._splitters.items():
            self._hand_on(name, splitter.end())
        if self._error is not None:
            self._hand_on(STDERR, [f"The program cannot be started: {self._error}"])
        with self._stdin_lock, contextlib.suppress(OSError):
            assert self._guard.stdin is not None
            self._guard.stdin.close()
        self._status = self._ended

    def _take(self, name: str, data: bytes) -> None:
        if name != _REPORT:
            self._hand_on(name, self._splitters[name].feed(data, time.monotonic()))
            return
        *lines, self._report = (self._report + data).split(b"\n")
        for line in lines:
            said = json.loads(line)
            self._pid = said.get("pid", self._pid)
            self._error = said.get("error", self._error)
            self._ended = said.get("status", self._ended)

    def _bury(self) -> None:
        """The guard has ended. If it was killed, the kernel has killed the process, and its group is left."""
        self._guard.wait()
        if self._guard.returncode != 0 and self._pid is not None:
            with contextlib.suppress(OSError):
                os.killpg(self._pid, signal.SIGKILL)

    def _hand_on(self, name: str, lines: Sequence[str]) -> None:
        for line in lines:
            if name == STDERR:
                self._tail.append(line)
            # A log that fails must not stop the program, which would wait at a full pipe.
            with contextlib.suppress(Exception):
                self._on_line(name, line)
