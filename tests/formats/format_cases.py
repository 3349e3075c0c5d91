"""What the tests of readers share: files in memory, frames, and a reader of readers that checks the contract."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import fsspec
import google_crc32c
import pytest
from hypothesis import strategies as st

from batchpredict.formats import Border, Damage, Rows, Run, Segment, compressed, fits, framing, stream
from batchpredict.formats import gathering as gathering_module
from batchpredict.formats.reader import Reader

LONGEST = 1 << 20


def memory_file(data: bytes, name: str = "file") -> str:
    url = f"memory://formats/{name}"
    fsspec.filesystem("memory").pipe_file(url, data)
    return url


def masked(data: bytes) -> bytes:
    crc = google_crc32c.value(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def frame(payload: bytes) -> bytes:
    length = struct.pack("<Q", len(payload))
    return length + masked(length) + payload + masked(payload)


def tfrecords(payloads: Sequence[bytes]) -> bytes:
    return b"".join(map(frame, payloads))


@dataclass
class Reading:
    """Everything a reader yielded, a record position per entry."""

    offsets: list[int] = field(default_factory=list)
    records: list[bytes | Damage] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    border: Border = field(default_factory=lambda: Border(0, 0, 0))

    @property
    def payloads(self) -> list[bytes]:
        return [record for record in self.records if not isinstance(record, Damage)]

    @property
    def damages(self) -> list[Damage]:
        return [record for record in self.records if isinstance(record, Damage)]

    def positions(self) -> list[tuple[int, bytes | tuple[str, str]]]:
        """Without indexes, which start anew in each segment."""
        plain = [(r.code, r.message) if isinstance(r, Damage) else r for r in self.records]
        return list(zip(self.offsets, plain, strict=True))


def read(reader: Reader, segment: Segment, rows: int = 3, longest: int = LONGEST) -> Reading:
    """Read a segment and check that what comes is what `Reader` promises."""
    reading = Reading()
    events = list(reader(segment, rows=rows, max_record_bytes=longest))
    assert isinstance(events[-1], Border)
    for event in events[:-1]:
        assert not isinstance(event, Border | Rows)
        assert event.index == len(reading.records)
        if isinstance(event, Damage):
            reading.offsets.append(event.offset)
            reading.records.append(event)
            continue
        assert isinstance(event, Run)
        assert 0 < len(event) <= rows
        assert len(event.raw) == len(event)
        assert max(map(len, event.payloads)) <= longest
        reading.offsets += [event.offset_of(row) for row in range(len(event))]
        reading.records += event.payloads
        reading.lengths.append(len(event))
    # A fault between two decompressed bytes has the offset of the record behind it; records have their own.
    assert reading.offsets == sorted(reading.offsets)
    assert len(set(reading.offsets)) >= len(reading.payloads)
    reading.border = events[-1]
    assert reading.border.records == len(reading.records)
    assert reading.border.next >= min(segment.end, segment.size)
    return reading


def read_whole(reader: Reader, data: bytes, name: str = "file", rows: int = 3, longest: int = LONGEST) -> Reading:
    url = memory_file(data, name)
    return read(reader, Segment(url, 0, len(data), len(data)), rows, longest)


def read_chained(
    reader: Reader, data: bytes, cuts: Sequence[int], rows: int = 3, longest: int = LONGEST
) -> list[tuple[int, bytes | tuple[str, str]]]:
    """Read a file in ranges that end at `cuts`, each of them without knowing of the others, and chain them."""
    url = memory_file(data)
    borders = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    after = 0
    found = []
    for start, end in itertools.pairwise(borders):
        segment = Segment(url, start, end, len(data))
        reading = read(reader, segment, rows, longest)
        if not fits(after, segment, reading.border):
            segment = segment.resumed_at(after)
            reading = read(reader, segment, rows, longest)
            assert fits(after, segment, reading.border)
        after = max(after, reading.border.next)
        found += reading.positions()
    assert after == len(data)
    return found


@contextmanager
def pieces_of(size: int) -> Iterator[None]:
    """Read files in pieces of `size` bytes, so that small files show what large ones do."""
    with pytest.MonkeyPatch.context() as patch:
        for module, names in (
            (stream, ("LOCAL_PIECE", "REMOTE_PIECE", "TAIL_PIECE")),
            (framing, ("_STRETCH",)),
            (compressed, ("_OUTPUT",)),
            (gathering_module, ("HELD_BYTES",)),
        ):
            for name in names:
                patch.setattr(module, name, size)
        yield


PIECES = st.sampled_from([1, 2, 3, 7, 16, 64, 1 << 20])
CUTS = st.one_of(
    st.lists(st.integers(0, 10_000), max_size=12),
    st.integers(1, 40).map(lambda step: list(range(0, 10_000, step))),
)
