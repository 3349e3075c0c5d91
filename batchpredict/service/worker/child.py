"""What processes that a worker starts have in common: how they are asked to stop, how they speak and end."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from typing import NoReturn

import msgspec

from batchpredict.service.worker.protocol import to_line


class StopAsked(BaseException):
    """SIGTERM, as an exception of the main thread; once, as what is done because of it takes its time."""


def stop_when_terminated() -> None:
    """From now on SIGTERM raises StopAsked in the main thread."""
    signal.signal(signal.SIGTERM, _on_terminate)


def stop_no_more() -> None:
    """From now on SIGTERM does nothing: the end has come anyway."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def end(status: int) -> NoReturn:
    """End the process now, with whatever threads it has."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    # Threads of Beam's may still hold on to something, and nothing else needs an end: the guard sees to the rest.
    os._exit(status)


class Pipe:
    """The way to the worker.

    Args:
      handle: file descriptor of the pipe. Nothing that this process starts inherits it.
    """

    def __init__(self, handle: int) -> None:
        os.set_inheritable(handle, False)
        self._handle = handle
        self._lock = threading.Lock()

    def say(self, message: msgspec.Struct) -> None:
        """Say one thing, whole; from any thread."""
        data = to_line(message)
        # Without a worker there is nothing to do: the guard ends this process.
        with self._lock, contextlib.suppress(OSError):
            while data:
                data = data[os.write(self._handle, data) :]


def _on_terminate(number: int, frame: object) -> None:
    del number, frame
    stop_no_more()
    raise StopAsked
