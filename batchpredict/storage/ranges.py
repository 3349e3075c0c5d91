"""A file for reading, over a function that reads ranges."""

from __future__ import annotations

import io
from collections.abc import Callable

# What is asked for at once to find the end of a line.
_LINES = 1 << 20


class RangeFile(io.RawIOBase):
    """A seekable file of which one `read(n)` asks once for n bytes.

    Args:
      read_range: gives bytes [start, end), or fewer, none only at the end.
      size: bytes of the file.
    """

    def __init__(self, read_range: Callable[[int, int], bytes], size: int) -> None:
        super().__init__()
        self._read_range = read_range
        self._size = size
        self._at = 0

    def read(self, size: int | None = -1, /) -> bytes:
        end = self._size if size is None or size < 0 else min(self._at + size, self._size)
        parts = []
        while self._at < end and (piece := self._read_range(self._at, end)):
            parts.append(piece)
            self._at += len(piece)
        return b"".join(parts)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readline(self, size: int | None = -1, /) -> bytes:
        begin = self._at
        line = b""
        while (size is None or size < 0 or len(line) < size) and (piece := self.read(_LINES)):
            line += piece
            if b"\n" in piece:
                break
        stop = line.find(b"\n") + 1 or len(line)
        line = line[: stop if size is None or size < 0 else min(stop, size)]
        self._at = begin + len(line)
        return line

    def seek(self, offset: int, whence: int = 0, /) -> int:
        self._at = max(0, offset + (0, self._at, self._size)[whence])
        return self._at

    def tell(self) -> int:
        return self._at
