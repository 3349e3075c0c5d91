"""Every store that fsspec knows a client of: gs://, s3://, memory:// and others, under the contract of `Store`."""

from __future__ import annotations

import calendar
import contextlib
import io
import shutil
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from itertools import islice
from typing import IO, Any, cast

import fsspec
from fsspec.core import url_to_fs
from fsspec.implementations.memory import MemoryFileSystem

from batchpredict.storage.clients import (
    CONFLICT,
    RANGE_NOT_SATISFIABLE,
    file_with_os_errors,
    os_errors,
    status_of,
    with_os_errors,
)
from batchpredict.storage.interface import AgedFile, Input, Store
from batchpredict.storage.listing import objects, protocol_of
from batchpredict.storage.pattern import EVERYTHING, Pattern, is_magic
from batchpredict.storage.retry import again
from batchpredict.storage.upload import Upload
from batchpredict.storage.urls import parent

# Sent as one request; what is longer is sent in requests of this size, one after the other.
_WHOLE = 48 << 20
_COPIED = 8 << 20
# Objects that are deleted by one call of a client, and such calls for odd names at a time.
_DELETED = 1000
_DELETERS = 16
# S3 gives a conflict of two conditional writes back, to be tried again; it lasts as long as a small upload.
_CREATE_ATTEMPTS = 6

_MEMORY = threading.Lock()


class LiteralMemory(MemoryFileSystem):  # type: ignore[misc] # fsspec has no types
    """fsspec's files in memory, of which a name may hold "::" and "://" and is still one of them."""

    @classmethod
    def _strip_protocol(cls, path: Any) -> str:
        name = str(path).removeprefix("memory://").strip("/")
        return f"/{name}" if name else ""


class RemoteStore(Store):
    """A file system of fsspec.

    Args:
      fs: the file system.
    """

    def __init__(self, fs: fsspec.AbstractFileSystem) -> None:
        self._fs = fs
        self._protocol = protocol_of(fs)

    def _path(self, url: str) -> str:
        return cast(str, self._fs._strip_protocol(url))

    def _input(self, path: str, info: dict[str, Any]) -> Input:
        encoding = str(info.get("contentEncoding") or "")
        url = str(self._fs.unstrip_protocol(path))
        encoding = "" if encoding == "identity" else encoding
        return Input(url, int(info["size"]), version_of(info), encoding, changed_of(info))

    def info(self, url: str) -> Input:
        path = self._path(url)
        info = self._info(path)
        if info["type"] == "directory":
            raise IsADirectoryError(f"'{url}' is a folder")
        return self._input(path, info)

    @with_os_errors
    def _info(self, path: str) -> dict[str, Any]:
        self._fs.invalidate_cache(parent(path))
        return cast("dict[str, Any]", self._fs.info(path))

    def is_directory(self, url: str) -> bool:
        try:
            return bool(self._info(self._path(url))["type"] == "directory")
        except FileNotFoundError:
            return False

    def files(self, folder: str, prefix: str = "") -> Iterator[Input]:
        for entry in objects(self._fs, self._path(folder), prefix):
            yield self._input(*entry)

    def find(self, folder: str, pattern: Pattern) -> Iterator[Input]:
        path = self._path(folder).rstrip("/")
        enters = pattern.enters if pattern.deep else None
        for entry in objects(self._fs, path, pattern.prefix, enters=enters):
            if pattern.takes(entry.path[len(path) + 1 :]):
                yield self._input(*entry)

    @with_os_errors
    def open_read(self, url: str) -> IO[bytes]:
        path = self._path(url)
        if isinstance(self._fs, MemoryFileSystem):
            # Its `open` gives every reader the one object that is the file, position and all.
            return io.BytesIO(self._fs.cat_file(path))
        fs = self._undecoded()
        fs.invalidate_cache(parent(path))
        return file_with_os_errors(fs.open(path, "rb", cache_type="none"))

    def read_range(self, url: str, start: int, end: int) -> bytes:
        if start >= end:
            return b""
        try:
            with os_errors():
                return cast(bytes, self._undecoded().cat_file(self._path(url), start=start, end=end))
        except OSError as error:
            # https://www.rfc-editor.org/rfc/rfc9110#name-416-range-not-satisfiable
            if status_of(error) == RANGE_NOT_SATISFIABLE:
                return b""
            raise

    def _undecoded(self) -> Any:
        """A client that gives the bytes as they are stored.

        Google Cloud Storage sends an object that has a Content-Encoding as it is to a client that knows the
        encoding, and size and ranges are those of that; aiohttp knows it, and would hand over something longer.
        https://cloud.google.com/storage/docs/transcoding
        """
        if self._protocol not in ("gs", "gcs"):
            return self._fs
        options = dict(self._fs.storage_options)
        options["session_kwargs"] = {**(options.get("session_kwargs") or {}), "auto_decompress": False}
        return type(self._fs)(*self._fs.storage_args, **options)

    @with_os_errors
    def read_bytes(self, url: str) -> bytes:
        return cast(bytes, self._fs.cat_file(self._path(url)))

    def open_write(self, url: str) -> IO[bytes]:
        path = self._path(url)

        @with_os_errors
        def send(file: IO[bytes]) -> None:
            size = file.seek(0, 2)
            file.seek(0)
            if size <= _WHOLE:
                self._fs.pipe_file(path, file.read())
                return
            with self._fs.open(path, "wb", block_size=_WHOLE) as target:
                shutil.copyfileobj(file, target, _COPIED)

        return cast("IO[bytes]", Upload(send))

    def create_if_absent(self, url: str, data: bytes) -> bool:
        """By fsspec's `mode="create"`, which asks the store for it.

        That is `ifGenerationMatch=0` on Google Cloud Storage and `If-None-Match: *` on S3.
        """
        path = self._path(url)
        return again(
            lambda: self._create(path, data),
            when=lambda error: status_of(error) == CONFLICT,
            attempts=_CREATE_ATTEMPTS,
        )

    @with_os_errors
    def _create(self, path: str, data: bytes) -> bool:
        try:
            # Memory looks first and creates then, so two threads may both find nothing.
            with _MEMORY if isinstance(self._fs, MemoryFileSystem) else contextlib.nullcontext(), os_errors():
                self._fs.pipe_file(path, data, mode="create")
        except FileExistsError:
            # If the store created it, its answer was lost and the client asked again, the second answer is that it
            # exists: then it is ours.
            return not isinstance(self._fs, MemoryFileSystem) and bool(self._fs.cat_file(path) == data)
        return True

    @with_os_errors
    def download(self, url: str, path: str) -> None:
        self._fs.get_file(self._path(url), path)

    def canonical(self, url: str) -> str:
        return str(self._fs.unstrip_protocol(self._path(url))).rstrip("/")

    @with_os_errors
    def replace_bytes(self, url: str, data: bytes) -> None:
        self._fs.pipe_file(self._path(url), data)

    @with_os_errors
    def move(self, source: str, target: str) -> None:
        path = self._path(source)
        self._fs.cp_file(path, self._path(target))
        with contextlib.suppress(FileNotFoundError):
            # Whose answer was lost was asked twice, and the second time there is nothing left to delete.
            self._fs.rm_file(path)

    def walk(self, folder: str) -> Iterator[AgedFile]:
        root = self._path(folder)
        prefix = root.rstrip("/") + "/"
        everything = Pattern(EVERYTHING, hidden=True)
        for entry in objects(self._fs, root, enters=everything.enters):
            yield AgedFile(entry.path.removeprefix(prefix), int(entry.info["size"]), changed_of(entry.info))

    @with_os_errors
    def delete(self, url: str, *, recursive: bool = False) -> None:
        path = self._path(url)
        self._fs.invalidate_cache()
        if not recursive:
            with contextlib.suppress(FileNotFoundError), os_errors():
                self._fs.rm_file(path)
            return
        everything = Pattern(EVERYTHING, hidden=True)
        below = objects(self._fs, path, enters=everything.enters)
        while some := list(islice(below, _DELETED)):
            self._delete_all([entry.path for entry in some])
        if self._protocol not in _FLAT:
            self._delete_folders(path)

    def _delete_all(self, paths: list[str]) -> None:
        # Clients delete many objects in few requests, but take a name that holds a wildcard for a pattern.
        odd = [path for path in paths if is_magic(path) or self._protocol not in _BATCHED]
        plain = [path for path in paths if path not in set(odd)]
        with contextlib.suppress(FileNotFoundError):
            if plain:
                self._fs.rm(plain)
        if odd:
            with ThreadPoolExecutor(_DELETERS) as pool:
                list(pool.map(self._delete_one, odd))

    @with_os_errors
    def _delete_one(self, path: str) -> None:
        with contextlib.suppress(FileNotFoundError), os_errors():
            self._fs.rm_file(path)

    def _delete_folders(self, path: str) -> None:
        """The folders that a deleted folder leaves where folders are more than parts of names, from below."""
        with contextlib.suppress(FileNotFoundError, NotADirectoryError, NotImplementedError):
            for info in self._fs.ls(path, detail=True):
                if info["type"] == "directory":
                    self._delete_folders(info["name"])
            self._fs.rmdir(path)


