r"""Lines of text as records.

The service's definition is one sentence, "a text file with instances separated by the new-line character".
What it leaves open is settled here the way its command line read such files: a byte order mark at the start
of a file and one carriage return at the end of a line are not part of the record, the last line needs no
newline, and an empty line is a record (the model's decoder says what is wrong with it).
"""

from __future__ import annotations

from collections.abc import Iterator

from batchpredict.errors import CORRUPT_INPUT
from batchpredict.formats.gathering import Gathering
from batchpredict.formats.opening import opened
from batchpredict.formats.records import Border, Damage, Event, Run, Segment
from batchpredict.formats.stream import ENDLESS, Stream
from batchpredict.formats.upcoming import Upcoming

_BOM = b"\xef\xbb\xbf"

# What may surround a payload and does not count for its length: a byte order mark and a carriage return.
_SLACK = len(_BOM) + 1


def read_text(
    segment: Segment, *, rows: int, max_record_bytes: int, upcoming: Upcoming | None = None
) -> Iterator[Event]:
    """The lines that begin in a segment. Files named .gz and .bz2 are decompressed and read whole.

    A range that starts inside a file begins behind the first newline at or after its byte before `start`, so
    that neighbouring ranges agree on their border without knowing of each other.
    """
    codec = segment.codec
    if segment.start >= min(segment.end, segment.size):
        yield Border(segment.start, segment.start, 0)
        return
    start = 0 if codec else segment.start if segment.certain else segment.start - 1
    with opened(segment, start, codec, upcoming) as stream:
        yield from _Lines(stream, segment, rows, max_record_bytes).events()


class _Lines:
    """One pass over the lines of a segment. What is held of a line that is not complete is in `_parts`."""

    def __init__(self, stream: Stream, segment: Segment, rows: int, longest: int) -> None:
        self._stream = stream
        self._segment = segment
        self._longest = longest
        self._gathering = Gathering(rows, framing=1)
        # The first newline at this byte or behind it ends the last line of the range.
        self._last = ENDLESS if stream.size == ENDLESS else segment.end - 1
        self._begin = segment.start if segment.certain or stream.size == ENDLESS else None
        self._next: int | None = None
        # While looking, the bytes up to the next newline belong to a line that is not ours or is damaged.
        self._looking = self._begin is None
        self._line = stream.position
        self._parts: list[bytes] = []
        self._held = 0
        self._too_long = False

    def events(self) -> Iterator[Event]:
        while self._next is None:
            piece = self._stream.read()
            if piece:
                yield from self._take(piece)
            elif self._stream.fault is not None:
                yield from self._broken(self._stream.fault)
                if not self._stream.resume():
                    break
            else:
                yield from self._unterminated()
                break
        yield from self._gathering.flush()
        if self._begin is None:
            yield Border(None, self._segment.end, 0)
        else:
            after = self._segment.size if self._next is None else self._next
            yield Border(self._begin, after, self._gathering.count)

    def _take(self, piece: bytes) -> Iterator[Event]:
        """The lines that end in a piece."""
        base = self._stream.position - len(piece)
        stop = -1
        if self._stream.position > self._last:
            stop = piece.find(b"\n", max(0, self._last - base))
            if stop >= 0:
                self._next = base + stop + 1
        if stop < 0:
            stop = piece.rfind(b"\n")
        first = 0
        if self._looking or self._too_long:
            first = piece.find(b"\n", 0, stop + 1) + 1
            if first == 0:
                self._give_up_beyond_range()
                return
            yield from self._skipped(base + first)
        if stop < 0:
            self._hold(piece)
            return
        if first <= stop:
            self._parts.append(piece[first : stop + 1])
            whole = b"".join(self._parts)
            yield from self._lines(whole, base + stop + 1 - len(whole))
        self._line = base + stop + 1
        self._parts = []
        self._held = 0
        if stop + 1 < len(piece):
            self._hold(piece[stop + 1 :])

    def _skipped(self, line: int) -> Iterator[Event]:
        """A line of which nothing was held has ended; the next one begins at byte `line`."""
        if self._too_long:
            yield from self._gathering.too_large(self._line, self._longest)
        elif self._begin is None and line <= self._last:
            self._begin = line
        self._looking = self._too_long = False
        self._line = line

    def _give_up_beyond_range(self) -> None:
        """End the search for a first line where none can begin in the range any more."""
        if self._looking and self._begin is None and self._stream.position > self._last:
            self._next = self._segment.end

    def _hold(self, part: bytes) -> None:
        self._parts.append(part)
        self._held += len(part)
        if self._held > self._longest + _SLACK:
            self._too_long = True
            self._parts = []
            self._held = 0

    def _lines(self, whole: bytes, offset: int) -> Iterator[Run | Damage]:
        """Lines of which each, the last one too, ends in a newline."""
        raw = whole.split(b"\n")
        raw.pop()
        payloads = raw
        if b"\r\n" in whole:
            payloads = whole.replace(b"\r\n", b"\n").split(b"\n")
            payloads.pop()
        yield from self._add(payloads, raw, offset, offset + len(whole))

    def _unterminated(self) -> Iterator[Run | Damage]:
        """The last line of a file that does not end in a newline."""
        if self._too_long:
            yield from self._gathering.too_large(self._line, self._longest)
            return
        raw = b"".join(self._parts)
        if raw and not (raw == _BOM and self._line == 0):
            yield from self._add([raw.removesuffix(b"\r")], [raw], self._line, self._line + len(raw))

    def _add(self, payloads: list[bytes], raw: list[bytes], offset: int, end: int) -> Iterator[Run | Damage]:
        if offset == 0 and raw[0].startswith(_BOM):
            payloads = [payloads[0][len(_BOM) :], *payloads[1:]]
        if end - offset <= self._longest or max(map(len, payloads)) <= self._longest:
            yield from self._gathering.add(payloads, raw, offset, end)
            return
        for payload, line in zip(payloads, raw, strict=True):
            if len(payload) <= self._longest:
                yield from self._gathering.add([payload], [line], offset, offset + len(line) + 1)
            else:
                yield from self._gathering.too_large(offset, self._longest)
            offset += len(line) + 1

    def _broken(self, fault: str) -> Iterator[Run | Damage]:
        """The bytes end in a fault: the line that it cuts is lost, with what follows of it."""
        if not self._looking:
            yield from self._gathering.damage(self._line, CORRUPT_INPUT, fault)
        self._looking = True
        self._too_long = False
        self._parts = []
        self._held = 0
