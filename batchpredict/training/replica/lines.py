"""From the bytes that a program writes to the lines of a log."""

from __future__ import annotations

import re

LONGEST_LINE = 8192
"""Bytes, as in the service's log; what is longer goes on in the next line."""

PROGRESS_SECONDS = 10.0
"""How often a progress bar, which never ends its line, is shown."""

# Colours and cursor movements of terminals, and control characters, which no log can store.
_CLEAN = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f]")


class LineSplitter:
    """Cuts a stream into lines, in memory of at most `longest` bytes. No clock inside: the caller says the time.

    A carriage return starts a line over, as on a terminal, so of a progress bar only what it shows counts: at the
    end of its line, and every PROGRESS_SECONDS until then. Bytes that are no UTF-8 are replaced.
    """

    def __init__(self, longest: int = LONGEST_LINE) -> None:
        self._longest = longest
        self._rest = b""
        self._shown_at: float | None = None

    def feed(self, data: bytes, now: float) -> list[str]:
        """The lines that are complete with `data`, which came at `now` (seconds of a steady clock)."""
        *whole, self._rest = (self._rest + data).split(b"\n")
        found = [text for line in whole for text in self._texts(line)]
        if whole:
            self._shown_at = None
        if b"\r" in self._rest:
            self._rest = _shown(self._rest) + (b"\r" if self._rest.endswith(b"\r") else b"")
            found += self._progress(now)
        *long, self._rest = self._cut(self._rest)
        return found + [text for line in long for text in self._texts(line)]

    def end(self) -> list[str]:
        """What is left when nothing comes any more."""
        rest, self._rest = self._rest, b""
        return self._texts(rest) if rest else []

    def _progress(self, now: float) -> list[str]:
        if self._shown_at is None:
            self._shown_at = now
        if now - self._shown_at < PROGRESS_SECONDS:
            return []
        self._shown_at = now
        return self._texts(self._rest)

    def _texts(self, line: bytes) -> list[str]:
        pieces = self._cut(_shown(line))
        return [_CLEAN.sub("", piece.decode("utf-8", "replace")).rstrip() for piece in pieces]

    def _cut(self, line: bytes) -> list[bytes]:
        pieces = []
        while len(line) > self._longest:
            at = self._longest
            # Not within a character of UTF-8, which has at most three bytes behind its first.
            while at > self._longest - 3 and line[at] & 0xC0 == 0x80:
                at -= 1
            pieces.append(line[:at])
            line = line[at:]
        return [*pieces, line]


def _shown(line: bytes) -> bytes:
    """What a terminal shows of a line."""
    return line.rstrip(b"\r").rpartition(b"\r")[2]
