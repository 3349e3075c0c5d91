"""Turning inputPaths into files.

The service documented one asterisk at the end of a path; here `*`, `?`, `[…]` and `**` work at any level. A
folder means the files in it, which is how many of the service's users wrote it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from batchpredict.errors import NoInput
from batchpredict.storage.clients import os_errors, with_os_errors
from batchpredict.storage.files import Input, locate
from batchpredict.storage.urls import parent

_MAGIC = frozenset("*?[")


def expand(pattern: str) -> list[Input]:
    """The files that one pattern matches, sorted by name.

    A path that exists as it is written is taken literally, so a name that happens to hold a bracket works.

    Raises:
      NoInput: nothing matches, or the file system refuses to list.
    """
    try:
        fs, path = locate(pattern)
        with os_errors():
            found = _find(fs, path)
    except FileNotFoundError:
        found = {}
    except (OSError, ValueError, ImportError) as error:
        raise NoInput(f"inputPaths: '{pattern}' cannot be listed: {error}") from error
    files = sorted((path, info) for path, info in found.items() if info["type"] == "file")
    if not files:
        raise NoInput(f"inputPaths: '{pattern}' matches no file")
    for path, _ in files:
        if not path.isascii() and path != path.encode("utf-8", "replace").decode():
            raise NoInput(f"inputPaths: the name of the file {path!r} is not UTF-8; rename it")
    return [Input(_url(fs, path), int(info["size"]), version_of(info)) for path, info in files]


def match(patterns: Iterable[str]) -> Iterator[Input]:
    """The files of several patterns in the order of the patterns, each file once."""
    seen: set[str] = set()
    for pattern in patterns:
        for file in expand(pattern):
            if file.url not in seen:
                seen.add(file.url)
                yield file


def _find(fs: fsspec.AbstractFileSystem, path: str) -> dict[str, dict[str, Any]]:
    fs.invalidate_cache()
    if isinstance(fs, LocalFileSystem):
        path = _canonical(path)
    # A name may hold a bracket; one of an asterisk would be among what the asterisk matches.
    if _MAGIC.isdisjoint(path) or ("*" not in path and fs.exists(path)):
        info = fs.info(path)
        if info["type"] == "directory":
            return {entry["name"]: entry for entry in fs.ls(path, detail=True)}
        return {path: info}
    return dict(fs.glob(path, detail=True))


def _canonical(path: str) -> str:
    """A local path by which a file has one name: without `.`, `..` and doubled slashes."""
    parts = path.split("/")
    if ".." not in parts:
        return "/" + "/".join(part for part in parts if part not in ("", "."))
    plain = next((at for at, part in enumerate(parts) if not _MAGIC.isdisjoint(part)), len(parts) - 1)
    # Only the file system knows where `..` leads from a link.
    folder = os.path.realpath("/".join(parts[:plain]) or "/")
    return "/".join([folder.rstrip("/"), *(part for part in parts[plain:] if part not in ("", "."))])


def _url(fs: fsspec.AbstractFileSystem, path: str) -> str:
    return path if isinstance(fs, LocalFileSystem) else str(fs.unstrip_protocol(path))


@with_os_errors
def version(url: str) -> str:
    """What tells the content of a file from what it was, or will be. Raises FileNotFoundError."""
    fs, path = locate(url)
    fs.invalidate_cache(parent(path))
    return version_of(fs.info(path))


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
