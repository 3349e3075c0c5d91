"""Parquet files: rows as record batches, a row group as the unit that is cut and that can be lost.

A row group lies in one stretch of its file, and the footer says where (parquet-format, `ColumnMetaData`), so
the cuts of a Parquet file are never guesses.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import IO, Any

from batchpredict import storage
from batchpredict.errors import CORRUPT_INPUT
from batchpredict.formats.records import Border, Damage, Event, Rows, Segment
from batchpredict.formats.upcoming import Upcoming

# Columns are read through buffers of this size instead of as whole chunks, which in a row group of the usual
# 128 MiB and few columns are most of it.
_BUFFER = 1 << 20

NO_FOOTER = "the footer of the Parquet file cannot be read, and its rows are not counted"


def read_parquet(
    segment: Segment, *, rows: int, max_record_bytes: int, upcoming: Upcoming | None = None
) -> Iterator[Event]:
    """The rows of the row groups that begin in a segment, as batches of at most `rows` rows.

    A row group that does not decode is one damage from the first row on that was not delivered, and counts all of
    them. A footer that cannot be read is one damage of the segment that starts the file; nothing else says how many
    rows there are, so it counts as one. Neither `max_record_bytes`
    nor `upcoming` applies.
    """
    del max_record_bytes, upcoming
    if segment.start >= min(segment.end, segment.size):
        yield Border(segment.start, segment.start, 0)
        return
    with closing(Watched(storage.open_read(segment.path))) as file:
        try:
            parquet = parquet_file(file)
            found = places(parquet.metadata)
        except Exception as error:
            file.raise_own_error()
            yield from _unreadable(segment, reason_of(error))
            return
        mine = [group for offset, group in found if segment.start <= offset < segment.end]
        offsets = {group: offset for offset, group in found}
        index = 0
        for group in mine:
            for event in _row_group(parquet, file, group, offsets[group], rows, index):
                yield event
                index += len(event) if isinstance(event, Rows) else event.records
        begin = segment.start if segment.certain else offsets[mine[0]] if mine else None
        later = [offset for offset, _ in found if offset >= segment.end]
        if begin is None:
            yield Border(None, segment.end, 0)
        else:
            yield Border(begin, min(later, default=segment.size), index)


def _unreadable(segment: Segment, reason: str) -> Iterator[Event]:
    if segment.start == 0:
        yield Damage(0, 0, CORRUPT_INPUT, f"{NO_FOOTER}: {reason}")
        yield Border(0, segment.size, 1)
    else:
        yield Border(segment.start if segment.exact else None, segment.end, 0)


def _row_group(
    parquet: Any, file: Watched, group: int, offset: int, rows: int, index: int
) -> Iterator[Rows | Damage]:
    delivered = 0
    found = batches(parquet, group, rows)
    while True:
        try:
            batch = next(found, None)
        except Exception as error:
            file.raise_own_error()
            lost = parquet.metadata.row_group(group).num_rows - delivered
            message = f"{lost} rows of a row group cannot be decoded: {reason_of(error)}"
            yield Damage(offset, index + delivered, CORRUPT_INPUT, message, lost)
            return
        if batch is None:
            return
        if batch.num_rows:
            yield Rows(batch, offset, index + delivered)
            delivered += batch.num_rows


def batches(parquet: Any, group: int, rows: int) -> Iterator[Any]:
    """The rows of a row group, at most `rows` at a time."""
    found: Iterator[Any] = parquet.iter_batches(batch_size=rows, row_groups=[group], use_threads=False)
    return found


def parquet_file(file: Watched) -> Any:
    """A `pyarrow.parquet.ParquetFile`. Raises what pyarrow raises for a footer that cannot be read."""
    import pyarrow.parquet

    return pyarrow.parquet.ParquetFile(file, pre_buffer=False, buffer_size=_BUFFER, page_checksum_verification=True)


def places(metadata: Any) -> list[tuple[int, int]]:
    """(byte offset, number) of each row group that has rows, in the order in which they lie in the file."""
    groups = ((number, metadata.row_group(number)) for number in range(metadata.num_row_groups))
    return sorted((_offset_of(group), number) for number, group in groups if group.num_rows)


def _offset_of(group: Any) -> int:
    if not group.num_columns:
        return 0
    column = group.column(0)
    offsets = (column.dictionary_page_offset, column.data_page_offset)
    return min(int(offset) for offset in offsets if offset)


def reason_of(error: Exception) -> str:
    """What pyarrow says, on one line."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__


class Watched:
    """A file for pyarrow, which tells errors of the file system from those of what is in the file."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._error: Exception | None = None

    def raise_own_error(self) -> None:
        if self._error is not None:
            raise self._error

    @property
    def closed(self) -> bool:
        return self._file.closed

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def writable(self) -> bool:
        return False

    def read(self, size: int = -1) -> bytes:
        try:
            return self._file.read(size)
        except Exception as error:
            self._error = error
            raise

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def flush(self) -> None:
        """Nothing was written."""

    def close(self) -> None:
        self._file.close()
