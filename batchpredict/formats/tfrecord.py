"""TFRecord files as records, whatever happened to the file.

A frame that is damaged in its data alone costs one record. Where the framing itself is damaged, the next
frame of which both checksums hold is looked for byte by byte, and the stretch up to there is one damage.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass

import google_crc32c

from batchpredict.errors import CORRUPT_INPUT
from batchpredict.formats import framing
from batchpredict.formats.framing import FOOTER, FRAMING, HEADER
from batchpredict.formats.gathering import Gathering
from batchpredict.formats.opening import opened
from batchpredict.formats.records import Border, Event, Segment
from batchpredict.formats.stream import ENDLESS, Window
from batchpredict.formats.upcoming import Upcoming

_DATA = "the record does not match its checksum"
_LENGTH = "the record's length does not match its checksum"
_CUT = "the file ends inside the record"

# Frames whose checksums are compared in one go. Behind damage few at first: what follows may be garbage.
_MOST = 1 << 16
_WARY = 8


def read_tfrecord(
    segment: Segment, *, rows: int, max_record_bytes: int, upcoming: Upcoming | None = None
) -> Iterator[Event]:
    """The TFRecords that begin in a segment. Files named .gz and .bz2 are decompressed and read whole.

    A range that starts inside a file begins at the first frame in it of which both checksums hold. That is a
    guess: a record's data may itself hold frames.
    """
    return _read(segment, segment.codec, rows, max_record_bytes, upcoming)


def read_tfrecord_gzip(
    segment: Segment, *, rows: int, max_record_bytes: int, upcoming: Upcoming | None = None
) -> Iterator[Event]:
    """The TFRecords of a file that is compressed with gzip whatever its name is."""
    return _read(segment, "gzip", rows, max_record_bytes, upcoming)


def _read(
    segment: Segment, codec: str | None, rows: int, longest: int, upcoming: Upcoming | None
) -> Iterator[Event]:
    if segment.start >= min(segment.end, segment.size):
        yield Border(segment.start, segment.start, 0)
        return
    with opened(segment, 0 if codec else segment.start, codec, upcoming) as stream:
        window = Window(stream)
        end = segment.end if codec is None else ENDLESS
        begin: int | None = segment.start
        if not segment.certain and codec is None:
            begin = _search(window, segment.start, end, longest)
        if begin is None:
            yield Border(None, segment.end, 0)
            return
        gathering = Gathering(rows, FRAMING)
        after = yield from _frames(window, begin, end, longest, gathering)
        yield from gathering.flush()
        yield Border(begin, segment.size if after == ENDLESS else after, gathering.count)


def _frames(
    window: Window, begin: int, end: int, longest: int, gathering: Gathering
) -> Generator[Event, None, int]:
    """The frames from `begin`, where one is expected, up to the first that begins at `end` or behind it.

    Returns where that is, ENDLESS if the stream has no more.
    """
    at = begin
    most = _MOST
    while at < end:
        payloads = framing.take(window.data, at - window.base, end - window.base, most)
        if len(window.data) > longest:
            payloads = _up_to_longest(payloads, longest)
        if payloads:
            after = at + sum(map(len, payloads)) + FRAMING * len(payloads)
            yield from gathering.add(payloads, payloads, at, after)
            at = after
            most = min(2 * most, _MOST)
            continue
        # Whatever `take` does not take is looked at alone: the last frame of a buffer, and every odd one.
        frame = _examine(window, at, longest)
        if frame is None:
            return ENDLESS
        if frame.payload is not None:
            yield from gathering.add([frame.payload], [frame.payload], at, frame.after)
            at = frame.after
            continue
        most = _WARY
        if frame.message is None:
            yield from gathering.too_large(at, longest)
        else:
            yield from gathering.damage(at, CORRUPT_INPUT, frame.message)
        if frame.after != _LOST and window.advance(frame.after):
            at = frame.after
            continue
        found = _search(window, at + 1 if frame.after == _LOST else window.base, ENDLESS, longest)
        if found is None:
            return ENDLESS
        at = found
    return at


def _up_to_longest(payloads: list[bytes], longest: int) -> list[bytes]:
    for row, payload in enumerate(payloads):
        if len(payload) > longest:
            return payloads[:row]
    return payloads


_LOST = -1


@dataclass(frozen=True)
class _Frame:
    """What stands at a position: a payload, or the message of a damage (None: a record that is too long).

    `after` is where the next frame begins, _LOST if it has to be searched for.
    """

    payload: bytes | None
    message: str | None
    after: int


def _examine(window: Window, at: int, longest: int) -> _Frame | None:
    """The frame at `at`, or None at the end of the stream."""
    stream = window.stream
    if not window.load(at, HEADER):
        if window.base + len(window.data) <= at and stream.fault is None:
            return None
        return _Frame(None, stream.fault or _CUT, _LOST)
    header = window.data[at - window.base : at - window.base + HEADER]
    sound = framing.header_holds(header)
    length = framing.length_of(header)
    after = at + FRAMING + length
    if after > stream.size:
        return _Frame(None, _CUT if sound else _LENGTH, _LOST)
    if length > longest:
        return _Frame(None, None, after) if sound else _Frame(None, _LENGTH, _LOST)
    if not window.load(at, FRAMING + length):
        return _Frame(None, stream.fault or (_CUT if sound else _LENGTH), _LOST)
    payload = _payload(window, at, length)
    if payload is not None:
        return _Frame(payload, None, after)
    if not sound:
        return _Frame(None, _LENGTH, _LOST)
    # The length is right in all likelihood; if the next frame stands where it says, only the data is bad.
    if window.load(at, FRAMING + length + HEADER):
        start = after - window.base
        plausible = framing.header_holds(window.data[start : start + HEADER])
    else:
        plausible = window.base + len(window.data) == after and stream.fault is None
    return _Frame(None, _DATA, after if plausible else _LOST)


def _search(window: Window, at: int, end: int, longest: int) -> int | None:
    """The first position from `at` and before `end` at which a whole frame holds; faults are passed over."""
    while at < end:
        if not window.load(at, HEADER):
            if not window.resume():
                return None
            at = window.base
            continue
        data, base = window.data, window.base
        room = window.stream.size - at - FRAMING
        for position in framing.find_headers(data, at - base, end - base, room):
            if _holds(window, base + position, longest):
                return base + position
        at = base + len(data) - HEADER + 1
    return None


def _holds(window: Window, at: int, longest: int) -> bool:
    """Whether the frame at `at`, whose header holds, is whole and its data holds too."""
    # The header may lie in a buffer that the window has left behind, never the frame itself: a search goes
    # forward only.
    if not window.load(at, HEADER):
        return False
    start = at - window.base
    length = framing.length_of(window.data[start : start + HEADER])
    if at + FRAMING + length > window.stream.size:
        return False
    if length <= longest:
        return window.load(at, FRAMING + length) and _payload(window, at, length) is not None
    # Too long to be held. Where the stream cannot go back, the header has to do.
    return not window.stream.seekable or _streamed_data_holds(window, at, length)


def _payload(window: Window, at: int, length: int) -> bytes | None:
    """The data of the frame at `at`, which is held whole, if it matches its checksum."""
    start = at - window.base + HEADER
    payload = window.data[start : start + length]
    footer = window.data[start + length : start + length + FOOTER]
    return payload if framing.data_holds(payload, footer) else None


def _streamed_data_holds(window: Window, at: int, length: int) -> bool:
    stream = window.stream
    position = stream.position
    stream.seek(at + HEADER)
    crc = 0
    left = length
    while left and (piece := stream.read()[:left]):
        crc = google_crc32c.extend(crc, piece)
        left -= len(piece)
    stream.seek(at + HEADER + length)
    footer = stream.read(FOOTER)[:FOOTER]
    stream.seek(position)
    return left == 0 and framing.mask(crc) == int.from_bytes(footer, "little")
