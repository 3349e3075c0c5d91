"""Threads one after the other, where together they would only hinder each other."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

MOMENT = 0.25
"""Seconds that a thread waits at most. A crowd of checks is done by then; beside one that hangs it is little."""


class Turns:
    """Lets through one thread at a time, and makes none wait for long. Used from many threads.

    A thread that asks the file system gives the interpreter's lock away at each question and has to win it back; of
    many that ask dozens of small questions each, most of the processor goes into that. One after the other they are
    all done sooner. Nothing relies on it that there is only one: whoever has waited for a moment goes on beside the
    one whose file system does not answer.
    """

    def __init__(self, moment: float = MOMENT) -> None:
        """
        Args:
          moment: seconds that a thread waits at most.
        """
        self._moment = moment
        self._taken = threading.Lock()

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """While the context is open it is this thread's turn, or it has waited long enough."""
        mine = self._taken.acquire(timeout=self._moment)
        try:
            yield
        finally:
            if mine:
                self._taken.release()
