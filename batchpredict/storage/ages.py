"""What lies below a folder, and when each file was written last."""

from __future__ import annotations

import calendar
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from batchpredict.storage.files import tree
from batchpredict.storage.remote import RemoteStore
from batchpredict.storage.routing import store_of

# What file systems call the time of the last change; the first is what the listing of a store itself says.
_TIMES = ("updated", "LastModified", "mtime", "modified", "last_modified", "created")


@dataclass(frozen=True)
class Aged:
    """A file, or on a local disk an empty folder, whose path then ends in a slash.

    Attributes:
      path: below the folder that was asked for.
      size: bytes.
      changed: seconds since the epoch; None if the file system does not say.
    """

    path: str
    size: int
    changed: float | None


def walk(folder: str) -> Iterator[Aged]:
    """All that lies below a folder, in no order; nothing if there is no such folder. Raises OSError."""
    store = store_of(folder)
    if store.is_local:
        yield from _walk_local(store.local_path(folder))
    elif isinstance(store, RemoteStore):
        for path, info in store.entries(folder):
            yield Aged(path, int(info["size"]), _changed(info))
    else:
        for path, file in tree(folder).items():
            yield Aged(path, file.size, None)


def _walk_local(root: str) -> Iterator[Aged]:
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
            yield Aged(path[len(root.rstrip("/")) + 1 :], status.st_size if name else 0, status.st_mtime)


def _changed(info: Mapping[str, Any]) -> float | None:
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
