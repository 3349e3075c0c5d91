"""What is read next, fetched from a store before its turn.

A split of many small files, or of records here and there in a large one, would else wait for a store once for each.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

from batchpredict import storage
from batchpredict.formats.records import Segment
from batchpredict.formats.stream import TAIL_PIECE

# Requests at a time: at 50 ms each, some 300 files a second.
_AT_A_TIME = 16
# Bytes that wait for their turn; what comes next is always fetched.
_BYTES = 32 << 20
# A larger file is worth waiting for once, and is read ahead by itself from there.
_SMALL = 1 << 20


class Upcoming:
    """Small segments of files of a store, in the order in which they will be asked for. Used by one thread.

    Some of what lies behind each is fetched too: the rest of its last record is not worth a request of its own.
    """

    def __init__(self, segments: Iterable[Segment]) -> None:
        self._segments = iter(segments)
        self._fetched: deque[tuple[Segment, Future[bytes]]] = deque()
        self._bytes = 0
        self._threads = ThreadPoolExecutor(_AT_A_TIME, "upcoming")
        self._fetch()

    def take(self, path: str, start: int = 0) -> bytes | None:
        """The bytes of a file from `start` on, if they are what was fetched next. Raises OSError if that failed."""
        if not self._fetched or (self._fetched[0][0].path, self._fetched[0][0].start) != (path, start):
            return None
        segment, answer = self._fetched.popleft()
        self._bytes -= segment.end - segment.start
        self._fetch()
        return answer.result()

    def close(self) -> None:
        self._threads.shutdown(cancel_futures=True)

    def _fetch(self) -> None:
        while len(self._fetched) < _AT_A_TIME and (self._bytes < _BYTES or not self._fetched):
            segment = next(self._segments, None)
            if segment is None:
                return
            self._bytes += segment.end - segment.start
            end = min(segment.end + TAIL_PIECE, segment.size)
            answer = self._threads.submit(storage.read_range, segment.path, segment.start, end)
            self._fetched.append((segment, answer))


@contextmanager
def fetching(segments: Iterable[Segment]) -> Iterator[Upcoming | None]:
    """Small whole files among `segments`, which are fetched before they are asked for, as long as this lasts.

    Readers of the segments get them as their `upcoming`, in this order. Files of this machine, and those that one
    request would not bring whole, are left out; None if fewer than two are left.
    """
    wanted = [segment for segment in segments if _whole(segment)]
    if len(wanted) < 2:
        yield None
        return
    upcoming = Upcoming(wanted)
    try:
        yield upcoming
    finally:
        upcoming.close()


def _whole(segment: Segment) -> bool:
    return segment.start == 0 and 0 < segment.size == segment.end and worth_fetching(segment)


def worth_fetching(segment: Segment) -> bool:
    """Whether one request brings all of a segment, and is what it costs."""
    return segment.end - segment.start <= _SMALL and not storage.is_local(segment.path)
