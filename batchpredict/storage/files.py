"""The few file operations that the engine needs, each with the guarantee that the commit protocol needs.

What a backend must give (and `tests/storage` checks on each):

* `create_if_absent` is atomic: of any number of callers exactly one creates the object, nobody ever reads
  half of it, and it survives a power cut once the call has returned.
* `move` replaces the target atomically on a file system that can rename; on an object store it is a copy
  followed by a delete, so an interrupted move leaves a whole source behind.
* an object written through `open_write` is visible whole when the file is closed, or (local) under a name
  that nobody looks at before its manifest exists; it survives a power cut once `sync` has returned.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import threading
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO, cast

import fsspec
from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from batchpredict.storage.clients import file_with_os_errors, os_errors, with_os_errors
from batchpredict.storage.listing import objects
from batchpredict.storage.upload import Upload
from batchpredict.storage.urls import join, name_of, parent

# Of so few files it is cheaper to ask one by one than to list.
_FEW = 3


@dataclass(frozen=True)
class Input:
    """A file as it was found: `version` changes when the content does (generation, ETag or mtime)."""

    url: str
    size: int
    version: str


def locate(url: str) -> tuple[fsspec.AbstractFileSystem, str]:
    """The file system of a URL and the path it has there."""
    if "://" not in url:
        # A local name may hold the two colons by which fsspec chains file systems.
        local = LocalFileSystem()
        return local, cast(str, local._strip_protocol(url))
    if url.startswith(("gs://", "gcs://")) and "STORAGE_EMULATOR_HOST" in os.environ:
        # gcsfs asks for the kind of a bucket by another protocol, which no emulator speaks, and waits a minute.
        os.environ.setdefault("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
    fs, path = url_to_fs(url)
    return fs, cast(str, path)


def is_local(url: str) -> bool:
    return isinstance(locate(url)[0], LocalFileSystem)


def local_path(url: str) -> str:
    """The path of a local URL in the operating system's terms."""
    return locate(url)[1]


@with_os_errors
def exists(url: str) -> bool:
    fs, path = locate(url)
    fs.invalidate_cache(parent(path))
    return bool(fs.exists(path))


@with_os_errors
def is_directory(url: str) -> bool:
    fs, path = locate(url)
    return bool(fs.isdir(path))


@with_os_errors
def size_of(url: str) -> int:
    """Bytes of a file. Raises FileNotFoundError."""
    fs, path = locate(url)
    if isinstance(fs, LocalFileSystem):
        return os.stat(path).st_size
    fs.invalidate_cache(parent(path))
    return int(fs.info(path)["size"])


@with_os_errors
def open_read(url: str) -> IO[bytes]:
    """Open for sequential reading in large pieces from any offset: one `read(n)` is one ranged request."""
    fs, path = locate(url)
    if isinstance(fs, LocalFileSystem):
        return open(path, "rb")
    if isinstance(fs, MemoryFileSystem):
        # Its `open` gives every reader the one object that is the file, position and all.
        return io.BytesIO(fs.cat_file(path))
    return file_with_os_errors(fs.open(path, "rb", cache_type="none"))


@with_os_errors
def read_range(url: str, start: int, end: int) -> bytes:
    """Bytes [start, end) of a file, less what lies behind its end. One request, and nothing is asked before it."""
    fs, path = locate(url)
    try:
        return cast(bytes, fs.cat_file(path, start=start, end=end))
    except Exception as error:
        # https://www.rfc-editor.org/rfc/rfc9110#name-416-range-not-satisfiable
        if "416" in str(error) or "InvalidRange" in str(error):
            return b""
        raise


@with_os_errors
def open_write(url: str) -> IO[bytes]:
    """Open a new file for writing; folders are made as needed. Close it with `close_written`."""
    fs, path = locate(url)
    if isinstance(fs, LocalFileSystem):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return open(path, "wb", buffering=1 << 20)
    return cast("IO[bytes]", Upload(fs, path))


@with_os_errors
def close_written(file: IO[bytes]) -> None:
    """Close a file that was opened by `open_write`. Its bytes are on their way to stable storage; see `sync`."""
    if isinstance(file, Upload):
        file.finish()
        return
    try:
        if isinstance(file, io.BufferedWriter) and hasattr(os, "posix_fadvise"):
            file.flush()
            # Linux begins to write a file out when it is said not to be needed; nobody waits for that here.
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        file.close()


