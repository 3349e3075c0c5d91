"""The files of a SavedModel that a user names: which they are, and that all of them lie below the roots.

A link within the folder may lead to a file of somebody else's. So what is opened is looked at once more when it is
open: between the two looks the owner of the folder may have put a link in a file's place.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import stat
import tempfile
from collections.abc import Iterator
from typing import IO

from batchpredict import storage
from batchpredict.errors import InvalidJob, Violation
from batchpredict.service.access.interface import Paths

MAX_FILES = 1000
"""Of a model: what the service allowed a deploymentUri."""

_BLOCK = 1 << 20
# A folder that is named as a model by mistake may have any number.
_MOST_LISTED = 10_000

GRAPHS = ("saved_model.pb", "saved_model.pbtxt")
"""Of which a SavedModel has one."""


def refused(field: str, description: str) -> InvalidJob:
    """A value of a field that cannot be used."""
    return InvalidJob([Violation(field, printable(description))])


def printable(text: str) -> str:
    """A sentence that can be stored and sent, also where it has a name in it that is not UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode()


def look_at(uri: str, field: str) -> None:
    """See that there is a SavedModel at a URL, by its graph and nothing more.

    Raises:
      InvalidJob: there is none, or its folder cannot be read.
    """
    try:
        if any(storage.exists(storage.join(uri, name)) for name in GRAPHS):
            return
        if storage.exists(uri) and not storage.is_directory(uri):
            raise refused(field, f"'{uri}' is a file; give the folder of the SavedModel.")
    except (OSError, ValueError, ImportError) as error:
        raise unreadable(uri, field, error) from error
    raise no_saved_model(uri, field)


def model_files(uri: str, paths: Paths, field: str) -> dict[str, storage.Input]:
    """Every file of a SavedModel, by its path in its folder.

    Raises:
      InvalidJob: there is none, it has too many files, or one of them cannot be read or lies outside of the roots.
    """
    look_at(uri, field)
    try:
        count = sum(1 for _ in itertools.islice(storage.walk(uri), MAX_FILES + 1))
        if count > MAX_FILES:
            raise refused(field, f"'{uri}' holds more than {MAX_FILES} files, the most that a model may have.")
        found = storage.tree(uri)
    except (OSError, ValueError, ImportError) as error:
        raise unreadable(uri, field, error) from error
    return {name: _checked(uri, name, paths, field) for name in found}


def _checked(uri: str, name: str, paths: Paths, field: str) -> storage.Input:
    if printable(name) != name:
        raise refused(field, f"The name of '{name}' in '{uri}' is not UTF-8; rename it.")
    url = storage.join(uri, name)
    if not paths.inside(url):
        raise outside(uri, name, field)
    try:
        return storage.info(url)
    except IsADirectoryError as error:
        raise refused(
            field, f"'{name}' in '{uri}' is a link to a folder; put the folder itself in its place."
        ) from error
    except OSError as error:
        raise unreadable(url, field, error) from error


def refuse_links(uri: str, paths: Paths, field: str) -> None:
    """See that no file of a SavedModel is a link that leads out of the roots.

    Raises:
      InvalidJob: one is, there are more files than any model has, or they cannot be listed.
    """
    if not storage.is_local(uri):
        return
    top = storage.local_path(uri)
    try:
        for count, (name, is_link) in enumerate(_entries(top, ""), 1):
            if count > _MOST_LISTED:
                raise refused(field, f"'{uri}' holds more than {_MOST_LISTED} files.")
            if is_link and not paths.inside(os.path.join(top, name)):
                raise outside(uri, name, field)
    except OSError as error:
        raise unreadable(uri, field, error) from error


def _entries(top: str, folder: str) -> Iterator[tuple[str, bool]]:
    """Everything below a folder by its path from there, and whether it is a link or a file with other names."""
    with os.scandir(os.path.join(top, folder)) as entries:
        for entry in entries:
            path = os.path.join(folder, entry.name)
            is_folder = entry.is_dir(follow_symlinks=False)
            linked = entry.is_symlink()
            if not (linked or is_folder):
                linked = entry.stat(follow_symlinks=False).st_nlink > 1
            yield path, linked
            if is_folder:
                yield from _entries(top, path)


class Links:
    """Tells of files that a pattern has matched whether they lie outside of the roots.

    The pattern was checked, so only a link can lead there: the file itself, or a folder on the way to it. A file
    that has other names may be one of somebody else's. Of all others this asks the file system one thing.
    """

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._folders: dict[str, bool] = {}

    def leads_out(self, url: str) -> bool:
        if not storage.is_local(url):
            return not self._paths.inside(url)
        folder = os.path.dirname(url)
        if folder not in self._folders:
            self._folders[folder] = self._paths.inside(folder)
        if not self._folders[folder]:
            return True
        try:
            status = os.lstat(url)
        except FileNotFoundError:
            return False
        return (stat.S_ISLNK(status.st_mode) or status.st_nlink > 1) and not self._paths.inside(url)


def blocks(uri: str, name: str, file: storage.Input, paths: Paths, field: str) -> Iterator[bytes]:
    """The contents of one file of a model, which is certainly one below the roots.

    Raises:
      InvalidJob: it cannot be read, or has become another one since it was listed.
    """
    try:
        with contextlib.ExitStack() as close:
            path = file.url
            if file.encoding:
                # What a store gives decoded comes in one piece.
                path = os.path.join(close.enter_context(tempfile.TemporaryDirectory()), "file")
                storage.download(file.url, path)
            opened = close.enter_context(storage.open_read(path))
            if path == file.url and storage.is_local(path) and not _is_inside(opened, paths):
                raise outside(uri, name, field)
            while block := opened.read(_BLOCK):
                yield block
    except OSError as error:
        raise unreadable(file.url, field, error) from error


def _is_inside(opened: IO[bytes], paths: Paths) -> bool:
    try:
        path = os.readlink(f"/proc/self/fd/{opened.fileno()}")
    except OSError as error:
        # Only Linux says what a descriptor is of; elsewhere the look before the opening must do.
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return True
        raise
    return paths.inside(path)


def outside(uri: str, name: str, field: str) -> InvalidJob:
    return refused(
        field, f"'{name}' in '{uri}' is a link that leads out of the folders that models may be read from."
    )


def no_saved_model(uri: str, field: str) -> InvalidJob:
    return refused(
        field, f"Deployment directory {uri} is expected to contain exactly one of: [{', '.join(GRAPHS)}]."
    )


def unreadable(uri: str, field: str, error: Exception) -> InvalidJob:
    return refused(field, f"The model at '{uri}' cannot be read: {error}")
