"""Cutting a job's files into splits: the units of work, of retry and of commit.

The cut depends on nothing but names and sizes, so a job that is planned again gets the same splits and finds
what was committed of them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import count
from typing import TYPE_CHECKING

from batchpredict.formats.records import Border, Segment, Selection

if TYPE_CHECKING:
    from batchpredict.storage import Input

# A split travels as one element of a pipeline; at 100 bytes a name this keeps it at half a megabyte, below
# what any runner takes.
MOST_FILES = 5_000


@dataclass(frozen=True)
class Kept:
    """Published results of an earlier job that stay: those of a split are put in between them.

    Attributes:
      url: of the file.
      bytes: its size.
      rows: how many results it holds.
    """

    url: str
    bytes: int
    rows: int


@dataclass(frozen=True)
class Split:
    """Segments that are read one after the other and whose results become one part.

    Attributes:
      index: the split's number in its job, from 0, in the order of the input.
      segments: what is read.
      kept: results that its own complete; None for a part of its own results alone.
    """

    index: int
    segments: tuple[Segment, ...]
    kept: Kept | None = None

    @property
    def size(self) -> int:
        """Bytes of input."""
        return sum(segment.end - segment.start for segment in self.segments)

    def to_json(self) -> str:
        """One line: `[index,[[path,start,end,size,exact,version],...]]`, and the encoding where there is one.

        Where records are selected, `[[first,count,base,begin,next,records],...]` follows, and `[url,bytes,rows]` of
        what is kept.
        """
        segments = [
            [s.path, s.start, s.end, s.size, int(s.exact), s.version, *([s.encoding] if s.encoding else [])]
            for s in self.segments
        ]
        line: list[object] = [self.index, segments]
        if any(s.selection for s in self.segments) or self.kept:
            line.append([_selected(s.selection) for s in self.segments])
        if self.kept:
            line.append([self.kept.url, self.kept.bytes, self.kept.rows])
        return json.dumps(line, separators=(",", ":"), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str | bytes) -> Split:
        """What `to_json` wrote. Raises ValueError for anything else."""
        try:
            index, segments, *more = json.loads(text)
            found = tuple(
                # Before versions were written, a segment ended with `exact`; few have an encoding.
                Segment(str(path), int(start), int(end), int(size), bool(exact), *map(str, version[:2]))  # type: ignore[arg-type]
                for path, start, end, size, exact, *version in segments
            )
            if more:
                selections = map(_selection, more[0])
                found = tuple(replace(s, selection=one) for s, one in zip(found, selections, strict=True))
            kept = Kept(str(more[1][0]), int(more[1][1]), int(more[1][2])) if len(more) > 1 else None
            return cls(int(index), found, kept)
        except (TypeError, ValueError, IndexError) as error:
            raise ValueError(f"not a split: {error}") from error


def _selected(selection: Selection | None) -> list[int | None] | None:
    if selection is None:
        return None
    border = selection.border
    return [selection.first, selection.count, selection.base, border.begin, border.next, border.records]


def _selection(fields: list[int] | None) -> Selection | None:
    if fields is None:
        return None
    first, count, base, begin, after, records = fields
    border = Border(None if begin is None else int(begin), int(after), int(records))
    return Selection(int(first), int(count), int(base), border)


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
