"""What a reader yields: runs of records that lie one behind the other in a file, and damage between them.

A record is never an object of its own here: at half a million records a second, one Python object more per
record is a tenth of the time. A `Run` holds the payloads of many records and can say, when an error needs it,
where each of them was.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from batchpredict.formats.codecs import codec_of


@dataclass(frozen=True, slots=True)
class Segment:
    """A byte range of one file that one split reads.

    Attributes:
      path: URL of the file.
      start: first byte of the range. 0 is a certain border; any other value may lie inside a record.
      end: byte after the range; records that begin at `end` or later belong to the next segment.
      size: size of the whole file in bytes, as it was when the segment was cut.
      exact: the range starts where a record is known to begin, so nothing has to be looked for.
      version: what told this content of the file from others when it was planned; "" if nothing did.
      encoding: how the store says that the file's bytes are encoded ("gzip"), whatever its name is; "" for not.
      selection: which of its records are wanted; None for all.
    """

    path: str
    start: int
    end: int
    size: int
    exact: bool = False
    version: str = ""
    encoding: str = ""
    selection: Selection | None = None

    @property
    def codec(self) -> str | None:
        """ "gzip" or "bz2" for a compressed file, else None."""
        return codec_of(self.path, self.encoding)

    @property
    def certain(self) -> bool:
        """Whether a record is known to begin at `start`."""
        return self.exact or self.start == 0

    def resumed_at(self, offset: int) -> Segment:
        """The segment to read instead when the chain says that a record begins at `offset`.

        `offset` may lie at `end` or behind it: the previous segment's last record then covers this whole
        range, and reading the result yields nothing but `Border(begin=offset, next=offset, records=0)`.
        """
        return dataclasses.replace(self, start=offset, exact=True)


@dataclass(frozen=True, slots=True)
class Selection:
    """Some records of a segment. Only they are read; `positions` says how their places are kept.

    Attributes:
      first: number, among the positions that the job keeps, of the first one of this segment.
      count: how many positions follow from there.
      base: index in the file of the record from which the segment counts its own.
      border: what is reported of the segment; nobody finds it out, as what lies between is not read.
    """

    first: int
    count: int
    base: int
    border: Border


@dataclass(frozen=True)
class Damage:
    """A stretch of a file that cost records: reported as one error.

    Attributes:
      offset: byte where the stretch begins (in the uncompressed stream where the file is compressed).
      index: record index in the segment at which it stands.
      code: RECORD_TOO_LARGE or CORRUPT_INPUT.
      message: the reason, without file name and offset; equal reasons have equal messages.
      records: how many records were lost, where the file says so; 1 where nothing does.
    """

    offset: int
    index: int
    code: str
    message: str
    records: int = 1


@dataclass(frozen=True)
class Run:
    """Records that follow each other in a file without a gap.

    Attributes:
      payloads: the records' bytes, framing removed.
      offset: byte at which the first record begins (in the uncompressed stream where the file is compressed).
      index: index of the first record in its segment.
      raw: as `payloads`, before anything that changes lengths was taken off (a carriage return, a byte order
        mark); the same list where nothing was.
      framing: bytes of framing per record: 1 for a line, 16 for a TFRecord.
    """

    payloads: list[bytes]
    offset: int
    index: int
    raw: Sequence[bytes]
    framing: int

    def __len__(self) -> int:
        return len(self.payloads)

    def offset_of(self, row: int) -> int:
        """Byte at which record `row` of this run begins."""
        return self.offset + sum(map(len, self.raw[:row])) + row * self.framing

    def index_of(self, row: int) -> int:
        """Index of record `row` of this run in its segment."""
        return self.index + row


@dataclass(frozen=True)
class PickedRun(Run):
    """Records of a selection: they need not follow each other in the file.

    Attributes:
      positions: a `Positions` array with a place for each of them.
      base: index in the file of the record from which the segment counts.
    """

    positions: Any
    base: int

    def offset_of(self, row: int) -> int:
        return int(self.positions["offset"][row])

    def index_of(self, row: int) -> int:
        return int(self.positions["index"][row]) - self.base


@dataclass(frozen=True)
class Rows:
    """Rows of a columnar file.

    Attributes:
      table: a `pyarrow.RecordBatch`.
      offset: byte at which the row group of the rows begins.
      index: index of the first row in its segment.
    """

    table: Any
    offset: int
    index: int

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def offset_of(self, row: int) -> int:  # noqa: ARG002 - a row of a column store has no byte of its own
        return self.offset

    def index_of(self, row: int) -> int:
        return self.index + row


@dataclass(frozen=True)
class PickedRows(Rows):
    """Rows of a selection, all of one row group; `positions` and `base` as those of a `PickedRun`."""

    positions: Any
    base: int

    def index_of(self, row: int) -> int:
        return int(self.positions["index"][row]) - self.base


@dataclass(frozen=True)
class Border:
    """Last thing that a reader yields for a segment: what the chain of its file is checked with.

    Attributes:
      begin: byte where reading began: the segment's start where that is certain, else the first record that
        was found in the range. None if the range was searched and no record seems to begin in it; `next` is
        then the end of the range and says nothing about where the next record is.
      next: byte where the next segment of the file must begin: the first record at or after `end`, or the
        file's size. A record of a range that was redone may reach over several segments, so a chain goes on
        from the largest `next` so far.
      records: record positions in the segment, those that were lost to damage among them.
    """

    begin: int | None
    next: int
    records: int


def fits(previous_next: int, segment: Segment, border: Border) -> bool:
    """Whether a segment was read from the byte at which the segments before it left off.

    `previous_next` is the largest `next` of the file's earlier segments, 0 for the first. If the answer is
    False, what was read is to be thrown away and `segment.resumed_at(previous_next)` is to be read instead.
    """
    if border.begin is None:
        return previous_next >= segment.end
    return previous_next == border.begin


Event: TypeAlias = Run | Rows | Damage | Border
