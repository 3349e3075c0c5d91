"""The named errors of a finished job, as places in its input files.

They are published in the order of the records, but for a split that had so many at a time that they were written
before those of records that waited for the model. So each file is looked at once, and sorted if it has to be.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import IO, Any

import msgspec
import numpy as np
import numpy.typing as npt

from batchpredict import storage
from batchpredict.errors import NoInput, StagingDamaged
from batchpredict.ledger import spool

# Errors that are held at a time: four megabytes.
_BLOCK = 1 << 17
_COLUMNS = 4

Errors = npt.NDArray[np.int64]
"""Some errors, a row each: number of the segment, index in its file, offset in its file, records."""


class _Line(msgspec.Struct):
    source: str
    offset: int
    index: int
    line: int = 0
    records: int = 1


_decode = msgspec.json.Decoder(_Line).decode


def errors_in(url: str, segments: Mapping[str, int], *, numbered: bool) -> Iterator[Errors]:
    """The errors in a published file, in the order of their records, some at a time.

    Args:
      url: of the file.
      segments: the numbers of the files that they may point into.
      numbered: whether errors of this format have line numbers.

    Raises:
      StagingDamaged: the file holds something else than errors of this job.
      NoInput: it cannot be read.
      OSError: there is no room for temporary files.
    """
    with spool() as kept:
        in_order = True
        last = (-1, -1)
        for block in _blocks(_rows(url, segments, numbered=numbered)):
            in_order = in_order and last <= _key(block[0]) and _ascending(block)
            last = _key(block[-1])
            kept.write((block if in_order else _sorted(block)).tobytes())
        yield from _read(kept) if in_order else _merged(kept)


def _rows(url: str, segments: Mapping[str, int], *, numbered: bool) -> Iterator[tuple[int, int, int, int]]:
    for line in _readable(url):
        try:
            error = _decode(line)
            number = segments[error.source]
        except (msgspec.MsgspecError, KeyError, UnicodeDecodeError) as damage:
            raise StagingDamaged(f"'{url}' holds a line that is no error of its job: {damage}") from damage
        if bool(error.line) != numbered:
            kind = "are lines" if error.line else "are not lines"
            raise StagingDamaged(f"the records that '{url}' names {kind}: dataFormat is another.")
        yield number, error.index, error.offset, error.records


def _readable(url: str) -> Iterator[bytes]:
    try:
        yield from storage.lines_of(url)
    except OSError as error:
        raise NoInput(f"onlyErrorsOf: '{url}' cannot be read: {error}") from error


def _blocks(rows: Iterable[tuple[int, ...]]) -> Iterator[Errors]:
    waiting = iter(rows)
    while some := list(islice(waiting, _BLOCK)):
        yield np.array(some, np.int64)


def _key(row: Any) -> tuple[int, int]:
    return int(row[0]), int(row[1])


def _ascending(block: Errors) -> bool:
    segments, indices = np.diff(block[:, 0]), np.diff(block[:, 1])
    return bool(((segments > 0) | ((segments == 0) & (indices >= 0))).all())


def _sorted(block: Errors) -> Errors:
    ordered: Errors = block[np.lexsort((block[:, 1], block[:, 0]))]
    return ordered


def _read(kept: IO[bytes], at: int = 0, rows: int | None = None) -> Iterator[Errors]:
    width = 8 * _COLUMNS
    end = None if rows is None else at + rows * width
    while end is None or at < end:
        kept.seek(at)
        data = kept.read(_BLOCK * width if end is None else min(_BLOCK * width, end - at))
        if not data:
            return
        at += len(data)
        yield np.frombuffer(data, np.int64).reshape(-1, _COLUMNS)


def _merged(kept: IO[bytes]) -> Iterator[Errors]:
    """Blocks of which each is in order, or was found so, as one."""
    width = 8 * _COLUMNS
    size = kept.seek(0, 2)
    # A few rows of each at a time.
    step = max(_BLOCK * _BLOCK * width // max(size, 1), 256)

    def run(at: int) -> Iterator[tuple[int, ...]]:
        end = min(at + _BLOCK * width, size)
        for start in range(at, end, step * width):
            rows = min(step, (end - start) // width)
            for block in _read(kept, start, rows):
                yield from map(tuple, block.tolist())

    runs = [run(at) for at in range(0, size, _BLOCK * width)]
    yield from _blocks(heapq.merge(*runs))
