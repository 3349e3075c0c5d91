"""How many records a job has, and which bytes of its files a sample stands for."""

from __future__ import annotations

import bz2
import zlib
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from time import monotonic
from typing import Any

from batchpredict import storage
from batchpredict.counted import counted
from batchpredict.errors import NoInput
from batchpredict.estimate.ranges import Range, ratio
from batchpredict.estimate.sampled import Span
from batchpredict.formats import InputFormat, Segment

# Compressed bytes whose expansion stands for that of what follows them.
_PREFIX_BYTES = 4 << 20
# They are expanded in pieces, and no further than this: some files hold a thousand times their size.
_PIECE = 4 << 10
_MOST_EXPANDED = 256 << 20
# What follows expands to a little more or less, in all files alike.
_EXPANSION_ERROR = 0.02
# Footers are read for so long; a local one takes about a millisecond, one on a store about 100.
_FOOTER_SECONDS = 3.0


@dataclass(frozen=True)
class Records:
    """The records of a job. Attributes: count: how many. how: how that is known, for people."""

    count: Range
    how: str


class Amounts:
    """Bytes of a job's files by what was read of them.

    Args:
      input: the format of the files.
    """

    def __init__(self, input: InputFormat) -> None:
        self._input = input
        self._expansion = cache(_expansion)
        self._rows = cache(rows_of)

    def anywhere(self, segment: Segment) -> bool:
        """Whether a segment can be read from any of its bytes on."""
        return self._input.streamed and not self.codec(segment)

    def codec(self, segment: Segment) -> str | None:
        """How a file as a whole is compressed; None if it is not."""
        if not self._input.by_name:
            return None if self._input.seekable else "gzip"
        return segment.codec

    def bytes_of(self, span: Span) -> float:
        """The bytes of a file that the records of a span take there."""
        segment = span.segment
        if span.complete:
            return segment.end - segment.start
        if not self._input.streamed:
            rows = self._rows(segment.path)
            return span.records * segment.size / rows if rows else 0.0
        codec = self.codec(segment)
        read = span.end - span.begin
        return read if codec is None else read / self._expansion(segment.path, segment.size, codec)

    def records(self, spans: Sequence[Span], total: int, files: Callable[[], Iterable[tuple[str, int]]]) -> Records:
        """The records of a job.

        Args:
          spans: what was read of it, a span for each place.
          total: bytes of the job.
          files: URL and size of each of its files, in order.
        """
        read = [(span.records, self.bytes_of(span)) for span in spans]
        if not total:
            return Records(Range.exactly(0), "there are no bytes")
        if all(span.complete for span in spans) and sum(size for _, size in read) == total:
            return Records(Range.exactly(sum(count for count, _ in read)), "all of them were read")
        if not self._input.streamed:
            return _by_footers(files(), total, self._rows)
        known = [one for one in read if one[1]]
        packed = any(self.codec(span.segment) for span in spans)
        found = ratio(known, floor=_EXPANSION_ERROR if packed else 0.0) if known else Range(0, 0, 1)
        records, places = sum(count for count, _ in read), len(read)
        how = f"by the mean size of {records:,} records at {counted(places, 'place')}"
        if packed:
            how += ", and by what the beginnings of compressed files expand to"
        return Records(found.times(total), how)


def rows_of(path: str) -> int:
    """The rows of a Parquet file, by its footer; 0 if that cannot be read."""
    import pyarrow.parquet

    try:
        with closing(storage.open_read(path)) as file:
            metadata: Any = pyarrow.parquet.read_metadata(file)
            return int(metadata.num_rows)
    except Exception:
        # Whatever is wrong with it, a reader says so of its records.
        return 0


def _by_footers(files: Iterable[tuple[str, int]], total: int, rows: Callable[[str], int]) -> Records:
    end = monotonic() + _FOOTER_SECONDS
    pairs: list[tuple[float, float]] = []
    count = 0
    for path, size in files:
        count += 1
        if not pairs or monotonic() < end:
            pairs.append((rows(path), size))
    if len(pairs) == count:
        found = Range.exactly(sum(number for number, _ in pairs))
    else:
        found = ratio(pairs).times(total)
    said = f"all {count:,}" if len(pairs) == count else f"the first {len(pairs):,} of {count:,}"
    return Records(found, f"by the footer{'' if count == 1 else 's'} of {said} file{'' if count == 1 else 's'}")


def _expansion(path: str, size: int, codec: str) -> float:
    """Bytes that come out of each byte at the beginning of a compressed file; 1 if nothing does.

    Raises:
      NoInput: it cannot be read.
    """
    try:
        data = storage.again(lambda: storage.read_range(path, 0, min(size, _PREFIX_BYTES)))
    except OSError as error:
        raise NoInput(f"inputPaths: '{path}' cannot be read: {error}") from error
    made = used = 0
    decoder: Any = None
    while used < len(data) and made < _MOST_EXPANDED:
        if decoder is None or decoder.eof:
            decoder = zlib.decompressobj(wbits=31) if codec == "gzip" else bz2.BZ2Decompressor()
        piece = data[used : used + _PIECE]
        try:
            made += len(decoder.decompress(piece))
        except (zlib.error, OSError):
            break
        used += len(piece) - len(decoder.unused_data)
    return made / used if made and used else 1.0