class ChainedStore(RemoteStore):
    """The store of one URL that chains several file systems, as fsspec writes it: `zip://a.csv::gs://b/c.zip`."""

    def __init__(self, url: str) -> None:
        super().__init__(url_to_fs(url)[0])

    def _path(self, url: str) -> str:
        return cast(str, url_to_fs(url)[1])


# Where a folder is nothing but what names begin with, and where many objects are deleted by one request.
_FLAT = ("gs", "gcs", "s3", "s3a", "http", "https")
_BATCHED = ("gs", "gcs", "s3", "s3a")


# What file systems call the time of the last change; the first is what the listing of a store itself says.
_TIMES = ("updated", "LastModified", "mtime", "modified", "last_modified", "created")


def changed_of(info: Mapping[str, Any]) -> float | None:
    """When a file was written last, in seconds since the epoch; None if its file system does not say."""
    value = next((info[name] for name in _TIMES if info.get(name) is not None), None)
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.replace("Z", "+00:00"))
        except ValueError:
            return None
    if isinstance(value, datetime):
        # Where no zone is said, it is that of the store, which all of them take to be UTC.
        return calendar.timegm(value.utctimetuple()) if value.tzinfo is None else value.timestamp()
    return float(value) if isinstance(value, (int, float)) else None


def version_of(info: dict[str, Any]) -> str:
    """What tells two contents of one name apart, from the strongest that the file system offers."""
    for name in (
        "generation",
        "etag",
        "ETag",
        "VersionId",
        "md5Hash",
        "mtime",
        "LastModified",
        "Last-Modified",
        "created",
    ):
        value = info.get(name)
        if isinstance(value, datetime):
            # The memory file system says it as a date or as seconds, depending on how it is asked.
            value = value.timestamp()
        if value is not None:
            return f"{name}={value}"
    return ""
