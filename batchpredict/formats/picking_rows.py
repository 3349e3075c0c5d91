"""Reading some rows of a Parquet file: of the row groups that hold them, and no others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from batchpredict import storage
from batchpredict.errors import CORRUPT_INPUT
from batchpredict.formats import parquet
from batchpredict.formats.picking import selection_of
from batchpredict.formats.positions import Positions
from batchpredict.formats.records import Damage, Event, PickedRows, Segment
from batchpredict.formats.upcoming import Upcoming

_NOT_THERE = "there is no such row"


def pick_parquet(
    segment: Segment,
    positions: Iterable[Positions],
    *,
    rows: int,
    max_record_bytes: int,
    upcoming: Upcoming | None = None,
) -> Iterator[Event]:
    """A `Picker`. Rows that were lost at once are given again one by one where they can be read now."""
    del max_record_bytes, upcoming
    selection = selection_of(segment)
    base = selection.base
    if selection.count:
        with closing(parquet.Watched(storage.open_read(segment.path))) as file:
            try:
                opened = parquet.parquet_file(file)
                places = parquet.places(opened.metadata)
            except Exception as error:
                file.raise_own_error()
                reason = f"{parquet.NO_FOOTER}: {parquet.reason_of(error)}"
                for wanted in _groups(positions):
                    yield from (_lost(one, 0, base, reason) for one in wanted)
            else:
                first = 0
                firsts = {}
                for offset, group in places:
                    firsts[offset] = group, first
                    first += opened.metadata.row_group(group).num_rows
                for wanted in _groups(positions):
                    yield from _group(opened, file, firsts.get(int(wanted["offset"][0])), wanted, base, rows)
    yield selection.border


def _groups(positions: Iterable[Positions]) -> Iterator[Positions]:
    """Positions by the row group: all of one at a time."""
    held: Positions | None = None
    for block in positions:
        if held is not None:
            block = np.concatenate((held, block))
        cuts = np.flatnonzero(np.diff(block["offset"])) + 1
        *whole, held = np.split(block, cuts)
        yield from whole
    if held is not None and len(held):
        yield held


def _lost(position: np.void, gone: int, base: int, message: str) -> Damage:
    """A place whose first `gone` records were delivered; the rest is lost."""
    offset, index, records, _ = position.tolist()
    return Damage(offset, index + gone - base, CORRUPT_INPUT, message, records - gone)


def _group(
    opened: Any,
    file: parquet.Watched,
    place: tuple[int, int] | None,
    wanted: Positions,
    base: int,
    rows: int,
) -> Iterator[Event]:
    """The wanted rows of a row group; `place` is its number and the index in the file of its first row."""
    delivered = 0
    reason = ""
    starts = wanted["index"] - (place[1] if place else 0)
    stops = starts + wanted["records"]
    batches = iter(()) if place is None else parquet.batches(opened, place[0], rows)
    while delivered < int(stops.max()):
        try:
            batch = next(batches, None)
        except Exception as error:
            file.raise_own_error()
            reason = parquet.reason_of(error)
            break
        if batch is None:
            break
        first, delivered = delivered, delivered + batch.num_rows
        positions, taken = _within(wanted, starts, stops, first, delivered)
        if len(taken):
            yield PickedRows(
                batch.take(pa.array(taken)),
                int(wanted["offset"][0]),
                int(positions["index"][0]) - base,
                positions,
                base,
            )
    for row in np.flatnonzero(stops > delivered).tolist():
        gone = max(delivered - int(starts[row]), 0)
        left = int(stops[row] - starts[row]) - gone
        message = f"{left} rows of a row group cannot be decoded: {reason}" if reason else _NOT_THERE
        yield _lost(wanted[row], gone, base, message)


def _within(
    wanted: Positions,
    starts: npt.NDArray[np.int64],
    stops: npt.NDArray[np.int64],
    first: int,
    last: int,
) -> tuple[Positions, npt.NDArray[np.int64]]:
    """Those of the wanted rows that are among rows [first, last) of their group, and where among these."""
    low, high = np.maximum(starts, first), np.minimum(stops, last)
    counts = np.maximum(high - low, 0)
    positions = np.repeat(wanted, counts)
    # Of each stretch its first row, and so many rows on.
    along = np.arange(len(positions)) - np.repeat(np.cumsum(counts) - counts, counts)
    rows = np.repeat(low, counts) + along
    positions["index"] += rows - np.repeat(starts, counts)
    positions["records"] = 1
    return positions, rows - first
