"""Results of two jobs as one file: those of the second are put where they belong among those of the first.

Rows that stay are not decoded and encoded again, but for Parquet, whose row groups are cut anew: so what comes out
is the file that one job would have written.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import IO, Any, Protocol

from batchpredict import storage
from batchpredict.formats.results import ParquetResults
from batchpredict.formats.splits import Kept

# Rows of a Parquet file that are held at a time.
_ROWS = 8192


class Interleave(Protocol):
    """Writes the rows of two files as one.

    Args:
      kept: the file of the earlier job.
      new: the file of the new rows, from its beginning.
      before: for each new row, how many of the earlier ones it is put behind; never fewer than for the one before.
      file: where to write.
      types: Arrow types of the columns, where the format has such.

    Returns:
      How many rows of the earlier file were written: all that it has.

    Raises:
      OSError: a file cannot be read or written.
      ValueError: the earlier file is none of this format.
    """

    def __call__(
        self, kept: Kept, new: IO[bytes], before: Iterable[int], file: IO[bytes], types: Mapping[str, Any]
    ) -> int: ...


def interleave(old: Iterator[bytes], new: Iterable[bytes], before: Iterable[int], file: IO[bytes]) -> int:
    """Rows as texts; see `Interleave`. Neither side is held."""
    counted = _Counted(old)
    for place, row in zip(before, new, strict=True):
        file.writelines(islice(counted, place - counted.count))
        file.write(row)
    file.writelines(counted)
    return counted.count


class _Counted:
    """Rows, and how many of them were taken."""

    def __init__(self, rows: Iterator[bytes]) -> None:
        self._rows = rows
        self.count = 0

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        row = next(self._rows)
        self.count += 1
        return row


def interleave_json(
    kept: Kept, new: IO[bytes], before: Iterable[int], file: IO[bytes], types: Mapping[str, Any]
) -> int:
    """JSON lines, whatever fields they have."""
    del types
    return interleave(storage.lines_of(kept.url), new, before, file)


def interleave_csv(
    kept: Kept, new: IO[bytes], before: Iterable[int], file: IO[bytes], types: Mapping[str, Any]
) -> int:
    """CSV rows; a quoted cell may hold line breaks."""
    del types
    return interleave(_csv_rows(storage.lines_of(kept.url)), _csv_rows(new), before, file)


def _csv_rows(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Lines of a CSV file, those of a quoted cell put together: within one the quotes so far are odd in number."""
    held: list[bytes] = []
    quotes = 0
    for line in lines:
        quotes += line.count(b'"')
        held.append(line)
        if quotes % 2 == 0:
            yield b"".join(held)
            held, quotes = [], 0
    if held:
        yield b"".join(held)


def csv_columns(header: bytes) -> list[str]:
    """The names in the file that holds the header of CSV results."""
    return next(csv.reader(io.StringIO(header.decode("utf-8"))), [])


def interleave_parquet(
    kept: Kept, new: IO[bytes], before: Iterable[int], file: IO[bytes], types: Mapping[str, Any]
) -> int:
    """Rows of Parquet files of the same columns."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    writer = ParquetResults(file, types)
    places = iter(before)
    with storage.open_read(kept.url) as opened:
        try:
            old = _Rows(pq.ParquetFile(opened).iter_batches(batch_size=_ROWS, use_threads=False))
            for batch in pq.ParquetFile(new).iter_batches(batch_size=_ROWS, use_threads=False):
                start, missing = 0, 0
                for row in range(batch.num_rows):
                    if missing := next(places) - old.count:
                        if row > start:
                            writer.append(batch.slice(start, row - start))
                        for part in old.take(missing):
                            writer.append(part)
                        start = row
                writer.append(batch.slice(start))
            for part in old.take(None):
                writer.append(part)
        except pa.ArrowException as error:
            raise ValueError(str(error)) from error
    writer.finish()
    return old.count


class _Rows:
    """Record batches of which any number of rows is taken at a time."""

    def __init__(self, batches: Iterator[Any]) -> None:
        self._batches = batches
        self._rest: Any = None
        self.count = 0

    def take(self, wanted: int | None) -> Iterator[Any]:
        """The next rows; all that are left if `wanted` is None. Fewer if there are no more."""
        while wanted is None or wanted > 0:
            batch = self._rest if self._rest is not None else next(self._batches, None)
            if batch is None:
                return
            part = batch if wanted is None else batch.slice(0, wanted)
            self._rest = batch.slice(part.num_rows) if part.num_rows < batch.num_rows else None
            self.count += part.num_rows
            wanted = None if wanted is None else wanted - part.num_rows
            yield part


def parquet_columns(url: str) -> Mapping[str, Any]:
    """The columns of a Parquet file with their Arrow types. Raises OSError and ValueError."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with storage.open_read(url) as file:
        try:
            schema = pq.ParquetFile(file).schema_arrow
        except pa.ArrowException as error:
            raise ValueError(str(error)) from error
    return dict(zip(schema.names, schema.types, strict=True))
