"""Reading some records of a file instead of all.

A file that can be read from its middle is read where the wanted records are, by its format's own reader, for which
a record that is known to begin at a byte is a segment like any other. Records near each other share a read. A
compressed file is read from its beginning to the last record that is wanted.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from functools import partial
from itertools import chain, islice
from typing import Any, Protocol, TypeAlias, cast

import numpy as np

from batchpredict import storage
from batchpredict.errors import CORRUPT_INPUT
from batchpredict.formats.gathering import HELD_BYTES
from batchpredict.formats.positions import Positions
from batchpredict.formats.reader import Reader
from batchpredict.formats.records import Border, Damage, Event, PickedRun, Run, Segment, Selection
from batchpredict.formats.upcoming import Upcoming, worth_fetching

# Records that lie no farther apart are read at one go: what lies between is read in less time than it takes to
# begin anew, which is a system call or two here and a request of some 50 ms on a store.
_NEAR = 64 << 10
_NEAR_REMOTE = 1 << 20

_NOT_THERE = "no record begins here"


class Picker(Protocol):
    """Reads the records of a segment that its selection names.

    Contract: that of a `Reader`, but for this. Runs are `PickedRun`s (or `PickedRows`), and damage is given only
    where it was wanted; every position that was wanted comes as one or the other, in the order of the file. The
    `Border` is that of the selection. `positions` are the selection's, by the block.
    """

    def __call__(
        self,
        segment: Segment,
        positions: Iterable[Positions],
        *,
        rows: int,
        max_record_bytes: int,
        upcoming: Upcoming | None = None,
    ) -> Iterator[Event]: ...


_Read: TypeAlias = "Callable[[Segment], Iterator[Event]]"
_Part: TypeAlias = "tuple[Segment, Positions]"


def picker(reader: Reader, *, seekable: bool = True) -> Picker:
    """A picker for a format whose records are bytes.

    Args:
      reader: of the format.
      seekable: files can be read from their middle, unless they are compressed.
    """

    def pick(
        segment: Segment,
        positions: Iterable[Positions],
        *,
        rows: int,
        max_record_bytes: int,
        upcoming: Upcoming | None = None,
    ) -> Iterator[Event]:
        selection = selection_of(segment)

        def read(part: Segment, ahead: Upcoming | None = upcoming) -> Iterator[Event]:
            return reader(part, rows=rows, max_record_bytes=max_record_bytes, upcoming=ahead)

        picked = _Picked(rows, selection.base)
        if not seekable or segment.codec is not None:
            whole = Segment(segment.path, 0, segment.size, segment.size, encoding=segment.encoding)
            yield from _matched(read, whole, _Wanted(positions), picked)
        else:
            with closing(_ahead(_parts(segment, positions), upcoming)) as parts:
                for part, wanted, ahead in parts:
                    yield from _matched(partial(read, ahead=ahead), part, _Wanted([wanted]), picked)
        yield from picked.flush()
        yield selection.border

    return pick


def selection_of(segment: Segment) -> Selection:
    assert segment.selection is not None, "all of its records are wanted"
    return segment.selection


def _parts(segment: Segment, positions: Iterable[Positions]) -> Iterator[_Part]:
    """Ranges of a file that hold the wanted records, with those of each."""
    local = storage.is_local(segment.path)
    near = _NEAR if local else _NEAR_REMOTE
    for block in positions:
        cuts = np.flatnonzero(np.diff(block["offset"]) > near) + 1
        for wanted in np.split(block, cuts):
            start, last = int(wanted["offset"][0]), int(wanted["offset"][-1])
            if start <= near and not local:
                # The whole of a small file may have been fetched before its turn.
                start = 0
            yield Segment(segment.path, start, min(last + 1, segment.size), segment.size, exact=True), wanted


def _ahead(
    parts: Iterator[_Part], upcoming: Upcoming | None
) -> Generator[tuple[Segment, Positions, Upcoming | None], None, None]:
    """Parts, each with what has fetched it before its turn.

    Args:
      parts: of a file.
      upcoming: may have fetched the whole of a file that is a single part.
    """
    waiting: deque[_Part] = deque(islice(parts, 2))
    if len(waiting) < 2 or storage.is_local(waiting[0][0].path):
        for part, wanted in chain(waiting, parts):
            yield part, wanted, upcoming
        return
    taken = list(waiting)
    waiting.clear()

    def worth() -> Iterator[Segment]:
        for one in chain(taken, parts):
            waiting.append(one)
            if worth_fetching(one[0]):
                yield one[0]

    segments = worth()
    own = Upcoming(segments)
    try:
        while waiting or next(segments, None) is not None or waiting:
            part, wanted = waiting.popleft()
            yield part, wanted, own
    finally:
        own.close()


class _Wanted:
    """Goes through positions, a block at a time."""

    def __init__(self, positions: Iterable[Positions]) -> None:
        self._blocks = iter(positions)
        self._block: Positions | None = None
        self._at = 0

    def _current(self) -> Positions | None:
        while self._block is None or self._at == len(self._block):
            self._block, self._at = next(self._blocks, None), 0
            if self._block is None:
                return None
        return self._block

    @property
    def done(self) -> bool:
        return self._current() is None

    def up_to(self, offset: int) -> Iterator[Positions]:
        """Take those at `offset` and before it, in stretches."""
        while (block := self._current()) is not None:
            stop = int(np.searchsorted(block["offset"], offset, "right"))
            if stop <= self._at:
                return
            start, self._at = self._at, stop
            yield block[start:stop]
            if stop < len(block):
                return

    def at(self, offset: int) -> Positions | None:
        """Take the next one if it is at `offset`."""
        block = self._current()
        if block is None or int(block["offset"][self._at]) != offset:
            return None
        self._at += 1
        return block[self._at - 1 : self._at]


class _Picked:
    """Gathers what was picked into runs of the length that was asked for."""

    def __init__(self, rows: int, base: int) -> None:
        self._rows = rows
        self._base = base
        self._payloads: list[bytes] = []
        self._positions: list[Positions] = []
        self._bytes = 0

    def add(self, payloads: list[bytes], positions: Positions) -> Iterator[Run]:
        at = 0
        while at < len(payloads):
            count = min(len(payloads) - at, self._rows - len(self._payloads))
            self._payloads.extend(payloads[at : at + count])
            self._positions.append(positions[at : at + count])
            self._bytes += sum(map(len, payloads[at : at + count]))
            at += count
            if len(self._payloads) == self._rows or self._bytes > HELD_BYTES:
                yield from self.flush()

    def flush(self) -> Iterator[Run]:
        if self._payloads:
            positions = np.concatenate(self._positions)
            first, base, payloads = positions[0], self._base, self._payloads
            yield PickedRun(
                payloads, int(first["offset"]), int(first["index"]) - base, payloads, 0, positions, base
            )
        self._payloads, self._positions, self._bytes = [], [], 0

    def damage(self, damage: Damage, position: Positions) -> Iterator[Event]:
        """What was wanted at one place is lost there."""
        yield from self.flush()
        offset, index, records, _ = position[0].tolist()
        yield Damage(offset, index - self._base, damage.code, damage.message, records)

    def missing(self, positions: Positions) -> Iterator[Event]:
        """What was wanted is not there: no reader of the same file would say so, but counts must be exact."""
        for row in range(len(positions)):
            yield from self.damage(Damage(0, 0, CORRUPT_INPUT, _NOT_THERE), positions[row : row + 1])


def _matched(read: _Read, segment: Segment, wanted: _Wanted, picked: _Picked) -> Iterator[Event]:
    """The wanted ones among what lies in a segment. Of what is behind the last one nothing is read."""
    if wanted.done:
        return
    with closing(cast("Any", read(segment))) as events:
        for event in events:
            if isinstance(event, Border):
                break
            if isinstance(event, Damage):
                for before in wanted.up_to(event.offset - 1):
                    yield from picked.missing(before)
                # Damage costs no byte where a compressed stream broke between two records: the one that follows has
                # the same offset and may be wanted too. All damage is, and comes first.
                position = wanted.at(event.offset)
                if position is not None:
                    yield from picked.damage(event, position)
            else:
                yield from _rows_of(event, wanted, picked)
            if wanted.done:
                break
    for left in wanted.up_to(1 << 62):
        yield from picked.missing(left)


def _rows_of(run: Run, wanted: _Wanted, picked: _Picked) -> Iterator[Event]:
    lengths = np.fromiter(map(len, run.raw), np.int64, len(run))
    offsets = run.offset + np.concatenate(([0], np.cumsum(lengths[:-1] + run.framing)))
    for positions in wanted.up_to(int(offsets[-1])):
        rows = np.searchsorted(offsets, positions["offset"])
        there = offsets[rows] == positions["offset"]
        if there.all():
            yield from picked.add([run.payloads[row] for row in rows.tolist()], positions)
            continue
        for at, row in enumerate(rows.tolist()):
            one = positions[at : at + 1]
            if there[at]:
                yield from picked.add([run.payloads[row]], one)
            else:
                yield from picked.missing(one)
