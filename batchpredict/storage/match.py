"""Turning inputPaths into files.

The service documented one asterisk at the end of a path; here `*`, `?`, `[…]` and `**` work at any level. A
folder means the files in it, which is how many of the service's users wrote it.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem
from fsspec.utils import glob_translate

from batchpredict.errors import NoInput
from batchpredict.storage.clients import os_errors, with_os_errors
from batchpredict.storage.files import Input, locate
from batchpredict.storage.listing import Entry, objects
from batchpredict.storage.urls import parent

_MAGIC = frozenset("*?[")


def expand(pattern: str) -> Iterator[Input]:
    """The files that one pattern matches, sorted by name, one after the other.

    A path that exists as it is written is taken literally, so a name that happens to hold a bracket works.
    Of a million local files only the names are held.

    Raises:
      NoInput: nothing matches, or the file system refuses to list.
    """
    empty = True
    try:
        fs, path = locate(pattern)
        for file in _local(path) if isinstance(fs, LocalFileSystem) else _remote(fs, path):
            if not file.url.isascii() and file.url != file.url.encode("utf-8", "replace").decode():
                raise NoInput(f"inputPaths: the name of the file {file.url!r} is not UTF-8; rename it")
            empty = False
            yield file
    except FileNotFoundError:
        pass
    except (OSError, ValueError, ImportError) as error:
        raise NoInput(f"inputPaths: '{pattern}' cannot be listed: {error}") from error
    if empty:
        raise NoInput(f"inputPaths: '{pattern}' matches no file")


def match(patterns: Iterable[str]) -> Iterator[Input]:
    """The files of several patterns in the order of the patterns, each file once."""
    several = list(patterns)
    seen: set[str] = set()
    for number, pattern in enumerate(several, 1):
        for file in expand(pattern):
            if file.url not in seen:
                if number < len(several):
                    seen.add(file.url)
                yield file


def _remote(fs: fsspec.AbstractFileSystem, path: str) -> Iterator[Input]:
    with os_errors():
        fs.invalidate_cache()
        for entry in _find(fs, path):
            yield Input(str(fs.unstrip_protocol(entry.path)), int(entry.info["size"]), version_of(entry.info))


def _find(fs: fsspec.AbstractFileSystem, path: str) -> Iterator[Entry]:
    # A name may hold a bracket; one of an asterisk would be among what the asterisk matches.
    if _MAGIC.isdisjoint(path) or ("*" not in path and fs.exists(path)):
        info = fs.info(path)
        if info["type"] == "directory":
            yield from objects(fs, path)
        else:
            yield Entry(path, info)
        return
    folder, name = path.rsplit("/", 1)
    matches = re.compile(glob_translate(path)).match
    if _MAGIC.isdisjoint(folder) and "**" not in name:
        found = objects(fs, folder, _plain(name))
    else:
        parts = path.split("/")
        at = next(at for at, part in enumerate(parts) if not _MAGIC.isdisjoint(part))
        found = objects(fs, "/".join(parts[:at]), _plain(parts[at]), deep=True)
    yield from (entry for entry in found if matches(entry.path))


def _plain(pattern: str) -> str:
    """What every name that matches begins with."""
    return re.split(r"[*?\[]", pattern, maxsplit=1)[0]


def _local(path: str) -> Iterator[Input]:
    path = _canonical(path)
    if _MAGIC.isdisjoint(path) or ("*" not in path and os.path.exists(path)):
        names = sorted(_names(path)) if os.path.isdir(path) else [path]
    else:
        names = sorted(_glob(path))
    for name in names:
        try:
            found = os.stat(name)
        except FileNotFoundError:
            # Deleted since it was listed, or a link that leads nowhere.
            continue
        if stat.S_ISREG(found.st_mode):
            yield Input(name, found.st_size, version_of({"mtime": found.st_mtime}))


def _names(folder: str) -> Iterator[str]:
    return (path for path, _ in _entries(folder))


def _entries(folder: str) -> Iterator[tuple[str, bool]]:
    """Path, and whether it is a folder, of everything in a folder."""
    with os.scandir(folder) as entries:
        for entry in entries:
            yield entry.path, entry.is_dir()


def _glob(pattern: str) -> Iterator[str]:
    """Paths that match, by fsspec's rules. Its own glob holds a dict of a kilobyte for each of them."""
    parts = pattern.split("/")
    plain = next(at for at, part in enumerate(parts) if not _MAGIC.isdisjoint(part))
    depth = None if "**" in pattern else len(parts) - plain
    matches = re.compile(glob_translate(pattern)).match
    return (path for path in _below("/".join(parts[:plain]) or "/", depth) if matches(path))


def _below(folder: str, depth: int | None) -> Iterator[str]:
    """Every path below a folder, down to `depth` levels. What may not be listed is passed over."""
    try:
        for path, is_folder in _entries(folder) if depth == 1 else list(_entries(folder)):
            yield path
            if is_folder and depth != 1:
                yield from _below(path, None if depth is None else depth - 1)
    except (PermissionError, NotADirectoryError):
        return


def _canonical(path: str) -> str:
    """A local path by which a file has one name: without `.`, `..` and doubled slashes."""
    parts = path.split("/")
    if ".." not in parts:
        return "/" + "/".join(part for part in parts if part not in ("", "."))
    plain = next((at for at, part in enumerate(parts) if not _MAGIC.isdisjoint(part)), len(parts) - 1)
    # Only the file system knows where `..` leads from a link.
    folder = os.path.realpath("/".join(parts[:plain]) or "/")
    return "/".join([folder.rstrip("/"), *(part for part in parts[plain:] if part not in ("", "."))])


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
