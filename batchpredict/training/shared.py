"""A folder of this machine that all processes share which host replicas of one job here.

Whoever uses it holds a shared lock on a file in it, which ends with the process, however that comes about. Who
leaves and can have the lock alone was the last one, and removes the folder. What killed processes have left is
removed by whoever comes next, of this job or of another.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
import time
import uuid
from collections.abc import Iterator

_LOCK = "in-use"
# Seconds after which a folder without a lock is none that somebody is just making.
_MADE_SECONDS = 60.0


@contextlib.contextmanager
def shared_folder(name: str) -> Iterator[str]:
    """The path of the folder of this name, for as long as it is used.

    Args:
      name: the same for all processes of a job, and for nobody else.

    Raises:
      OSError: it cannot be made, or what is there belongs to another user.
    """
    base = _base()
    path = os.path.join(base, name)
    handle = _enter(path)
    try:
        _sweep(base, name)
        yield path
    finally:
        if _is_alone(handle):
            _remove(path)
        os.close(handle)


def _base() -> str:
    """The folder of all jobs of this user on this machine."""
    path = os.path.join(tempfile.gettempdir(), f"batchpredict-jobs-{os.geteuid()}")
    os.makedirs(path, mode=0o700, exist_ok=True)
    found = os.lstat(path)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise PermissionError(f"The folder '{path}' belongs to somebody else, or others may write to it.")
    return path


def _enter(path: str) -> int:
    lock = os.path.join(path, _LOCK)
    while True:
        try:
            os.makedirs(path, mode=0o700, exist_ok=True)
        except FileExistsError:
            # It was there, and is removed before Python can see that it is a folder.
            if os.path.lexists(path) and not os.path.isdir(path):
                raise
            continue
        try:
            handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            # The last of those who were there has just removed it.
            continue
        fcntl.flock(handle, fcntl.LOCK_SH)
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(handle), os.stat(lock)):
                return handle
        os.close(handle)


def _sweep(base: str, mine: str) -> None:
    """Remove the folders that nobody uses any more."""
    for name in os.listdir(base):
        path = os.path.join(base, name)
        if name == mine:
            continue
        with contextlib.suppress(OSError):
            try:
                handle = os.open(os.path.join(path, _LOCK), os.O_RDWR | os.O_CLOEXEC)
            except FileNotFoundError:
                if time.time() - os.stat(path).st_mtime > _MADE_SECONDS:
                    _remove(path)
                continue
            if _is_alone(handle):
                _remove(path)
            os.close(handle)


def _remove(path: str) -> None:
    """Remove a folder. Under another name: who comes meanwhile must not find half of what was installed there."""
    removed = f"{path}.{uuid.uuid4().hex[:8]}"
    with contextlib.suppress(OSError):
        os.rename(path, removed)
        shutil.rmtree(removed, ignore_errors=True)


def _is_alone(handle: int) -> bool:
    """Whether nobody else has the lock; from now on nobody gets it before the handle is closed."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
