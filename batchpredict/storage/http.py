"""Files of a web server, to be read: http:// and https://.

A server tells less than a store. What it does not tell is asked for in another way or is an error; it is never
guessed, and a page of HTML is never taken for data. A folder is what a server shows as a page of links to the files
that lie below it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import IO, Any, NoReturn, TypeVar, cast

import fsspec
from fsspec.asyn import sync

from batchpredict.storage.clients import os_errors, status_of
from batchpredict.storage.interface import Input
from batchpredict.storage.pattern import Pattern
from batchpredict.storage.ranges import RangeFile
from batchpredict.storage.remote import RemoteStore, version_of
from batchpredict.storage.retry import again, may_pass
from batchpredict.storage.urls import name_of

_Result = TypeVar("_Result")

_CHUNK = 1 << 20
# Bytes of a page that tell whether it is one.
_HEAD = 512
_PLAIN = ("", "identity")
# A server may allow GET alone: one that was written by hand, or a URL that is signed for it.
_NO_HEAD = (400, 403, 405, 501)


class HttpStore(RemoteStore):
    """fsspec's client of web servers, with its settings."""

    def __init__(self, fs: fsspec.AbstractFileSystem) -> None:
        super().__init__(fs)

    def info(self, url: str) -> Input:
        found = self._ask(url)
        if found["page"] and found["url"].endswith("/"):
            raise IsADirectoryError(f"'{url}' is a folder")
        if found["encoding"] not in _PLAIN:
            raise OSError(
                f"the server sends '{url}' with Content-Encoding: {found['encoding']} though it was asked not to, "
                "so that its bytes cannot be counted; copy the file to this machine or to a store"
            )
        if found["page"] and self._read(url, 0, _HEAD).lstrip().startswith(b"<"):
            raise OSError(f"'{url}' is a page of HTML (a listing, or what the server shows instead of the file)")
        if found["size"] is None:
            raise OSError(
                f"the server does not say how many bytes '{url}' has (no Content-Length); copy the file to this "
                "machine or to a store"
            )
        return Input(url, found["size"], version_of(found))

    def is_directory(self, url: str) -> bool:
        try:
            found = self._ask(url)
        except FileNotFoundError:
            return False
        return bool(found["page"] and found["url"].endswith("/"))

    def files(self, folder: str, prefix: str = "") -> Iterator[Input]:
        for link in self._links(folder.rstrip("/")):
            if not link.endswith("/") and name_of(link).startswith(prefix):
                yield from self._there(link)

    def find(self, folder: str, pattern: Pattern) -> Iterator[Input]:
        top = folder.rstrip("/")
        for link in sorted(self._below(top, top, pattern)):
            yield from self._there(link)

    def _there(self, link: str) -> Iterator[Input]:
        """The file that a page links to; none if it has gone since the page was written."""
        with contextlib.suppress(FileNotFoundError):
            yield self.info(link)

    def _below(self, top: str, folder: str, pattern: Pattern) -> Iterator[str]:
        for link in self._links(folder):
            path = link[len(top) + 1 :].rstrip("/")
            if not link.endswith("/"):
                if pattern.takes(path):
                    yield link
            elif pattern.enters(path):
                yield from self._below(top, link.rstrip("/"), pattern)

    def _links(self, folder: str) -> list[str]:
        """The links of a folder's page to what lies directly in it; those to a folder end in a slash."""
        self._fs.invalidate_cache()
        try:
            with os_errors():
                links = self._fs.ls(f"{folder}/", detail=False)
        except FileNotFoundError:
            return []
        begin = f"{folder}/"
        names = {link[len(begin) :] for link in links if link.startswith(begin)}
        # Links with a query sort the page in other ways.
        return sorted(begin + name for name in names if name.rstrip("/") and not {"/", "?", "#"} & {*name[:-1]})

    def open_read(self, url: str) -> IO[bytes]:
        file = RangeFile(lambda start, end: self.read_range(url, start, end), self.info(url).size)
        return cast("IO[bytes]", file)

    def read_range(self, url: str, start: int, end: int) -> bytes:
        return self._read(url, start, end) if start < end else b""

    def read_bytes(self, url: str) -> bytes:
        return self._read(url, 0, None)

    def open_write(self, url: str) -> IO[bytes]:
        self._refuse(url)

    def create_if_absent(self, url: str, data: bytes) -> bool:  # noqa: ARG002
        self._refuse(url)

    def replace_bytes(self, url: str, data: bytes) -> None:  # noqa: ARG002
        self._refuse(url)

    def move(self, source: str, target: str) -> None:  # noqa: ARG002
        self._refuse(target)

    def delete(self, url: str, *, recursive: bool = False) -> None:  # noqa: ARG002
        self._refuse(url)

    def _refuse(self, url: str) -> NoReturn:
        raise PermissionError(f"'{url}' is on a web server, where nothing can be written")

    def _ask(self, url: str) -> dict[str, Any]:
        return _again(lambda: cast("dict[str, Any]", sync(self._fs.loop, _ask, self._fs, url)))

    def _read(self, url: str, start: int, end: int | None) -> bytes:
        try:
            return _again(lambda: cast(bytes, sync(self._fs.loop, _read, self._fs, url, start, end)))
        except OSError as error:
            if status_of(error) == 416:
                return b""
            raise


