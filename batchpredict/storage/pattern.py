"""Patterns of inputPaths: `*`, `?`, `[…]` within a part of a path, and `**` for any number of folders.

What they match is what fsspec's `glob` matches, less the files that no reader of Hadoop or Spark takes for data:
a name that begins with an underscore or a dot (`_SUCCESS`, `_metadata`, `_temporary`, `.part-0.crc`), or ends in
`._COPYING_`, is matched only by a part of a pattern that begins with that very character, or spells the ending.
This holds for folders on the way, too. As in Spark, an underscore counts for nothing where the name holds an equals
sign: `_year=2016` is a partition.
https://github.com/apache/spark/blob/v3.5.0/core/src/main/scala/org/apache/spark/util/HadoopFSUtils.scala
(`shouldFilterOutPathName`)
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence

from fsspec.utils import glob_translate

MAGIC = frozenset("*?[")

_COPYING = "._COPYING_"


def is_magic(part: str) -> bool:
    """Whether a part of a path may mean other names than itself."""
    return not MAGIC.isdisjoint(part)


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is no data to readers of Hadoop and Spark."""
    if name.startswith("_"):
        return "=" not in name
    return name.startswith(".") or name.endswith(_COPYING)


class Pattern:
    """What is wanted of the files below a folder.

    Args:
      parts: of a path relative to the folder; at least one.
      is_there: whether a file or folder is there by a path relative to the folder. A part such as `run[1]` that is
        there by that very name means that name alone. Not asked about parts that hold an asterisk.
      hidden: names are taken whatever they begin with.

    Raises:
      ValueError: a part holds `**` and more.
    """

    def __init__(
        self, parts: Sequence[str], is_there: Callable[[str], bool] | None = None, *, hidden: bool = False
    ) -> None:
        self._parts = tuple(parts)
        self._hidden = hidden
        self._is_there = functools.cache(is_there) if is_there is not None else _nothing
        self._matchers = [_matcher(part) for part in parts]
        self._folders: tuple[str, frozenset[int]] = ("", self._closed(frozenset({0})))

    @property
    def deep(self) -> bool:
        """Whether files are wanted that do not lie directly in the folder."""
        return len(self._parts) > 1 or self._parts[0] == "**"

    @property
    def prefix(self) -> str:
        """What the first part of every wanted path begins with."""
        return re.split(r"[*?\[]", self._parts[0], maxsplit=1)[0]

    def enters(self, folder: str) -> bool:
        """Whether wanted files may lie in a folder, or below it, given by its path relative to the first one."""
        return any(at < len(self._parts) for at in self._after(folder))

    def takes(self, path: str) -> bool:
        """Whether the file of a path relative to the folder is wanted."""
        folder, _, name = path.rpartition("/")
        if self._folders[0] != folder:
            # Paths come in order, many of one folder after each other.
            self._folders = (folder, self._after(folder))
        return len(self._parts) in self._step(self._folders[1], folder, name)

    def _after(self, folder: str) -> frozenset[int]:
        """The parts that may come next behind a folder: the states of the usual automaton over names."""
        states = self._closed(frozenset({0}))
        at = ""
        for name in folder.split("/") if folder else ():
            states = self._step(states, at, name)
            at = f"{at}/{name}" if at else name
        return states

    def _step(self, states: frozenset[int], folder: str, name: str) -> frozenset[int]:
        hidden = not self._hidden and is_hidden(name)
        after = set()
        for at in states:
            if at == len(self._parts):
                continue
            part = self._parts[at]
            if part == "**":
                if not hidden:
                    after.add(at)
                    if at == len(self._parts) - 1:
                        after.add(at + 1)
            elif (not hidden or _spells(part, name)) and self._matches(at, folder, name):
                after.add(at + 1)
        return self._closed(frozenset(after))

    def _closed(self, states: frozenset[int]) -> frozenset[int]:
        """With what follows a `**` that stands for no folder at all. At the end it stands for one name at least."""
        after = set(states)
        for at in states:
            while at < len(self._parts) - 1 and self._parts[at] == "**":
                at += 1
                after.add(at)
        return frozenset(after)

    def _matches(self, at: int, folder: str, name: str) -> bool:
        part = self._parts[at]
        if name == part:
            return True
        if not self._matchers[at](name):
            return False
        return "*" in part or not self._is_there(f"{folder}/{part}" if folder else part)


def _spells(part: str, name: str) -> bool:
    """Whether a part of a pattern says itself what makes a name hidden."""
    if name[0] in "._":
        return part[:1] == name[0]
    return part.endswith(_COPYING)


def _matcher(part: str) -> Callable[[str], object]:
    if not is_magic(part) or part == "**":
        return part.__eq__
    return re.compile(glob_translate(part)).match


def _nothing(_: str) -> bool:
    return False


EVERYTHING = ("**",)
"""The parts of a pattern that takes every file below a folder."""