@with_os_errors
def sync(*urls: str) -> None:
    """Wait until files, and their names, are on stable storage. Object stores answer only when they are."""
    folders = set()
    for url in urls:
        fs, path = locate(url)
        if isinstance(fs, LocalFileSystem):
            folders.add(os.path.dirname(path))
            handle = os.open(path, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
    for folder in folders:
        _sync_folder(folder)


@with_os_errors
def sync_folders(*folders: str) -> None:
    """Wait until the names in folders, and those of the folders themselves, are on stable storage.

    Every folder above is synced too, as far as it is on the same device: nobody knows which of them are new. Object
    stores have no folders.
    """
    done = set()
    for url in folders:
        fs, path = locate(url)
        if not isinstance(fs, LocalFileSystem):
            continue
        device = os.stat(path).st_dev
        while path not in done and os.stat(path).st_dev == device:
            done.add(path)
            try:
                _sync_folder(path)
            except PermissionError:
                # It may not be read, so it is none that we have made.
                break
            path = os.path.dirname(path)


@with_os_errors
def read_bytes(url: str) -> bytes:
    """The whole of a small file. Raises FileNotFoundError."""
    fs, path = locate(url)
    return cast(bytes, fs.cat_file(path))


@with_os_errors
def create_if_absent(url: str, data: bytes) -> bool:
    """Create `url` with `data` unless it exists. True if this call created it.

    Callers that race give distinct data, so that each can tell afterwards whose object it is.

    Local files are written aside, synced and then hard-linked to their name, which is atomic and fails if the
    name is taken. Elsewhere fsspec's `mode="create"` asks the store for it (`ifGenerationMatch=0` on Google
    Cloud Storage, `If-None-Match: *` on S3).
    """
    fs, path = locate(url)
    if isinstance(fs, LocalFileSystem):
        return _link_if_absent(path, data)
    try:
        if isinstance(fs, MemoryFileSystem):
            # It looks first and creates then, so two threads may both find nothing.
            with _MEMORY:
                fs.pipe_file(path, data, mode="create")
        else:
            with os_errors():
                fs.pipe_file(path, data, mode="create")
    except FileExistsError:
        return _is_ours(fs, path, data)
    except OSError as error:
        if "precondition" in str(error).lower() or error.errno == errno.EEXIST:
            return _is_ours(fs, path, data)
        raise
    return True


_MEMORY = threading.Lock()


def _is_ours(fs: fsspec.AbstractFileSystem, path: str, data: bytes) -> bool:
    """Whether the object that is in the way is the one that this call sent.

    It is if the store created it, its answer was lost and the client asked again: the second answer is then
    that it exists.
    """
    return not isinstance(fs, MemoryFileSystem) and cast(bytes, fs.cat_file(path)) == data


def _link_if_absent(path: str, data: bytes) -> bool:
    aside = _written_aside(path, data)
    try:
        os.link(aside, path)
    except FileExistsError:
        return False
    except OSError as error:
        # Some network file systems have no hard links; an exclusive create is then the best there is.
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS):
            raise
        try:
            with open(path, "xb") as file:
                file.write(data)
                os.fsync(file.fileno())
        except FileExistsError:
            return False
    finally:
        os.unlink(aside)
    _sync_folder(os.path.dirname(path))
    return True


def _written_aside(path: str, data: bytes) -> str:
    """A synced file of another name in the folder of `path`, to be given its name in one step."""
    folder = os.path.dirname(path)
    os.makedirs(folder, exist_ok=True)
    aside = os.path.join(folder, f".{uuid.uuid4().hex}.tmp")
    with open(aside, "xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    return aside


def _sync_folder(folder: str) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        # Not every file system syncs folders; those that do not have nothing better to offer.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):
            raise
    finally:
        os.close(handle)


@with_os_errors
def replace_bytes(url: str, data: bytes) -> None:
    """Write a small file, replacing what is there in one step."""
    fs, path = locate(url)
    if not isinstance(fs, LocalFileSystem):
        fs.pipe_file(path, data)
        return
    os.replace(_written_aside(path, data), path)
    _sync_folder(os.path.dirname(path))


@with_os_errors
def move(source: str, target: str) -> None:
    """Give `source` the name `target`, replacing what is there. Raises FileNotFoundError without a source."""
    fs, path = locate(source)
    _, target_path = locate(target)
    if isinstance(fs, LocalFileSystem):
        os.makedirs(os.path.dirname(target_path), exist_ok=True)
        os.replace(path, target_path)
        return
    fs.cp_file(path, target_path)
    with contextlib.suppress(FileNotFoundError):
        # Whose answer was lost was asked twice, and the second time there is nothing left to delete.
        fs.rm_file(path)


@with_os_errors
def delete(url: str, *, recursive: bool = False) -> None:
    """Delete a file or, with `recursive`, a folder; what is not there is fine."""
    fs, path = locate(url)
    fs.invalidate_cache()
    try:
        if recursive and isinstance(fs, LocalFileSystem):
            # Out of the way in one step: whoever still writes there does not find the folder again.
            aside = f"{path}.{uuid.uuid4().hex[:8]}.deleted"
            os.rename(path, aside)
            path = aside
        fs.rm(path, recursive=recursive)
    except FileNotFoundError:
        return


@with_os_errors
def sizes_in(folder: str) -> dict[str, int]:
    """Names (not paths) of the files in a folder, sorted, with their bytes; empty if there is no such folder."""
    fs, path = locate(folder)
    if not isinstance(fs, LocalFileSystem):
        return {name_of(entry.path): int(entry.info["size"]) for entry in objects(fs, path)}
    try:
        with os.scandir(path) as entries:
            found = {entry.name: entry.stat().st_size for entry in entries if entry.is_file()}
    except (FileNotFoundError, NotADirectoryError):
        return {}
    return dict(sorted(found.items()))


@with_os_errors
def sizes_of(folder: str, names: Sequence[str]) -> dict[str, int]:
    """Bytes of those of `names` that are files in a folder. Names that begin alike cost a store one listing."""
    fs, path = locate(folder)
    found: dict[str, int] = {}
    if isinstance(fs, LocalFileSystem) or len(names) <= _FEW:
        for name in names:
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                found[name] = size_of(join(folder, name))
        return found
    wanted = set(names)
    prefix = os.path.commonprefix(list(names))  # noqa: RUF071 - of characters, not of folders
    for entry in objects(fs, path, prefix):
        if (name := name_of(entry.path)) in wanted:
            found[name] = int(entry.info["size"])
    return found


@with_os_errors
def any_begins(folder: str, prefix: str) -> bool:
    """Whether there is a file in a folder whose name begins like this."""
    fs, path = locate(folder)
    if not isinstance(fs, LocalFileSystem):
        return any(True for _ in objects(fs, path, prefix))
    try:
        with os.scandir(path) as entries:
            return any(entry.name.startswith(prefix) and entry.is_file() for entry in entries)
    except (FileNotFoundError, NotADirectoryError):
        return False


def list_names(folder: str) -> list[str]:
    """Names (not paths) of the files in a folder, sorted; empty if there is no such folder."""
    return list(sizes_in(folder))
