"""A machine whose power fails: what a local folder holds afterwards, as far as POSIX promises.

A file's bytes survive when the file was synced, its name when the folder that holds it was synced after the name
was given, and so on for the folders above. Of all else anything may be there: old names or new ones, files that are
empty or cut.

Only `os` is replaced, by functions that do their work and keep account, so what is tested is the code of `storage`
as well as that of the ledger.
"""

from __future__ import annotations

import os
import random
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import pytest


class PowerCut(BaseException):
    """The machine is off, as far as the code under test can tell."""


@dataclass(frozen=True)
class Entry:
    """What a name in a folder stands for."""

    folder: bool
    inode: int


Choice = Callable[[str], bool]
"""Whether of a name that was not synced the later state survived, and of a file that was not synced its bytes."""


def nothing(name: str) -> bool:
    """No name and no byte that was not synced."""
    del name
    return False


def names_only(name: str) -> bool:
    """All names, but of no file its bytes, as most file systems leave it that write their journal first."""
    return name != "bytes"


def chance(seed: int) -> Choice:
    """Something else for each name and file."""
    generator = random.Random(seed)
    return lambda name: generator.random() < 0.5


class Machine:
    """Keeps account of what is on stable storage below a folder.

    Args:
      root: the folder; what is in it now is on stable storage.
    """

    STEPS = ("fsync", "replace", "rename", "link", "unlink", "remove", "mkdir", "rmdir")

    def __init__(self, root: str) -> None:
        self._root = root
        self._left: int | None = None
        self._off = False
        # By inode; every inode is held open, or its number might be given to another file.
        self._folders: dict[int, dict[str, Entry]] = {}
        self._files: dict[int, bytes] = {}
        self._held: list[int] = []
        for folder, _, files in os.walk(root):
            for path in (folder, *(os.path.join(folder, name) for name in files)):
                self._keep(path)

    @contextmanager
    def running(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        """Run code on the machine. The power cut itself is not raised: see `failed`."""
        with monkeypatch.context() as patched:
            for name in self.STEPS:
                patched.setattr(os, name, self._step(name, getattr(os, name)))
            with suppress(PowerCut):
                yield

    def fail(self, steps: int) -> None:
        """Have the power fail behind the change or sync that comes after so many."""
        self._left = steps

    @property
    def failed(self) -> bool:
        return self._off

    def _step(self, name: str, function: Any) -> Any:
        def step(*arguments: Any, **keywords: Any) -> Any:
            if self._off:
                raise PowerCut
            if name == "fsync":
                if not os.readlink(f"/proc/self/fd/{arguments[0]}").startswith(self._root):
                    return None
                # Nothing is really synced: that would only take time.
                return self._act(self._keep, *arguments)
            return self._act(function, *arguments, **keywords)

        return step

    def _act(self, function: Any, *arguments: Any, **keywords: Any) -> Any:
        try:
            return function(*arguments, **keywords)
        finally:
            if self._left == 0:
                self._off = True
                raise PowerCut
            if self._left is not None:
                self._left -= 1

    def _keep(self, place: int | str) -> None:
        # What is synced may have been opened for writing alone.
        path = f"/proc/self/fd/{place}" if isinstance(place, int) else place
        held = os.open(path, os.O_RDONLY)
        self._held.append(held)
        status = os.fstat(held)
        if stat.S_ISDIR(status.st_mode):
            self._folders[status.st_ino] = entries_of(held)
        else:
            self._files[status.st_ino] = read_all(held)

    def power_up(self, survives: Choice) -> None:
        """Leave in the folder what a machine would find that is switched on again."""
        now = {os.stat(folder).st_ino: folder for folder, _, _ in os.walk(self._root)}
        root = os.stat(self._root).st_ino
        found = dict(self._survivors(root, now, survives, ""))
        for held in self._held:
            os.close(held)
        for name in os.listdir(self._root):
            shutil.rmtree(os.path.join(self._root, name), ignore_errors=True)
        for path, data in sorted(found.items()):
            target = os.path.join(self._root, path)
            if data is None:
                os.makedirs(target)
            else:
                with open(target, "wb") as file:
                    file.write(data)

    def _survivors(
        self, inode: int, now: dict[int, str], survives: Choice, path: str
    ) -> Iterator[tuple[str, bytes | None]]:
        """Path below the root and bytes of every file, None for a folder."""
        old = self._folders.get(inode, {})
        new = entries_of(now[inode]) if inode in now else {}
        for name in sorted({*old, *new}):
            entry = new.get(name) if old.get(name) == new.get(name) or survives(name) else old.get(name)
            if entry is None:
                continue
            place = os.path.join(path, name)
            if entry.folder:
                yield place, None
                yield from self._survivors(entry.inode, now, survives, place)
            elif entry.inode in self._files:
                yield place, self._files[entry.inode]
            else:
                data = b""
                if new.get(name) == entry:
                    with open(os.path.join(now[inode], name), "rb") as file:
                        data = file.read()
                yield place, data if survives("bytes") else data[: len(data) // 2]


def entries_of(folder: int | str) -> dict[str, Entry]:
    with os.scandir(folder) as entries:
        return {entry.name: Entry(entry.is_dir(), entry.inode()) for entry in entries}


def read_all(handle: int) -> bytes:
    return os.pread(handle, os.fstat(handle).st_size, 0)
