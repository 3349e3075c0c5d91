"""`batchpredict serve` as a process of its own, for tests of whatever talks to it."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping

import support

_LISTENS = re.compile(r"batchpredict serve: listening on (https?://\S+?),? ")
# Seconds in which a service that is to begin or to end does so on a machine that is busy.
_PATIENCE = 120.0


class Served:
    """A service that listens.

    Attributes:
      endpoint: its URL.
      process: `batchpredict serve`.
    """

    def __init__(self, folder: str, flags: tuple[str, ...], environment: Mapping[str, str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "batchpredict", "serve", *flags],
            cwd=folder,
            env={**_without_settings(), **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._lines: list[str] = []
        self._listens = threading.Event()
        self.endpoint = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._listens.wait(_PATIENCE)
        if not self.endpoint:
            self.kill()
            raise AssertionError(f"the service does not listen:\n{self.said}")

    @property
    def said(self) -> str:
        """All that it wrote to stderr."""
        return "".join(self._lines)

    def stop(self) -> int:
        """End it with Ctrl-C; its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(_PATIENCE)
        finally:
            self.kill()

    def kill(self) -> None:
        """End it at once, as a power cut does."""
        self.process.kill()
        self.process.wait()
        self._reader.join(_PATIENCE)
        assert self.process.stderr is not None
        self.process.stderr.close()

    def _read(self) -> None:
        assert self.process.stderr is not None
        with contextlib.suppress(ValueError):
            for line in self.process.stderr:
                self._lines.append(line)
                if found := _LISTENS.match(line):
                    self.endpoint = found[1]
                    self._listens.set()
        self._listens.set()


@contextlib.contextmanager
def serving(folder: str, *flags: str, environment: Mapping[str, str] | None = None) -> Iterator[Served]:
    """Have a service with its working directory and data in a folder, on a port of its own.

    Ctrl-C ends it afterwards, and has to do so well.
    """
    served = Served(folder, ("--port", "0", *flags), environment or {})
    try:
        yield served
        status = served.stop()
        assert status == 0, f"the service ended with {status}:\n{served.said}"
    finally:
        if served.process.poll() is None:
            served.kill()


def _without_settings() -> dict[str, str]:
    """The environment without what a reader of these tests may have set for services of their own."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("BATCHPREDICT_") or name.startswith("BATCHPREDICT_CACHE")
    }
    return {**kept, "PYTHONPATH": os.pathsep.join(filter(None, [support.ROOT, os.environ.get("PYTHONPATH")]))}
