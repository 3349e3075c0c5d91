"""The stream of a segment, decompressed where its file is compressed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from batchpredict.formats.compressed import Decompressed
from batchpredict.formats.records import Segment
from batchpredict.formats.stream import Plain, Stream
from batchpredict.formats.upcoming import Upcoming


@contextmanager
def opened(segment: Segment, start: int, codec: str | None, upcoming: Upcoming | None = None) -> Iterator[Stream]:
    """The stream of a segment from byte `start`.

    Args:
      segment: the range of bytes that is wanted.
      start: where to begin.
      codec: "gzip", "bz2", or None for a file as it is.
      upcoming: files that are fetched before their turn; None if there are none.
    """
    fetched = None if upcoming is None else upcoming.take
    plain = Plain(segment.path, start, segment.end, segment.size, fetched)
    stream: Stream = plain
    if codec is not None:
        stream = Decompressed(plain, codec)
    try:
        yield stream
    finally:
        stream.close()
