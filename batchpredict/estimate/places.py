"""Where in a job a sample is taken: at even distances over its bytes, so over its files too. Pure functions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TypeVar

from batchpredict.formats import Segment, Split

_T = TypeVar("_T")


def places(
    splits: Iterable[Split], total: int, count: int, *, anywhere: Callable[[Segment], bool]
) -> list[Segment]:
    """At most `count` places of a job, in its order.

    A place is what a reader is given. The first one of a segment begins where the segment does, others at the
    border that follows their byte; each ends where the next one begins. So no record is in two of them, and those
    of a segment are all of it.

    Args:
      splits: of the job, in order.
      total: its bytes.
      count: places wanted.
      anywhere: whether a segment can be read from any of its bytes. Others are places as a whole.
    """
    found: list[Segment] = []
    for segment, low, high in _segments(splits):
        wanted = _marks(low, high, total, count)
        if not anywhere(segment):
            found += [segment] if wanted else []
            continue
        borders = [segment.start, *(segment.start + mark - low for mark in wanted[1:]), segment.end]
        found += [replace(segment, start=start, end=end) for start, end in pairwise(borders)] if wanted else []
    return found


def chosen_splits(splits: Iterable[Split], total: int, count: int) -> list[Split]:
    """At most `count` splits at even distances over the bytes of a job, in its order."""
    found = []
    passed = 0
    for split in splits:
        if _marks(passed, passed + split.size, total, count):
            found.append(split)
        passed += split.size
    return found


def spread(items: Sequence[_T]) -> list[_T]:
    """The items in an order of which every beginning is spread over all of them (van der Corput's)."""
    bits = max(len(items) - 1, 0).bit_length()
    order = (int(f"{number:0{bits}b}"[::-1], 2) if bits else 0 for number in range(1 << bits))
    return [items[at] for at in order if at < len(items)]


def _segments(splits: Iterable[Split]) -> Iterator[tuple[Segment, int, int]]:
    """Every segment, with the bytes of the job at which it begins and ends."""
    passed = 0
    for split in splits:
        for segment in split.segments:
            size = segment.end - segment.start
            yield segment, passed, passed + size
            passed += size


def _marks(low: int, high: int, total: int, count: int) -> list[int]:
    """The bytes of a job from `low` up to `high` at which one of `count` places begins; the first is byte 0."""
    if not total:
        return []
    first = -(-low * count // total)
    marks: list[int] = []
    for number in range(first, count):
        mark = number * total // count
        if mark >= high:
            break
        if mark >= low and mark not in marks[-1:]:
            marks.append(mark)
    return marks
