"""Sorting names of which there may be more than should be held."""

from __future__ import annotations

import heapq
import json
import tempfile
from collections.abc import Iterable, Iterator

# About 10 MiB of them; what is more is sorted in pieces, in temporary files.
HELD = 100_000


def in_order(names: Iterable[str], held: int = HELD) -> Iterator[str]:
    """Names in the order of their characters.

    Args:
      names: any text, also what a file system has that is not UTF-8.
      held: of more than these most are kept in temporary files.

    Raises:
      OSError: there is no room for these.
    """
    pieces: list[Iterator[str]] = []
    some: list[str] = []
    for name in names:
        if len(some) == held:
            pieces.append(_kept(sorted(some)))
            some = []
        some.append(name)
    some.sort()
    return heapq.merge(*pieces, some) if pieces else iter(some)


def _kept(names: list[str]) -> Iterator[str]:
    """Names that are read back from a file."""
    piece = _from_file(names)
    # Only now is the file written.
    next(piece)
    return piece


def _from_file(names: list[str]) -> Iterator[str]:
    """Nothing of worth, and then the names, which are let go meanwhile."""
    with tempfile.TemporaryFile() as file:
        # As JSON in ASCII, whatever characters they have, a newline among them.
        file.writelines(f"{json.dumps(name)}\n".encode() for name in names)
        names.clear()
        file.seek(0)
        yield ""
        for line in file:
            yield json.loads(line)
