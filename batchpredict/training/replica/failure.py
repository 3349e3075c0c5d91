"""The sentence that says why a replica failed, in the service's words."""

from __future__ import annotations

import re
import signal
from collections.abc import Sequence

from batchpredict.training.cluster import Replica

# Of a traceback, which may be hundreds of frames of a framework: its head and its end.
_TRACEBACK_LINES = 20
_HEAD = "Traceback (most recent call last):"
# Of a program that left no traceback.
_OTHER_LINES = 5
# Signals that somebody else has sent: what the program wrote last has nothing to do with them.
_FROM_OUTSIDE = (-signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT, -signal.SIGHUP)
# What TensorFlow says of its doings.
_CHATTER = re.compile(r"[IW]\d{4} |\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+: [IW] ")
# What loggers write, and what TensorFlow does at its end: no part of an exception's message.
_LOG_LINE = re.compile(r"[IWEF]\d{4} |\d{4}-\d\d-\d\d[ T]\d\d:\d\d|(DEBUG|INFO|WARNING|ERROR)[: ]")


def failure_sentence(replica: Replica, status: int, tail: Sequence[str]) -> str:
    """Why a replica failed.

    Args:
      status: its exit status, below 0 for the number of the signal that ended it.
      tail: the last lines of its stderr.
    """
    # A shell gives the end by a signal as a status above 128, and so did the service.
    shown = status if status >= 0 else 128 - status
    sentence = f"The replica {replica.words} exited with a non-zero status of {shown}. {_reason(status)}"
    last = _last_lines(tail) if status not in _FROM_OUTSIDE else []
    return "\n".join([f"{sentence} {last[0]}", *last[1:]]) if last else sentence


def _reason(status: int) -> str:
    if status >= 0:
        return "Termination reason: Error."
    try:
        return f"Termination reason: Signal {-status} ({signal.Signals(-status).name})."
    except ValueError:
        return f"Termination reason: Signal {-status}."


def _last_lines(tail: Sequence[str]) -> list[str]:
    lines = [line.rstrip() for line in tail if line.strip()]
    heads = [index for index, line in enumerate(lines) if line.strip() == _HEAD]
    if not heads:
        return [line for line in lines if not _CHATTER.match(line)][-_OTHER_LINES:]
    traceback = _traceback(lines[heads[-1] :])
    if len(traceback) <= _TRACEBACK_LINES:
        return traceback
    return [_HEAD, "  ...", *traceback[2 - _TRACEBACK_LINES :]]


def _traceback(lines: Sequence[str]) -> list[str]:
    """The lines up to the end of the exception's message, which may have several."""
    found = [lines[0].strip()]
    in_frames = True
    for line in lines[1:]:
        if line.startswith(" ") and in_frames:
            found.append(line)
            continue
        if not in_frames and _LOG_LINE.match(line):
            break
        in_frames = False
        found.append(line)
    return found
