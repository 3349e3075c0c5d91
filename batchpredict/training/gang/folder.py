"""A rendezvous in a folder, of any file system that all hosts reach."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from batchpredict import storage
from batchpredict.training.gang.rendezvous import Document, encoded, is_name

_SUFFIX = ".json"

# Files that are read at once: a store answers after tens of milliseconds, however many it is asked for.
_READERS = 16

# Two versions of a local file that are written within one tick of the kernel (10 ms at most) have the same time. So
# a version is believed once it has been read twice with more than that between.
_TICK = 0.1


class FolderRendezvous:
    """Documents as files, one each: `URL/NAME.json`. Implements `Rendezvous`.

    A `read` is one listing, and those files that are new or have another version than when they were read last: of
    a gang that runs, one listing and the signs of life of the other hosts.

    Args:
      url: of the folder, which need not be there yet. Other files in it, and folders, do no harm.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._lock = threading.Lock()
        self._known: dict[str, _Known] = {}

    def create(self, name: str, document: Document) -> bool:
        data, url = encoded(name, document), self._file(name)
        if storage.again(lambda: storage.create_if_absent(url, data)):
            return True
        # It may be ours, of a call whose answer was lost.
        return storage.again(lambda: storage.read_bytes(url)) == data

    def put(self, name: str, document: Document) -> None:
        data, url = encoded(name, document), self._file(name)
        storage.again(lambda: storage.replace_bytes(url, data))

    def read(self, prefix: str = "") -> dict[str, dict[str, Any]]:
        listed = storage.again(lambda: storage.files_in(self.url, prefix))
        files = {
            name.removesuffix(_SUFFIX): file
            for name, file in listed.items()
            # What begins otherwise is no document, such as a file that is still being written.
            if name.endswith(_SUFFIX) and is_name(name.removesuffix(_SUFFIX))
        }
        with self._lock:
            known = {name: one for name, one in self._known.items() if name in files}
        apart = _TICK if storage.is_local(self.url) else 0.0
        wanted = [name for name in files if not (name in known and known[name].is_fresh(files[name], apart))]
        now = time.monotonic()
        for name, document in zip(wanted, self._documents(wanted), strict=True):
            before = known.pop(name, None)
            if document is None:
                continue
            # What was written between the listing and the reading is read again: it has not the version listed.
            version = _version(files[name])
            since = before.since if before is not None and before.version == version else now
            known[name] = _Known(version, document, since, now)
        with self._lock:
            self._known.update(known)
        return {name: known[name].document for name in files if name in known}

    def _documents(self, names: Sequence[str]) -> list[dict[str, Any] | None]:
        if len(names) < 2 or storage.is_local(self.url):
            return [self._document(name) for name in names]
        with ThreadPoolExecutor(min(len(names), _READERS)) as pool:
            return list(pool.map(self._document, names))

    def _document(self, name: str) -> dict[str, Any] | None:
        """None for what is gone, or is no document (yet)."""
        url = self._file(name)
        try:
            found = json.loads(storage.again(lambda: storage.read_bytes(url)))
        except (FileNotFoundError, ValueError):
            # Where a file system has no hard links, a new file may be seen before it is whole.
            return None
        return found if isinstance(found, dict) else None

    def _file(self, name: str) -> str:
        return storage.join(self.url, name + _SUFFIX)


@dataclass(frozen=True)
class _Known:
    """A document as it was read at `at`, and before that, since `since`, in the same version."""

    version: str
    document: dict[str, Any]
    since: float
    at: float

    def is_fresh(self, file: storage.Input, apart: float) -> bool:
        """Whether the file holds this still. What says no version may have changed."""
        return self.version != "" and self.version == _version(file) and self.at - self.since >= apart


def _version(file: storage.Input) -> str:
    return f"{file.version} {file.size}" if file.version else ""
