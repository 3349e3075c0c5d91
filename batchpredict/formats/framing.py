"""TFRecord frames in a buffer: take the intact ones fast, or find one in a heap of bytes.

The format, as TensorFlow's `tensorflow/core/lib/io/record_writer.h` gives it:

    uint64  length                (little endian)
    uint32  masked crc32c of length
    byte    data[length]
    uint32  masked crc32c of data

with mask(crc) = ((crc >> 15) | (crc << 17)) + 0xa282ead8, modulo 2**32.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import cache
from itertools import repeat
from typing import Any, cast

import google_crc32c
import numpy as np
import numpy.typing as npt

HEADER = 12
FOOTER = 4
FRAMING = HEADER + FOOTER

_MASK_DELTA = 0xA282EAD8

_length_at = struct.Struct("<Q").unpack_from
# Between two payloads lie 16 bytes that are read at once: checksum, next length, checksum of that length.
_between = struct.Struct("<IQI").unpack_from

# Positions that are searched at once. numpy is as fast on this as on more, and it stays in the cache.
_STRETCH = 1 << 18

# Frames of one length that are worth taking together.
_FEW = 16

# No record is longer than 1 TiB; a buffer of arbitrary bytes is full of larger numbers.
_ABSURD = 1 << 40

_Uint32 = npt.NDArray[np.uint32]

crc32c = cast("Any", google_crc32c.value)


def mask(crc: int) -> int:
    """The form in which a frame stores a crc32c, so that frames within frames do not check themselves."""
    return ((crc >> 15 | crc << 17 & 0xFFFFFFFF) + _MASK_DELTA) & 0xFFFFFFFF


def length_of(header: bytes) -> int:
    """The length that the first 12 bytes of a frame give."""
    return int.from_bytes(header[:8], "little")


def header_holds(header: bytes) -> bool:
    """Whether the first 12 bytes of a frame match their own checksum."""
    return len(header) == HEADER and mask(crc32c(header[:8])) == int.from_bytes(header[8:], "little")


def data_holds(payload: bytes, footer: bytes) -> bool:
    """Whether a payload matches the checksum behind it."""
    return mask(crc32c(payload)) == int.from_bytes(footer, "little")


def take(data: bytes, start: int, stop: int, most: int) -> list[bytes]:
    """Payloads of the frames that follow each other from `start`, up to the first that does not hold.

    A frame is looked at if its payload ends before `stop` and the next frame's header lies in `data` too. At
    most `most` are looked at, as all checksums are compared in one go at the end.

    The data's checksum proves the payload and its extent with it, so the header's is not looked at.
    """
    last = min(len(data) - FRAMING, stop - 1)
    if start > last:
        return []
    payloads, stored = _equally_long(data, start, last, most)
    if not payloads:
        payloads, stored = _one_by_one(data, start, last, most)
    found: _Uint32 = np.fromiter(map(crc32c, payloads), np.uint32, len(payloads))
    bad = _masked(found) != stored
    if bad.any():
        del payloads[int(bad.argmax()) :]
    return payloads


def _equally_long(data: bytes, start: int, last: int, most: int) -> tuple[list[bytes], _Uint32]:
    """Payloads and their checksums as long as frames are as long as the first; none if few are.

    Records of numbers often are. No Python code runs for each of them then.
    """
    (length,) = _length_at(data, start)
    frame = length + FRAMING
    # The payload of the last one ends at `last`, like any other that is looked at.
    count = min((last - start - HEADER - length) // frame + 1, most)
    if length and count >= _FEW:
        lengths: npt.NDArray[np.uint64] = np.ndarray(count, "<u8", data, start, (frame,))
        other = lengths != length
        count = int(other.argmax()) if other.any() else count
    if not length or count < _FEW:
        return [], np.empty(0, np.uint32)
    payloads: list[bytes] = np.ndarray(count, f"V{length}", data, start + HEADER, (frame,)).tolist()
    return payloads, np.ndarray(count, "<u4", data, start + HEADER + length, (frame,))


def _one_by_one(data: bytes, start: int, last: int, most: int) -> tuple[list[bytes], _Uint32]:
    payloads: list[bytes] = []
    stored: list[int] = []
    (length,) = _length_at(data, start)
    begin = start + HEADER
    for _ in repeat(None, most):
        end = begin + length
        if end > last:
            break
        payloads.append(data[begin:end])
        crc, length, _ = _between(data, end)
        stored.append(crc)
        begin = end + FRAMING
    return payloads, np.array(stored, np.uint32)


def find_headers(data: bytes, start: int, stop: int, longest: int) -> Iterator[int]:
    """Positions in `data[start:stop]` of a length that matches its checksum and is at most `longest`.

    The positions of a stretch are all tried at once. A match by chance is one in four thousand million.
    """
    longest = min(longest, _ABSURD)
    if longest < 0:
        return
    stop = min(stop, len(data) - HEADER + 1)
    for at in range(start, stop, _STRETCH):
        found: list[int] = []
        for lane in range(at, min(at + 8, stop)):
            count = (min(at + _STRETCH, stop) - lane + 7) // 8
            lengths: npt.NDArray[np.uint64] = np.ndarray(count, "<u8", data, lane)
            rows = np.flatnonzero(lengths <= longest)
            if not rows.size:
                continue
            crcs = np.ndarray(count, "<u4", data, lane + 8, (8,))
            rows = rows[_masked(_crcs_of(lengths[rows])) == crcs[rows]]
            found.extend((lane + 8 * rows).tolist())
        yield from sorted(found)


def _masked(crc: _Uint32) -> _Uint32:
    masked: _Uint32 = (crc >> np.uint32(15) | crc << np.uint32(17)) + np.uint32(_MASK_DELTA)
    return masked


def _crcs_of(numbers: npt.NDArray[np.uint64]) -> _Uint32:
    """crc32c of each number's eight bytes, by four table look-ups."""
    constant, tables = _tables()
    halves: npt.NDArray[np.uint16] = np.ascontiguousarray(numbers, "<u8").view("<u2").reshape(-1, 4)
    crcs: _Uint32 = tables[0][halves[:, 0]] ^ tables[1][halves[:, 1]] ^ constant
    for place in (2, 3):
        # The table entry of zero is zero, and few lengths are that long.
        if halves[:, place].any():
            crcs ^= tables[place][halves[:, place]]
    return crcs


@cache
def _tables() -> tuple[np.uint32, list[_Uint32]]:
    """What each pair of bytes of a number adds to its crc32c.

    A crc is affine: crc(a ^ b) = crc(a) ^ crc(b) ^ crc(0) for strings of one length. So the crc of a string
    is crc(0) and, by exclusive or, what each of its bytes contributes where it stands.
    """
    zero = crc32c(bytes(8))

    def contributions(place: int) -> _Uint32:
        strings = (bytes([*bytes(place), value, *bytes(7 - place)]) for value in range(256))
        return np.array([crc32c(string) ^ zero for string in strings], np.uint32)

    places = [contributions(place) for place in range(8)]
    pairs = [(places[i + 1][:, None] ^ places[i][None, :]).ravel() for i in range(0, 8, 2)]
    return np.uint32(zero), pairs
