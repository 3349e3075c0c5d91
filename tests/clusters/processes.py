"""Server processes of tests. None of them outlives the test session, whatever happens to it."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence

import psutil
import support

CACHE = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "batchpredict-tests")
"""Where `tests/clusters/install` puts what it installs."""

# Reads process groups, a line each, and kills them when its stdin closes: when the session ends, even by SIGKILL.
_REAPER = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
groups = [int(line) for line in sys.stdin]
for group in groups:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        pass
"""


@functools.cache
def _reaper() -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", _REAPER], stdin=subprocess.PIPE, start_new_session=True, bufsize=0
    )


def free_port() -> int:
    """A port of 127.0.0.1 on which nobody listens at this moment."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def listens(port: int, host: str = "127.0.0.1") -> bool:
    with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=1):
        return True
    return False


class Server:
    """A process in a group of its own, with what it says in a log file.

    Args:
      name: for messages.
      command: what to run.
      log: file that its output is appended to.
      ready: whether it has come up.
      env: of the process; that of the session by default.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: str,
        ready: Callable[[], bool],
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        with open(log, "ab") as output:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                env=dict(os.environ if env is None else env),
            )
        self._log = log
        self._ready = ready
        stdin = _reaper().stdin
        assert stdin is not None
        stdin.write(f"{self.pid}\n".encode())

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait_ready(self, seconds: float = 60) -> Server:
        """Wait until it has come up."""

        def come_up() -> bool:
            if self._process.poll() is not None:
                with open(self._log, errors="replace") as file:
                    raise AssertionError(f"{self.name} has ended:\n{file.read()[-3000:]}")
            return self._ready()

        support.wait_until(come_up, seconds, f"{self.name} (see {self._log})")
        return self

    def kill(self) -> None:
        """`kill -9` of the process and all that it has started."""
        children = psutil.Process(self.pid).children(recursive=True) if self._process.poll() is None else []
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        for child in children:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        self._process.wait()
