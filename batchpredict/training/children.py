"""The processes of replicas that this process has started, so that none is left when a job is over.

Beam's thread may hold on to a step that hosts replicas when the job is cancelled; whoever submitted it makes sure.
"""

from __future__ import annotations

import threading
import time

from batchpredict.training.replica import Child

# A job's hosting step ends its replicas itself; after so many seconds nobody waits for that.
_PATIENCE = 8.0

_guard = threading.Lock()
_children: dict[str, set[Child]] = {}


def enlist(folder: str, child: Child) -> None:
    """A replica of the job in this folder has been started."""
    with _guard:
        _children.setdefault(folder, set()).add(child)


def discharge(folder: str, child: Child) -> None:
    """It has ended."""
    with _guard:
        _children.get(folder, set()).discard(child)


def end_all(folder: str) -> None:
    """Return when none of the job's replicas is left in this process."""
    deadline = time.monotonic() + _PATIENCE
    while _left(folder) and time.monotonic() < deadline:
        time.sleep(0.05)
    for child in _left(folder):
        child.end(0)
        discharge(folder, child)


def _left(folder: str) -> list[Child]:
    with _guard:
        return list(_children.get(folder, ()))
