"""Turning inputPaths into files.

The service documented one asterisk at the end of a path; here `*`, `?`, `[…]` and `**` work at any level. A
folder means the files in it, which is how many of the service's users wrote it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from batchpredict.errors import NoInput
from batchpredict.storage.files import Input, locate

_MAGIC = frozenset("*?[")


def expand(pattern: str) -> list[Input]:
    """The files that one pattern matches, sorted by name.

    A path that exists as it is written is taken literally, so a name that happens to hold a bracket works.

    Raises:
      NoInput: nothing matches, or the file system refuses to list.
    """
    fs, path = locate(pattern)
    try:
        found = _find(fs, path)
    except FileNotFoundError:
        found = {}
    except (OSError, ValueError) as error:
        raise NoInput(f"inputPaths: '{pattern}' cannot be listed: {error}") from error
    files = sorted((path, info) for path, info in found.items() if info["type"] == "file")
    if not files:
        raise NoInput(f"inputPaths: '{pattern}' matches no file")
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
    magic = not _MAGIC.isdisjoint(path)
    if not magic or fs.exists(path):
        info = fs.info(path)
        if info["type"] == "directory":
            return {entry["name"]: entry for entry in fs.ls(path, detail=True)}
        return {path: info}
    return dict(fs.glob(path, detail=True))


def _url(fs: fsspec.AbstractFileSystem, path: str) -> str:
    return path if isinstance(fs, LocalFileSystem) else str(fs.unstrip_protocol(path))


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
