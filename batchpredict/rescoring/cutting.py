"""Cutting the records that failed into splits of a job of their own.

The pieces of a file tile it: each begins where the one before it ends, at a record that is wanted. So the chain
that proves every job (see `batchpredict.ledger.chain`) proves this one, too: that no piece is left out, and what
index each record has in its file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from batchpredict.formats import MOST_FILES, Border, InputFormat, Positions, Segment, Selection, Split
from batchpredict.rescoring.outline import Former, Part

# A job is cut into about this many splits.
_SPLITS = 64
_FEWEST_RECORDS = 256
_MOST_RECORDS = 1 << 16
# A split ends in a short batch, so it should have some whole ones before that.
_BATCHES = 4
# Bytes that a split reads, and what it reads of a file for a single record of it.
_READ = 64 << 20
_READ_FOR_ONE = 64 << 10

Read = Callable[[int, int], Iterator[Positions]]
"""Gives so many positions from a number on, by the block."""


@dataclass(frozen=True)
class Piece:
    """A part of a file.

    Attributes:
      segment: it, with its selection.
      cost: bytes that are read for it, about.
    """

    segment: Segment
    cost: int


def records_of_split(total: int, batch_size: int) -> int:
    """How many records a split of a job over `total` failed records has."""
    share = min(max(total // _SPLITS, _FEWEST_RECORDS), _MOST_RECORDS)
    return max(share, _BATCHES * batch_size)


def cut(formers: Iterator[Former], read: Read, data_format: InputFormat, most: int) -> Iterator[Split]:
    """Splits over the records that failed, in their order, of at most `most` records but for those of a file that
    cannot be cut."""
    held: list[Piece] = []
    index = 0
    for piece in _pieces(formers, read, data_format, most):
        if held and _full([*held, piece], most):
            yield Split(index, tuple(one.segment for one in held))
            held, index = [], index + 1
        held.append(piece)
    if held:
        yield Split(index, tuple(one.segment for one in held))


def _full(pieces: list[Piece], most: int) -> bool:
    records = sum(one.segment.selection.count for one in pieces if one.segment.selection)
    return records > most or sum(one.cost for one in pieces) > _READ or len(pieces) > MOST_FILES


def _pieces(formers: Iterator[Former], read: Read, data_format: InputFormat, most: int) -> Iterator[Piece]:
    for part in _files(formers):
        path, size = part.report.path, part.report.size
        if part.encoding or not data_format.can_cut(path):
            yield Piece(_segment(part, 0, size, part.first, part.count, 0, part.records), size)
            continue
        grouped = not data_format.streamed
        start = base = 0
        first = part.first
        for count, records, after in _runs(read(part.first, part.count), most, grouped=grouped):
            end = size if after is None else after
            cost = end - start if grouped else min(count * _READ_FOR_ONE, end - start)
            yield Piece(_segment(part, start, end, first, count, base, records), cost)
            start, base, first = end, base + records, first + count


def _segment(part: Part, start: int, end: int, first: int, count: int, base: int, records: int) -> Segment:
    report = part.report
    selection = Selection(first, count, base, Border(start, end, records))
    return Segment(
        report.path, start, end, report.size, start > 0, report.version, part.encoding, selection=selection
    )


def _files(formers: Iterator[Former]) -> Iterator[Part]:
    """The files with errors, each as one part, whatever splits it was cut into."""
    held: Part | None = None
    for part in (part for former in formers for part in former.parts):
        if held is not None and held.report.path == part.report.path:
            held = Part(
                held.report, 0, held.first, held.count + part.count, held.records + part.records, held.encoding
            )
            continue
        if held is not None:
            yield held
        held = part
    if held is not None:
        yield held


def _runs(blocks: Iterator[Positions], most: int, *, grouped: bool) -> Iterator[tuple[int, int, int | None]]:
    """Cut the positions of a file: how many, how many records, and the byte at which the next run begins.

    Args:
      blocks: the positions.
      most: of a run; more where they share a byte.
      grouped: records share bytes, and those of one byte are read together: a run ends with a byte, and where what
        lies between is as much as a split reads.
    """
    count = records = 0
    begin = last = -1
    for block in blocks:
        offsets = block["offset"].tolist()
        for offset, failed in zip(offsets, block["records"].tolist(), strict=True):
            far = grouped and count > 0 and offset - begin >= _READ
            if (count >= most or far) and not (grouped and offset == last):
                yield count, records, offset
                count = records = 0
            if not count:
                begin = offset
            count, records, last = count + 1, records + failed, offset
    if count:
        yield count, records, None
