"""What a worker that was killed has left on its machine: processes and folders, found and removed by the next one.

    STATE/workers/WORKER/lock      held as long as the worker lives; the kernel gives it back, however it ends
    STATE/workers/WORKER/runs/RUN  the folder of one run

A worker is known to be dead by its lock. Its guards have killed its jobs' processes already, unless they were
killed too; those that are left carry the run's mark in their environment. When they are gone, the leases of the
dead worker can be given back at once, without waiting for their end.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import signal
import socket
import time
import uuid

from batchpredict.service.worker.isolation import MARK, RunFolder, remove_tree

_KILL_SECONDS = 10.0
_ROUND_SECONDS = 0.02


class WorkerFolder:
    """A worker's folder, and its name, as long as this object is not closed.

    Attributes:
      worker: the id of the worker: name of the machine, and eight digits that nobody had before.

    Raises:
      OSError: it cannot be made.
    """

    def __init__(self, state: str) -> None:
        self._workers = os.path.join(state, "workers")
        self.worker = f"{machine_name()}-{uuid.uuid4().hex[:8]}"
        self.path = os.path.join(self._workers, self.worker)
        # Made under another name, so that nobody finds it without its lock.
        draft = os.path.join(self._workers, f".{self.worker}")
        os.makedirs(os.path.join(draft, "runs"), mode=0o711)
        self._lock = _locked(os.path.join(draft, "lock"))
        os.rename(draft, self.path)

    def new_run(self) -> tuple[str, RunFolder]:
        """The mark and the folder of a run; the folder is not made yet."""
        name = uuid.uuid4().hex[:8]
        return f"{self.worker}/{name}", RunFolder(os.path.join(self.path, "runs", name))

    def bury_dead(self) -> list[str]:
        """Kill and remove whatever dead workers of this machine have left; their ids.

        Those whose processes cannot be killed are left for the next time.
        """
        found = []
        for name in sorted(os.listdir(self._workers)):
            if not name.startswith(f"{machine_name()}-") or name == self.worker:
                continue
            path = os.path.join(self._workers, name)
            try:
                lock = _locked(os.path.join(path, "lock"))
            except OSError:
                # It lives; or another worker buries it at this moment.
                continue
            try:
                if kill_marked(f"{name}/"):
                    found.append(name)
                    remove_tree(path)
            finally:
                os.close(lock)
        return found

    def close(self) -> None:
        """Remove the folder; all runs have ended."""
        remove_tree(self.path)
        os.close(self._lock)


def machine_name() -> str:
    """Name of this machine, as a part of a path."""
    return re.sub(r"[^A-Za-z0-9.-]", "-", socket.gethostname()).strip(".-") or "machine"


def kill_marked(mark: str) -> bool:
    """Kill every process that has a mark, or one that begins with it where it ends in a slash.

    Returns:
      Whether none is left, as far as this process may see.
    """
    end = time.monotonic() + _KILL_SECONDS
    while pids := marked(mark):
        if time.monotonic() > end:
            return False
        for pid in pids:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(_ROUND_SECONDS)
    return True


def marked(mark: str) -> list[int]:
    """Processes that have a mark, or one that begins with it where it ends in a slash."""
    wanted = f"{MARK}={mark}".encode()
    found = []
    for name in os.listdir("/proc") if os.path.isdir("/proc") else ():
        if not name.isdigit() or int(name) == os.getpid():
            continue
        # One that has ended and was not waited for has no environment any more.
        with contextlib.suppress(OSError), open(f"/proc/{name}/environ", "rb") as file:
            variables = file.read().split(b"\0")
            if any(one == wanted or (mark.endswith("/") and one.startswith(wanted)) for one in variables):
                found.append(int(name))
    return found


def _locked(path: str) -> int:
    """A file that is locked until it is closed. Raises OSError if somebody else has locked it."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise
    return handle