def _again(step: Callable[[], _Result]) -> _Result:
    """Tried again where the server is busy or the connection broke."""

    def translated() -> _Result:
        with os_errors():
            return step()

    return again(translated, when=_may_pass)


def _may_pass(error: OSError) -> bool:
    status = status_of(error)
    # A client has words of its own for what is not there, and those have no status.
    return may_pass(error) if status is None else status >= 500 or status == 429


def _settings(fs: Any, **headers: str) -> dict[str, Any]:
    return {**fs.kwargs, "headers": {**fs.kwargs.get("headers", {}), "Accept-Encoding": "identity", **headers}}


async def _ask(fs: Any, url: str) -> dict[str, Any]:
    session = await fs.set_session()
    settings = {"allow_redirects": True, **_settings(fs)}
    async with session.head(fs.encode_url(url), **settings) as answer:
        if answer.status not in _NO_HEAD:
            fs._raise_not_found_for_status(answer, url)
            found = _told(answer)
            if found["size"] is not None or found["page"]:
                return found
    settings = {"allow_redirects": True, **_settings(fs, Range="bytes=0-0")}
    async with session.get(fs.encode_url(url), **settings) as answer:
        if answer.status != 416:
            fs._raise_not_found_for_status(answer, url)
        return _told(answer)


def _told(answer: Any) -> dict[str, Any]:
    """What the headers of an answer say about a file."""
    headers = answer.headers
    size = headers.get("Content-Length") if answer.status == 200 else None
    # "bytes 0-0/1234", "bytes */1234", "bytes 0-0/*": https://www.rfc-editor.org/rfc/rfc9110#name-content-range
    total = headers.get("Content-Range", "").rpartition("/")[2]
    size = total if total.isdecimal() else size
    return {
        "url": str(answer.url.with_query(None).with_fragment(None)),
        "size": int(size) if size is not None else None,
        "page": headers.get("Content-Type", "").partition(";")[0].strip().lower() == "text/html",
        "encoding": headers.get("Content-Encoding", "").lower(),
        **{name: headers[name] for name in ("ETag", "Last-Modified") if headers.get(name)},
    }


async def _read(fs: Any, url: str, start: int, end: int | None) -> bytes:
    session = await fs.set_session()
    wanted = {} if end is None else {"Range": f"bytes={start}-{end - 1}"}
    async with session.get(fs.encode_url(url), **_settings(fs, **wanted)) as answer:
        fs._raise_not_found_for_status(answer, url)
        if answer.headers.get("Content-Encoding", "").lower() not in _PLAIN and end is not None:
            raise OSError(f"the server sends '{url}' with a Content-Encoding though it was asked not to")
        if answer.status == 206:
            first = answer.headers.get("Content-Range", "").removeprefix("bytes ").partition("-")[0]
            if first != str(start):
                raise OSError(f"the server sends bytes from {first or 'nowhere'} of '{url}' instead of {start}")
            return bytes(await answer.read())
        # It knows no ranges: all comes, and what was asked for is taken out of it.
        parts = []
        at = 0
        async for chunk in answer.content.iter_chunked(_CHUNK):
            parts.append(chunk[max(0, start - at) : None if end is None else max(0, end - at)])
            at += len(chunk)
            if end is not None and at >= end:
                break
        return b"".join(parts)
