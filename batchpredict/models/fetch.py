"""A model at a URL, brought to this machine once, however many workers ask for it at the same time.

CACHE/models/DIGEST             a copy, named by its URL and by the names, sizes and versions of its files
CACHE/models/DIGEST.XXXXXXXX    one that is being made, or deleted, or was left behind by a process that died
CACHE/models/DIGEST.lock        locked by whoever makes or deletes the copy
CACHE/models/DIGEST.used        locked shared by every process that uses the copy, until it ends, and exclusively
                                by whoever deletes it; its time is when the copy was last asked for
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import re
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

from batchpredict import storage
from batchpredict.errors import JobFailed, ModelUnusable

_NAMES = ("saved_model.pb", "saved_model.pbtxt")
# A model that changes this often while it is copied is being written.
_ATTEMPTS = 3
# What copies may take on a disk if nobody says: some large models, or hundreds of the usual ones.
_CACHE_BYTES = 32 << 30
# Of a download these are said by the disk that it goes to, and not by the store.
_OF_DISKS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
_DIGEST = re.compile(r"([0-9a-f]{32})(\.[0-9a-f]{8})?")

_Files = list[tuple[str, int, str]]

# Locks of the copies that this process uses, as file descriptors. They end with it.
_used: dict[str, int] = {}


def model_files(uri: str) -> _Files:
    """Every file of a SavedModel: path relative to its folder, bytes, version. Sorted by path.

    Raises:
      ModelUnusable: there is no SavedModel at `uri`.
    """
    try:
        found = storage.tree(uri)
        is_file = not found and storage.exists(uri) and not storage.is_directory(uri)
    except (OSError, ValueError, ImportError) as error:
        raise _unreadable(uri, error) from error
    if is_file:
        raise ModelUnusable(f"uri: '{uri}' is a file; give the folder of the SavedModel.")
    files = sorted((name, file.size, file.version) for name, file in found.items())
    if not any(name in _NAMES for name, _, _ in files):
        there = "there is no saved_model.pb in that folder" if files else "there is no such folder"
        raise ModelUnusable(f"uri: '{uri}' is not a SavedModel: {there}.")
    return files


def model_digest(uri: str) -> str:
    """What tells two contents of a model's folder apart: a hash of the names, sizes and versions of its files.

    Raises:
      ModelUnusable: there is no SavedModel at `uri`.
    """
    return hashlib.sha256(repr(model_files(uri)).encode()).hexdigest()


def cache_folder() -> str:
    """Where fetched models are kept: $BATCHPREDICT_CACHE, else the user's cache folder."""
    named = os.environ.get("BATCHPREDICT_CACHE")
    if named:
        return named
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(home, "batchpredict")


def cache_bytes() -> int:
    """What fetched models may take on the disk: $BATCHPREDICT_CACHE_BYTES, else 32 GiB.

    Raises:
      ModelUnusable: the variable holds something else than a number.
    """
    named = os.environ.get("BATCHPREDICT_CACHE_BYTES")
    if not named:
        return _CACHE_BYTES
    if not named.isdecimal():
        raise ModelUnusable(f"BATCHPREDICT_CACHE_BYTES: '{named}' is not a number of bytes.")
    return int(named)


def fetch_model(uri: str, cache: str | None = None) -> str:
    """The local folder of a model. A local model is used where it is.

    A remote one is copied to a folder named by its URL and the versions of its files, so a changed model is a
    new copy. A lock makes later callers wait for the first. The copy gets its name when it is whole and its source
    is still what it was, so one that was interrupted, or that mixes two models, is never used. The copies that were
    not asked for longest are deleted when all together take more than `cache_bytes`.

    Raises:
      ModelUnusable: there is no SavedModel at `uri`, or it cannot be read.
      JobFailed: the cache's folder cannot be used.
    """
    if _is_local(uri):
        return storage.local_path(uri)
    limit = cache_bytes()
    files = model_files(uri)
    folder = _made(os.path.join(cache or cache_folder(), "models"))
    for _ in range(_ATTEMPTS):
        digest = hashlib.sha256(repr((uri, files)).encode()).hexdigest()[:32]
        target = os.path.join(folder, digest)
        with _caching(folder):
            used = _use(target)
        if used:
            return target
        files = _copied(uri, files, target)
        with _caching(folder):
            used = _use(target)
        if used:
            # In this order: what is used stays, whatever the bound. A model that is here fails no job for others.
            with contextlib.suppress(OSError, JobFailed):
                clean_cache(limit, cache=os.path.dirname(folder))
            return target
    raise ModelUnusable(
        f"uri: the model at '{uri}' changes while it is copied; run the job again when it has been written."
    )


@dataclass(frozen=True)
class Cleaned:
    """What `clean_cache` deleted: copies of models, and their bytes."""

    models: int
    bytes: int


def clean_cache(limit: int | None = None, *, older_than: float = 0.0, cache: str | None = None) -> Cleaned:
    """Delete copies of models that no process uses, the ones that were not asked for longest first.

    Args:
      limit: bytes that all copies may take afterwards; by default `cache_bytes()`. 0 deletes every unused copy.
      older_than: seconds since a copy was asked for, before which it stays.
      cache: the cache's folder, by default `cache_folder()`.

    Raises:
      ModelUnusable: $BATCHPREDICT_CACHE_BYTES is none.
      JobFailed: the cache's folder cannot be read.
    """
    limit = cache_bytes() if limit is None else limit
    folder = os.path.join(cache or cache_folder(), "models")
    with _caching(folder):
        return _cleaned(folder, limit, older_than)


