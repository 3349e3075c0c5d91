"""Whether a program hangs at its start: it has written nothing, and does nothing.

A program that waits for something that does not come looks as one that computes, but for two things: it prints no
line, and uses no processor. TensorFlow prints some when it is imported, so this is for what hangs before that: an
import that asks the network, a lock that nobody gives back, a question to a user who is not there.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from batchpredict.training.replica.guard import below

STARTUP_SECONDS = 600.0
"""From its start, after which a program is judged, once: TensorFlow itself would wait for peers for more than an
hour."""

# Of these the last half is looked at: what an import takes before it hangs does not count.
_LOOK_FROM = STARTUP_SECONDS / 2
# Seconds of processor in that time. A loop that looks for a file every second takes a twentieth.
_IDLE_SECONDS = 0.1


class Startup:
    """The start of one program. For one thread, except `wrote`.

    Args:
      began: when it was started, in seconds of the clock that `hangs` is told.
      computed: seconds of processor that it and all that it has started have used; None where that is not known.
    """

    def __init__(self, began: float, computed: Callable[[], float | None]) -> None:
        self._began = began
        self._computed = computed
        self._before: float | None = None
        self._silent = True
        self._judged = False

    @property
    def silent(self) -> bool:
        """Whether it has written nothing so far."""
        return self._silent

    def wrote(self) -> None:
        """It has written a line."""
        self._silent = False

    def hangs(self, now: float) -> bool:
        """Whether it has come to nothing since its start. Asked often; it costs something twice."""
        if self._judged or not self._silent or now < self._began + _LOOK_FROM:
            return False
        if self._before is None:
            self._before = self._computed()
            self._judged = self._before is None
            return False
        if now < self._began + STARTUP_SECONDS:
            return False
        self._judged = True
        after = self._computed()
        return after is not None and after - self._before < _IDLE_SECONDS


def computed(pid: int | None) -> float | None:
    """Seconds of processor that a process has used, and all below it that are there; None if that is not known."""
    if pid is None:
        return None
    ticks = [_ticks(one) for one in (pid, *below(pid))]
    known = [one for one in ticks if one is not None]
    return sum(known) / os.sysconf("SC_CLK_TCK") if known else None


def _ticks(pid: int) -> int | None:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # The name of the program, in parentheses, may hold anything. Of itself, and of children it has buried.
            return sum(map(int, file.read().rpartition(b")")[2].split()[11:15]))
    except (OSError, ValueError):
        return None
