"""The bytes of a segment in order, whether they lie in the file as they are or come out of a decompressor.

The readers of lines and of TFRecords are written once, over `Stream`.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

from batchpredict import storage

# One read is one request to an object store, at some 50 ms each, and one system call on a disk.
LOCAL_PIECE = 1 << 20
REMOTE_PIECE = 8 << 20

# Behind the end of a range only the rest of its last record is wanted, which is usually short.
TAIL_PIECE = 64 << 10

# Stands for the end of a stream whose length is not known.
ENDLESS = 1 << 62


class Stream(Protocol):
    """Bytes read once from front to back.

    Attributes:
      position: offset of the byte that `read` returns next.
      size: offset of the end; ENDLESS where only reading tells.
      fault: why the bytes ended before the stream did, None as long as they did not.
      seekable: `seek` works.
    """

    position: int
    size: int
    fault: str | None
    seekable: bool

    def read(self, wanted: int = 0) -> bytes:
        """The next bytes: about `wanted`, or about one piece if that is more.

        Empty at the end of the stream and at a fault.
        """

    def skip(self, count: int) -> bool:
        """Go `count` bytes on. False if the stream ends or has a fault before that."""

    def seek(self, offset: int) -> None:
        """Go to any byte. Only where `seekable`."""

    def resume(self) -> bool:
        """Leave a fault behind. False if there is nothing to be read behind it."""

    def close(self) -> None: ...


class Plain:
    """A range of a file as it is. Reads go on behind the range, in smaller pieces, up to the file's size.

    Of a remote file the next piece of the range is fetched while the one before it is worked on, and the last one
    brings some of what follows: the rest of a record is not worth a request of its own.

    Args:
      path, start, end, size: as those of a `Segment`.
      fetched: the bytes of a remote file from a byte on that were fetched before their turn, None if they were not.
    """

    seekable = True

    def __init__(
        self,
        path: str,
        start: int,
        end: int,
        size: int,
        fetched: Callable[[str, int], bytes | None] | None = None,
    ) -> None:
        self.position = start
        self.size = size
        # A file that is shorter than it was raises.
        self.fault: str | None = None
        self._start = start
        self._end = end
        self._path = path
        self._fetched = fetched
        self._file = storage.open_read(path) if storage.is_local(path) else None
        self._piece = REMOTE_PIECE if self._file is None else LOCAL_PIECE
        self._tail = TAIL_PIECE
        if self._file is not None:
            self._file.seek(start)
        ahead = self._file is None and end - start > self._piece
        self._fetcher = ThreadPoolExecutor(1, "read-ahead") if ahead else None
        self._ahead: Future[bytes] | None = None

    def read(self, wanted: int = 0) -> bytes:
        piece = self._next_piece()
        if piece <= 0:
            piece, self._tail = self._tail, min(2 * self._tail, self._piece)
        wanted = min(max(wanted, piece), self.size - self.position)
        if wanted <= 0:
            return b""
        data = self._take_ahead() or self._first() or self._fetch(wanted)
        if not data:
            # Of all that is wrong with a file this is nothing that a record is to blame for.
            raise OSError(
                f"it is shorter than it was when the job was planned: {self.size} bytes then, {self.position} now"
            )
        self.position += len(data)
        self._fetch_ahead()
        return data

    def _next_piece(self) -> int:
        left = self._end - self.position
        if self._file is not None or left <= 0 or left > self._piece:
            return min(self._piece, left)
        return min(left + TAIL_PIECE, self.size - self.position)

    def _fetch(self, count: int) -> bytes:
        if self._file is not None:
            return self._file.read(count)
        return storage.read_range(self._path, self.position, self.position + count)

    def _first(self) -> bytes:
        """What was fetched of a file before its turn."""
        if self._file is not None or self.position != self._start or self._fetched is None:
            return b""
        return self._fetched(self._path, self._start) or b""

    def _fetch_ahead(self) -> None:
        piece = self._next_piece()
        if self._fetcher is not None and piece > 0:
            self._ahead = self._fetcher.submit(self._fetch, piece)

    def _take_ahead(self) -> bytes:
        """What was fetched ahead."""
        ahead, self._ahead = self._ahead, None
        return ahead.result() if ahead is not None else b""

    def skip(self, count: int) -> bool:
        self.seek(min(self.position + count, self.size))
        return True

    def seek(self, offset: int) -> None:
        self._take_ahead()
        if self._file is not None:
            self._file.seek(offset)
        self.position = offset

    def resume(self) -> bool:
        return False

    def close(self) -> None:
        if self._fetcher is not None:
            # What is still being fetched is not waited for longer than it takes.
            self._fetcher.shutdown(cancel_futures=True)
        if self._file is not None:
            self._file.close()


class Window:
    """A part of a stream that is held: `data` are the bytes from offset `base` on."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.data = b""
        self.base = stream.position

    def load(self, offset: int, count: int) -> bool:
        """Hold at least `count` bytes from `offset`; what lies before `offset` may be forgotten.

        `offset` must not lie before the window nor behind it. False if the stream ends before that; what
        there is, is then held.
        """
        missing = offset + count - self.base - len(self.data)
        if missing <= 0:
            return True
        parts = [self.data[offset - self.base :]]
        while missing > 0:
            piece = self.stream.read(missing)
            if not piece:
                break
            parts.append(piece)
            missing -= len(piece)
        self.data = b"".join(parts)
        self.base = offset
        return missing <= 0

    def advance(self, offset: int) -> bool:
        """Go on at `offset`, without holding what lies before it. False if the stream ends before that."""
        beyond = offset - self.base - len(self.data)
        if beyond <= 0:
            return True
        self.data = b""
        there = self.stream.skip(beyond)
        self.base = self.stream.position
        return there

    def resume(self) -> bool:
        """Go on behind a fault of the stream. False if there is none or nothing behind it."""
        if self.stream.fault is None or not self.stream.resume():
            return False
        self.data = b""
        self.base = self.stream.position
        return True
