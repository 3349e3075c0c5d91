"""What a process asks of Linux about itself; see prctl(2). Imports next to nothing: guards use it."""

from __future__ import annotations

import contextlib
import ctypes

PDEATHSIG = 1
"""The signal that it gets when its parent dies."""
DUMPABLE = 4
"""0: others of its user read neither its memory nor its environment. Whatever it executes begins with 1 again."""
CHILD_SUBREAPER = 36
"""1: orphans below it become its children."""


def prctl(option: int, value: int) -> None:
    """Set an option; nothing where there is no such call, as outside of Linux."""
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)