def _cleaned(folder: str, limit: int, older_than: float) -> Cleaned:
    try:
        names = [name for name in os.listdir(folder) if _DIGEST.fullmatch(name)]
    except FileNotFoundError:
        return Cleaned(0, 0)
    sizes = {name: _bytes_below(os.path.join(folder, name)) for name in names}
    total = sum(sizes.values())
    models = freed = 0
    # What was left behind goes first: its time counts for nothing.
    for name in sorted(names, key=lambda name: ("." not in name, _asked(folder, name))):
        left_behind = "." in name
        if not left_behind and (total <= limit or _asked(folder, name) > time.time() - older_than):
            continue
        # What is another user's to delete, stays.
        with contextlib.suppress(PermissionError):
            if not _deleted(os.path.join(folder, name)):
                continue
            total -= sizes[name]
            freed += sizes[name]
            models += not left_behind
    return Cleaned(models, freed)


def _unreadable(uri: str, error: Exception) -> ModelUnusable:
    return ModelUnusable(f"uri: the model at '{uri}' cannot be read: {error}")


def _is_local(uri: str) -> bool:
    try:
        return storage.is_local(uri)
    except (ImportError, ValueError) as error:
        # No such protocol, or its package is not installed.
        raise _unreadable(uri, error) from error


def _made(folder: str) -> str:
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError:
        # A machine whose user has no home, as in some containers.
        folder = os.path.join(tempfile.gettempdir(), f"batchpredict-{os.getuid()}", "models")
        with _caching(folder):
            os.makedirs(folder, exist_ok=True)
    return folder


@contextlib.contextmanager
def _caching(folder: str) -> Iterator[None]:
    """Steps in the folder of the copies.

    Raises:
      JobFailed: an OSError was raised within.
    """
    try:
        yield
    except OSError as error:
        raise JobFailed(
            f"The cache of models '{folder}' cannot be used: {error}. Make room there, let this user write "
            "to it, or name another folder in BATCHPREDICT_CACHE."
        ) from error


def _locked(path: str, how: int) -> int | None:
    """A lock on a file that is made for it, as a file descriptor whose end is its end.

    None if others hold it and `how` says not to wait.
    """
    while True:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(lock, how)
            # Whoever deletes a copy deletes its locks as well, which others may have waited for.
            if os.fstat(lock).st_ino == os.stat(path).st_ino:
                return lock
        except BlockingIOError:
            os.close(lock)
            return None
        except FileNotFoundError:
            pass
        os.close(lock)


def _use(target: str) -> bool:
    """Whether there is a copy, which stays then as long as this process lives."""
    if not os.path.isdir(target):
        return False
    lock = _locked(f"{target}.used", fcntl.LOCK_SH)
    assert lock is not None
    if not os.path.isdir(target):
        os.close(lock)
        return False
    os.utime(lock)
    if _used.setdefault(target, lock) != lock:
        os.close(lock)
    return True


def _copied(uri: str, files: _Files, target: str) -> _Files:
    """Copy a model, unless somebody has. Gives what its source is then; if that is not `files` there is no copy."""
    folder = os.path.dirname(target)
    with _caching(folder):
        lock = _locked(f"{target}.lock", fcntl.LOCK_EX)
    assert lock is not None
    with os.fdopen(lock):
        if os.path.isdir(target):
            return files
        aside = f"{target}.{uuid.uuid4().hex[:8]}"
        try:
            with _caching(folder):
                # A SavedModel without variables need not have the folder, and some stores keep no empty ones.
                for path in ("variables", *(os.path.dirname(name) for name, _, _ in files)):
                    os.makedirs(os.path.join(aside, path), exist_ok=True)
            for name, _, _ in files:
                storage.download(storage.join(uri, name), os.path.join(aside, name))
            found = model_files(uri)
            if found == files:
                with _caching(folder):
                    os.rename(aside, target)
            return found
        except OSError as error:
            if error.errno in _OF_DISKS:
                with _caching(folder):
                    raise
            # A file may be gone because the model is being replaced.
            if (found := model_files(uri)) != files:
                return found
            raise _unreadable(uri, error) from error
        finally:
            shutil.rmtree(aside, ignore_errors=True)


def _asked(folder: str, name: str) -> float:
    """When a copy was last asked for, in seconds since the epoch."""
    try:
        return os.stat(os.path.join(folder, f"{name}.used")).st_mtime
    except FileNotFoundError:
        return 0.0


def _bytes_below(folder: str) -> int:
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(parent, name)).st_size
            except FileNotFoundError:
                continue
    return total


def _deleted(path: str) -> bool:
    """Delete a copy, or what was left of one, unless somebody makes or uses it. Whether it is gone."""
    folder, name = os.path.split(path)
    target = os.path.join(folder, name.partition(".")[0])
    with contextlib.ExitStack() as locks:
        for kind in ("lock", "used"):
            lock = _locked(f"{target}.{kind}", fcntl.LOCK_EX | fcntl.LOCK_NB)
            if lock is None:
                return False
            locks.callback(os.close, lock)
        if path == target:
            # Under its name a copy is whole or not there, also when this is interrupted.
            path = f"{target}.{uuid.uuid4().hex[:8]}"
            os.rename(target, path)
        shutil.rmtree(path, ignore_errors=True)
        if not os.path.isdir(target):
            os.unlink(f"{target}.used")
            os.unlink(f"{target}.lock")
    return not os.path.isdir(path)
