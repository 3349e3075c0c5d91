"""Files of this machine.

What a manifest needs, to be there once and whole also after a power cut, is had by writing aside, syncing, and a
hard link or a rename.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import IO, cast

from fsspec.implementations.local import LocalFileSystem

from batchpredict.storage.interface import AgedFile, Input, Store
from batchpredict.storage.order import in_order
from batchpredict.storage.pattern import Pattern, is_magic


class LocalStore(Store):
    """Paths, and file:// URLs. What it lists are paths."""

    is_local = True

    def local_path(self, url: str) -> str:
        if url.startswith("~"):
            # A name to the letter, which a shell would have replaced: fsspec would too, by half.
            return os.path.abspath(url)
        return cast(str, LocalFileSystem._strip_protocol(url))

    def info(self, url: str) -> Input:
        path = self.local_path(url)
        try:
            found = os.stat(path)
        except NotADirectoryError as error:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path) from error
        if stat.S_ISDIR(found.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "Not a regular file", path)
        return _input(path, found)

    def is_directory(self, url: str) -> bool:
        try:
            return stat.S_ISDIR(os.stat(self.local_path(url)).st_mode)
        except (FileNotFoundError, NotADirectoryError):
            return False

    def files(self, folder: str, prefix: str = "") -> Iterator[Input]:
        path = self.local_path(folder)
        names = (name for name, is_folder in _entries(path) if not is_folder and name.startswith(prefix))
        return _regular(os.path.join(path, name) for name in sorted(names))

    def find(self, folder: str, pattern: Pattern) -> Iterator[Input]:
        path = self.local_path(folder)
        return _regular(_below(path.rstrip("/"), "", pattern.enters, pattern.takes))

    def open_read(self, url: str) -> IO[bytes]:
        return open(self.local_path(url), "rb")

    def read_range(self, url: str, start: int, end: int) -> bytes:
        with open(self.local_path(url), "rb") as file:
            file.seek(start)
            return file.read(end - start)

    def read_bytes(self, url: str) -> bytes:
        try:
            with open(self.local_path(url), "rb") as file:
                return file.read()
        except NotADirectoryError as error:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), url) from error

    def open_write(self, url: str) -> IO[bytes]:
        path = self.local_path(url)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return open(path, "wb", buffering=1 << 20)

    def create_if_absent(self, url: str, data: bytes) -> bool:
        """Written aside, synced, and then hard-linked to its name: atomic, and it fails if the name is taken."""
        path = self.local_path(url)
        made = _make_folders(os.path.dirname(path))
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
        for folder in made:
            _sync_folder(os.path.dirname(folder))
        return True

    def replace_bytes(self, url: str, data: bytes) -> None:
        path = self.local_path(url)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.replace(_written_aside(path, data), path)
        _sync_folder(os.path.dirname(path))

    def move(self, source: str, target: str) -> None:
        path = self.local_path(target)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.replace(self.local_path(source), path)

    def delete(self, url: str, *, recursive: bool = False) -> None:
        path = self.local_path(url)
        try:
            if not recursive:
                os.unlink(path)
                return
            # Out of the way in one step: whoever still writes there does not find the folder again.
            aside = f"{path}.{uuid.uuid4().hex[:8]}.deleted"
            os.rename(path, aside)
            if os.path.isdir(aside) and not os.path.islink(aside):
                shutil.rmtree(aside)
            else:
                os.unlink(aside)
        except (FileNotFoundError, NotADirectoryError):
            return

    def download(self, url: str, path: str) -> None:
        shutil.copyfile(self.local_path(url), path)

    def walk(self, folder: str) -> Iterator[AgedFile]:
        return _walk(self.local_path(folder))

    def canonical(self, url: str) -> str:
        """Links are followed."""
        return os.path.realpath(canonical(self.local_path(url)))

    def sync(self, urls: Sequence[str]) -> None:
        folders = set()
        for url in urls:
            path = self.local_path(url)
            folders.add(os.path.dirname(path))
            handle = os.open(path, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
        for folder in folders:
            _sync_folder(folder)

    def sync_folders(self, folders: Sequence[str]) -> None:
        """With every folder above on the same device: nobody knows which of them are new."""
        done = set()
        for folder in folders:
            path = self.local_path(folder)
            device = os.stat(path).st_dev
            while path not in done and os.stat(path).st_dev == device:
                done.add(path)
                try:
                    _sync_folder(path)
                except PermissionError:
                    # It may not be read, so it is none that we have made.
                    break
                path = os.path.dirname(path)


def close_written(file: IO[bytes]) -> None:
    """Close a local file that was written, whose bytes are on their way to the disk then."""
    try:
        if hasattr(os, "posix_fadvise"):
            file.flush()
            # Linux begins to write a file out when it is said not to be needed; nobody waits for that here.
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        file.close()


def tree(folder: str) -> list[Input]:
    """Every file below a folder.

    A link counts as what it is and not as what it leads to: the digests of models are made of this since the first
    version, and name the staging folders of jobs.
    """
    found = LocalFileSystem().find(folder, detail=True)
    return [Input(path, int(info["size"]), f"mtime={info['mtime']}") for path, info in found.items()]


def canonical(path: str) -> str:
    """A local path by which a file has one name: without `.`, `..` and doubled slashes."""
    parts = path.split("/")
    if ".." not in parts:
        return "/" + "/".join(part for part in parts if part not in ("", "."))
    plain = next((at for at, part in enumerate(parts) if is_magic(part)), len(parts) - 1)
    # Only the file system knows where `..` leads from a link.
    folder = os.path.realpath("/".join(parts[:plain]) or "/")
    return "/".join([folder.rstrip("/"), *(part for part in parts[plain:] if part not in ("", "."))])


def _walk(root: str) -> Iterator[AgedFile]:
    def refuse(error: OSError) -> None:
        # What has gone since it was listed is not there.
        if not isinstance(error, FileNotFoundError):
            raise error

    for folder, folders, files in os.walk(root, onerror=refuse):
        names = files if files or folders or folder == root else [""]
        for name in names:
            path = os.path.join(folder, name)
            try:
                status = os.lstat(path)
            except FileNotFoundError:
                continue
            yield AgedFile(path[len(root.rstrip("/")) + 1 :], status.st_size if name else 0, status.st_mtime)


def _input(path: str, found: os.stat_result) -> Input:
    return Input(path, found.st_size, f"mtime={found.st_mtime}", changed=found.st_mtime)


def _regular(paths: Iterator[str] | list[str]) -> Iterator[Input]:
    for path in paths:
        try:
            found = os.stat(path)
        except FileNotFoundError:
            # Deleted since it was listed, or a link that leads nowhere.
            continue
        if stat.S_ISREG(found.st_mode):
            yield _input(path, found)


def _entries(folder: str) -> Iterator[tuple[str, bool]]:
    """Name, and whether it is a folder, of everything in a folder; nothing if there is no such folder."""
    try:
        with os.scandir(folder or "/") as entries:
            for entry in entries:
                yield entry.name, _is_folder(entry)
    except (FileNotFoundError, NotADirectoryError):
        return


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError as error:
        # A link that leads to itself leads nowhere.
        if error.errno != errno.ELOOP:
            raise
        return False


def _below(top: str, folder: str, enters: Callable[[str], bool], takes: Callable[[str], bool]) -> Iterator[str]:
    """Paths below a folder that are taken, sorted. `folder`, and what both are asked about, is relative to `top`.

    Of a million files at most so many names are held as one folder has, and those on the way to it: a folder whose
    name is sorted as if it ended in a slash stands where the paths of all that lies in it stand.
    """
    entries = _entries(f"{top}/{folder}" if folder else top)
    for name in in_order(f"{name}/" if is_folder else name for name, is_folder in entries):
        path = f"{folder}/{name}" if folder else name
        if not name.endswith("/"):
            if takes(path):
                yield f"{top}/{path}"
        elif enters(path[:-1]) and not _leads_up(top, path[:-1]):
            yield from _below(top, path[:-1], enters, takes)


def _leads_up(top: str, path: str) -> bool:
    """Whether a folder is a link to one on the way to it, whose files would be found again and again."""
    if not os.path.islink(f"{top}/{path}"):
        return False
    target = os.path.realpath(f"{top}/{path}")
    parts = path.split("/")
    return any(os.path.realpath("/".join([top, *parts[:count]]) or "/") == target for count in range(len(parts)))


def _make_folders(folder: str) -> list[str]:
    """Make a folder and those above it; gives those that were not there, the deepest first."""
    missing = []
    at = folder
    while at and not os.path.isdir(at):
        missing.append(at)
        at = os.path.dirname(at)
    os.makedirs(folder, exist_ok=True)
    return missing


def _written_aside(path: str, data: bytes) -> str:
    """A synced file of another name in the folder of `path`, to be given its name in one step."""
    folder = os.path.dirname(path)
    aside = os.path.join(folder, f".{uuid.uuid4().hex}.tmp")
    try:
        with open(aside, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        # On a full disk, for one.
        with contextlib.suppress(OSError):
            os.unlink(aside)
        raise
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
