"""Cutting a job's files into splits: the units of work, of retry and of commit.

The cut depends on nothing but names and sizes, so a job that is planned again gets the same splits and finds
what was committed of them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

from batchpredict.formats.records import Segment

if TYPE_CHECKING:
    from batchpredict.storage import Input

# A split travels as one element of a pipeline; at 100 bytes a name this keeps it at half a megabyte, below
# what any runner takes.
MOST_FILES = 5_000


@dataclass(frozen=True)
class Split:
    """Segments that are read one after the other and whose results become one part.

    `index` is the split's number in its job, from 0, in the order of the input.
    """

    index: int
    segments: tuple[Segment, ...]

    @property
    def size(self) -> int:
        """Bytes of input."""
        return sum(segment.end - segment.start for segment in self.segments)

    def to_json(self) -> str:
        """One line: `[index,[[path,start,end,size,exact,version],...]]`, and the encoding where there is one."""
        segments = [
            [s.path, s.start, s.end, s.size, int(s.exact), s.version, *([s.encoding] if s.encoding else [])]
            for s in self.segments
        ]
        return json.dumps([self.index, segments], separators=(",", ":"), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str | bytes) -> Split:
        """What `to_json` wrote. Raises ValueError for anything else."""
        try:
            index, segments = json.loads(text)
            return cls(
                int(index),
                tuple(
                    # Before versions were written, a segment ended with `exact`; few have an encoding.
                    Segment(str(path), int(start), int(end), int(size), bool(exact), *map(str, version))
                    for path, start, end, size, exact, *version in segments
                ),
            )
        except (TypeError, ValueError) as error:
            raise ValueError(f"not a split: {error}") from error


def cut(files: Iterable[Input], *, split_bytes: int, splittable: Callable[[str], bool]) -> Iterator[Split]:
    """Splits of about `split_bytes` that cover `files`, in their order, made as the files come.

    A file that is larger and `splittable` is cut into ranges, each a split of its own; the last one is up to
    half longer rather than tiny. Other files are packed together up to `split_bytes` or `MOST_FILES`. A file
    of no bytes has no records and is left out.
    """
    if split_bytes < 1:
        raise ValueError(f"split_bytes must be positive, not {split_bytes}")
    numbers = count()
    packed: list[Segment] = []
    held = 0
    for file in files:
        if file.size == 0:
            continue
        if packed and (held + file.size > split_bytes or len(packed) == MOST_FILES):
            yield Split(next(numbers), tuple(packed))
            packed, held = [], 0
        if file.size <= split_bytes:
            packed.append(Segment(file.url, 0, file.size, file.size, version=file.version, encoding=file.encoding))
            held += file.size
            continue
        whole = file.encoding or not splittable(file.url)
        for start, end in _ranges(file.size, file.size if whole else split_bytes):
            segment = Segment(file.url, start, end, file.size, version=file.version, encoding=file.encoding)
            yield Split(next(numbers), (segment,))
    if packed:
        yield Split(next(numbers), tuple(packed))


def _ranges(size: int, length: int) -> Iterator[tuple[int, int]]:
    start = 0
    while size - start >= length + (length + 1) // 2:
        yield start, start + length
        start += length
    yield start, size
