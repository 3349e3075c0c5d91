"""A store in memory for tests: it keeps the contract of `Store`, and can be told to fail and to be slow.

    double = Double()
    with double.mounted():
        storage.replace_bytes(url := f"{double.folder()}/x", b"1")
        double.fail("read_bytes", PermissionError("416"))
        storage.read_bytes(url)      # PermissionError: 416

Names and the texts of errors are varied on purpose, so that code which looks for something in them does not get
far: folders are called what no program should care for, and an error says another thing each time.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import IO, cast

from batchpredict.storage.clients import os_errors
from batchpredict.storage.interface import AgedFile, Input, Store
from batchpredict.storage.pattern import EVERYTHING, Pattern
from batchpredict.storage.ranges import RangeFile
from batchpredict.storage.routing import mounted
from batchpredict.storage.upload import Upload

# What some code would take for something else: a status, a pattern, a chain of file systems, an escape, a query.
NAMES = ("part-00416", "run[1]", "a::b", "404 precondition", "50%25 #1", "x?y*", "größe 日本", "InvalidRange")
TEXTS = (
    "part-00416 is not to be had",
    "404: the precondition 412 of InvalidRange is not met",
    "NoSuchKey or SlowDown (503), but not found",
    "",
    "no such file\n  or is there?",
    "it already exists: 409 Conflict",
)

Hook = Callable[[str, str], None]


@dataclass(frozen=True)
class _Object:
    data: bytes
    generation: int
    encoding: str = ""


class Double(Store):
    """The store. Any number of threads may use it; other processes do not see it.

    Args:
      scheme: of its URLs.

    Attributes:
      before: called with the name of an operation and its URL before it is done, and may raise; what a client of a
        store raises comes out as it would from that store.
      after: the same when it is done: its answer is lost.
      latency: seconds that every operation takes more.
      calls: the operations with their URLs, in order.
      names: the folders that `folder` gives are called by them in turn.
      texts: what errors of the store's own say, in turn.
    """

    def __init__(self, scheme: str = "double") -> None:
        self.before: Hook = _nothing
        self.after: Hook = _nothing
        self.latency = 0.0
        self.calls: list[tuple[str, str]] = []
        self.names = itertools.cycle(NAMES)
        self.texts = itertools.cycle(TEXTS)
        self._scheme = scheme
        self._objects: dict[str, _Object] = {}
        self._numbers = itertools.count(1)
        self._lock = threading.RLock()

    def mounted(self) -> AbstractContextManager[None]:
        """While this lasts, URLs of the scheme are this store's, in this process."""
        return mounted(self._scheme, self)

    def folder(self) -> str:
        """URL of a folder that is not there yet."""
        return f"{self._scheme}://{next(self._numbers)}/{next(self.names)}"

    def put(self, url: str, data: bytes, *, encoding: str = "") -> str:
        """Write a file past `before`, `after` and `calls`. Gives its URL."""
        with self._lock:
            self._objects[url] = _Object(data, next(self._numbers), encoding)
        return url

    def fail(self, operation: str, *errors: BaseException, name: str = "", after: bool = False) -> None:
        """Let an operation on URLs that end in `name` raise some errors in turn, once each.

        Args:
          operation: name of a method, or "upload", which is when the file of `open_write` is sent.
          errors: what is raised.
          name: end of the URLs.
          after: it is done all the same.
        """
        left = list(errors)

        def hook(called: str, url: str) -> None:
            if called == operation and url.endswith(name) and left:
                raise left.pop(0)

        if after:
            self.after = hook
        else:
            self.before = hook

    def info(self, url: str) -> Input:
        with self._operation("info", url):
            found = self._objects.get(url)
            if found is not None:
                return _input(url, found)
            if self._holds(url):
                raise IsADirectoryError(next(self.texts))
            raise FileNotFoundError(next(self.texts))

    def is_directory(self, url: str) -> bool:
        with self._operation("is_directory", url):
            return self._holds(url)

    def files(self, folder: str, prefix: str = "") -> Iterator[Input]:
        begin = f"{folder.rstrip('/')}/"
        with self._operation("files", folder):
            found = sorted(self._objects.items())
        for url, one in found:
            if url.startswith(begin + prefix) and "/" not in url[len(begin) :]:
                yield _input(url, one)

    def find(self, folder: str, pattern: Pattern) -> Iterator[Input]:
        begin = f"{folder.rstrip('/')}/"
        with self._operation("find", folder):
            found = sorted(self._objects.items())
        for url, one in found:
            if url.startswith(begin) and pattern.takes(url[len(begin) :]):
                yield _input(url, one)

    def open_read(self, url: str) -> IO[bytes]:
        with self._operation("open_read", url):
            size = len(self._object(url).data)
        return cast("IO[bytes]", RangeFile(lambda start, end: self.read_range(url, start, end), size))

    def read_range(self, url: str, start: int, end: int) -> bytes:
        with self._operation("read_range", url):
            return self._object(url).data[start:end]

    def read_bytes(self, url: str) -> bytes:
        with self._operation("read_bytes", url):
            return self._object(url).data

    def open_write(self, url: str) -> IO[bytes]:
        with self._operation("open_write", url):
            return cast("IO[bytes]", Upload(lambda file: self._send(url, file.read())))

    def _send(self, url: str, data: bytes) -> None:
        with self._operation("upload", url):
            self.put(url, data)

    def create_if_absent(self, url: str, data: bytes) -> bool:
        with self._operation("create_if_absent", url), self._lock:
            if url in self._objects:
                return False
            self.put(url, data)
            return True

    def replace_bytes(self, url: str, data: bytes) -> None:
        with self._operation("replace_bytes", url):
            self.put(url, data)

    def move(self, source: str, target: str) -> None:
        with self._operation("move", target), self._lock:
            self.put(target, self._object(source).data)
            del self._objects[source]

    def delete(self, url: str, *, recursive: bool = False) -> None:
        with self._operation("delete", url), self._lock:
            if not recursive:
                self._objects.pop(url, None)
                return
            for one in [one for one in self._objects if one.startswith(f"{url.rstrip('/')}/")]:
                del self._objects[one]

    def walk(self, folder: str) -> Iterator[AgedFile]:
        prefix = folder.rstrip("/") + "/"
        for file in self.find(folder, Pattern(EVERYTHING, hidden=True)):
            yield AgedFile(file.url.removeprefix(prefix), file.size, None)

    def download(self, url: str, path: str) -> None:
        with self._operation("download", url), open(path, "wb") as file:
            file.write(self._object(url).data)

    @contextlib.contextmanager
    def _operation(self, name: str, url: str) -> Iterator[None]:
        self.calls.append((name, url))
        if self.latency:
            time.sleep(self.latency)
        with os_errors():
            self.before(name, url)
            yield
            self.after(name, url)

    def _object(self, url: str) -> _Object:
        found = self._objects.get(url)
        if found is None:
            raise FileNotFoundError(next(self.texts))
        return found

    def _holds(self, url: str) -> bool:
        with self._lock:
            return any(one.startswith(f"{url.rstrip('/')}/") for one in self._objects)


def _input(url: str, found: _Object) -> Input:
    return Input(url, len(found.data), f"generation={found.generation}", found.encoding)


def _nothing(_operation: str, _url: str) -> None:
    pass
