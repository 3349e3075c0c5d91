"""Lines of what is read in pieces."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


def lines_in(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The lines of pieces that follow one another, with their newlines; the last one may have none."""
    begun: list[bytes] = []
    for piece in pieces:
        *whole, rest = piece.split(b"\n")
        if whole:
            yield b"".join((*begun, whole[0], b"\n"))
            yield from (line + b"\n" for line in whole[1:])
            begun = []
        begun.append(rest)
    if last := b"".join(begun):
        yield last
