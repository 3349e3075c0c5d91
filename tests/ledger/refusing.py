"""A store of which any call may fail: files in memory behind a protocol of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, ClassVar

import fsspec
from fsspec.implementations.memory import MemoryFileSystem


class RefusingStore(MemoryFileSystem):  # type: ignore[misc]
    """Counts the calls of its users and raises what `fail` says for those that it names."""

    protocol = "refusing"
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    calls: ClassVar[list[str]] = []
    fail: ClassVar[Callable[[int, str], OSError | None]] = lambda number, name: None
    _inside = threading.local()
    _lock = threading.Lock()

    @classmethod
    def begin(cls, fail: Callable[[int, str], OSError | None]) -> None:
        """Empty the store and count from 0 again."""
        cls.store.clear()
        cls.pseudo_dirs[:] = [""]
        cls.count_anew(fail)

    @classmethod
    def count_anew(cls, fail: Callable[[int, str], OSError | None]) -> None:
        cls.calls.clear()
        cls.fail = fail

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(super()._strip_protocol(path.removeprefix("refusing://")))


def _gated(name: str) -> Callable[..., Any]:
    original = getattr(MemoryFileSystem, name)

    def call(self: RefusingStore, *arguments: Any, **keywords: Any) -> Any:
        if getattr(RefusingStore._inside, "call", None):
            return original(self, *arguments, **keywords)
        with RefusingStore._lock:
            number = len(RefusingStore.calls)
            RefusingStore.calls.append(name)
        error = RefusingStore.fail(number, name)
        if error is not None:
            raise error
        RefusingStore._inside.call = name
        try:
            return original(self, *arguments, **keywords)
        finally:
            RefusingStore._inside.call = None

    return call


for _name in (
    "exists",
    "isdir",
    "isfile",
    "info",
    "cat_file",
    "pipe_file",
    "cp_file",
    "rm_file",
    "rm",
    "find",
    "ls",
    "glob",
):
    setattr(RefusingStore, _name, _gated(_name))
fsspec.register_implementation("refusing", RefusingStore, clobber=True)
