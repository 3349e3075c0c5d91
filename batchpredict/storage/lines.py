"""Files read by the line."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from batchpredict.storage.files import is_local, read_range
from batchpredict.storage.retry import again

# Bytes of the first request, which are often all that is asked for, and of the largest, which waits for the network
# more than for the store.
_FIRST = 1 << 20
_LARGEST = 8 << 20


def lines_of(url: str, start: int = 0) -> Iterator[bytes]:
    """The lines of a file from a byte on, with their newlines, read in pieces that are worth a request.

    What passes is tried again, and gone on from.

    Raises:
      FileNotFoundError: there is no such file.
      OSError: it cannot be read.
    """
    piece = _FIRST
    held: list[bytes] = []
    while data := again(_range(url, start, start + piece)):
        start += len(data)
        *whole, rest = data.split(b"\n")
        if whole:
            yield b"".join((*held, whole[0], b"\n"))
            yield from (line + b"\n" for line in whole[1:])
            held = []
        held.append(rest)
        if not is_local(url):
            piece = min(2 * piece, _LARGEST)
    if last := b"".join(held):
        yield last


def _range(url: str, start: int, end: int) -> Callable[[], bytes]:
    return lambda: read_range(url, start, end)
