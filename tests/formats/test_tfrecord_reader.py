"""TFRecords: every whole record is found, whatever happened to the bytes around it."""

from __future__ import annotations

import os
import random
import struct
import time
import tracemalloc
from pathlib import Path

import pytest
from format_cases import (
    CUTS,
    LONGEST,
    PIECES,
    frame,
    memory_file,
    pieces_of,
    read,
    read_chained,
    read_whole,
    tfrecords,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from batchpredict.errors import CORRUPT_INPUT, RECORD_TOO_LARGE
from batchpredict.formats import Border, Damage, Segment, framing
from batchpredict.formats.tfrecord import read_tfrecord

_flat = st.lists(st.binary(max_size=20), max_size=6)
_nested = st.lists(st.one_of(st.binary(max_size=8), _flat.map(tfrecords)), max_size=5)
PAYLOADS = st.one_of(_flat, _nested, st.lists(_nested.map(tfrecords), max_size=3))

SAMPLE = [b"first record", b"", b"x" * 40, b"\0" * 9, b"\xff" * 20, b"last"]


def begins(payloads: list[bytes]) -> list[int]:
    offsets, at = [], 0
    for payload in payloads:
        offsets.append(at)
        at += 16 + len(payload)
    return offsets


@settings(max_examples=200, deadline=None)
@given(payloads=PAYLOADS, piece=PIECES, rows=st.integers(1, 5))
def test_what_was_written_is_read(payloads: list[bytes], piece: int, rows: int) -> None:
    data = tfrecords(payloads)
    with pieces_of(piece):
        reading = read_whole(read_tfrecord, data, rows=rows)
    assert reading.payloads == payloads
    assert reading.offsets == begins(payloads)
    assert reading.border == Border(0, len(data), len(payloads))


@settings(max_examples=300, deadline=None)
@given(payloads=PAYLOADS, cuts=CUTS, piece=PIECES)
def test_any_cut_gives_what_the_whole_file_gives(payloads: list[bytes], cuts: list[int], piece: int) -> None:
    data = tfrecords(payloads)
    with pieces_of(piece):
        found = read_chained(read_tfrecord, data, cuts)
    assert found == list(zip(begins(payloads), payloads, strict=True))


@settings(max_examples=300, deadline=None)
@given(
    payloads=PAYLOADS,
    cuts=CUTS,
    piece=PIECES,
    flips=st.lists(st.tuples(st.integers(0, 10_000), st.integers(1, 255)), min_size=1, max_size=4),
    cut_off=st.integers(0, 30),
    longest=st.sampled_from([10, 30, LONGEST]),
)
def test_any_cut_of_a_damaged_file_too(
    payloads: list[bytes],
    cuts: list[int],
    piece: int,
    flips: list[tuple[int, int]],
    cut_off: int,
    longest: int,
) -> None:
    data = bytearray(tfrecords(payloads))
    for place, flip in flips:
        if data:
            data[place % len(data)] ^= flip
    damaged = bytes(data[: max(0, len(data) - cut_off)])
    whole = read_whole(read_tfrecord, damaged, longest=longest).positions()
    with pieces_of(piece):
        assert read_chained(read_tfrecord, damaged, cuts, longest=longest) == whole


def test_every_cut_through_a_record_of_records() -> None:
    inner = tfrecords([b"a", b"", b"ccc"])
    payloads = [b"x", tfrecords([inner, b"y", inner]), inner, b"z"]
    data = tfrecords(payloads)
    for step in (1, 2, 3, 5, 13, 16, 17, 50):
        found = read_chained(read_tfrecord, data, range(0, len(data), step))
        assert found == list(zip(begins(payloads), payloads, strict=True))


class TestOneFlippedBit:
    @pytest.mark.parametrize("row", range(len(SAMPLE)))
    def test_costs_its_record_and_nothing_else(self, row: int) -> None:
        data = tfrecords(SAMPLE)
        begin = begins(SAMPLE)[row]
        others = SAMPLE[:row] + SAMPLE[row + 1 :]
        for place in range(begin, begin + 16 + len(SAMPLE[row])):
            for bit in range(8):
                flipped = bytearray(data)
                flipped[place] ^= 1 << bit
                reading = read_whole(read_tfrecord, bytes(flipped))
                if 8 <= place - begin < 12:
                    # The length is right and the data proves it: nothing is lost.
                    assert reading.payloads == SAMPLE
                    assert reading.damages == []
                    continue
                assert reading.payloads == others
                assert [(d.offset, d.index, d.code) for d in reading.damages] == [(begin, row, CORRUPT_INPUT)]

    def test_in_the_data_of_a_record_of_records_frees_none_of_them(self) -> None:
        payloads = [b"a", tfrecords([b"inner", b"other"]), b"b"]
        begin, size = begins(payloads)[1], len(payloads[1])
        for place in range(begin + 12, begin + 16 + size):
            data = bytearray(tfrecords(payloads))
            data[place] ^= 16
            reading = read_whole(read_tfrecord, bytes(data))
            assert reading.payloads == [b"a", b"b"]
            assert len(reading.damages) == 1

    def test_in_the_length_of_a_record_of_records_frees_them(self) -> None:
        # Nothing tells them from records of the file any more. What follows is found all the same.
        data = bytearray(tfrecords([b"a", tfrecords([b"inner", b"other"]), b"b"]))
        data[17] ^= 1
        reading = read_whole(read_tfrecord, bytes(data))
        assert reading.payloads == [b"a", b"inner", b"other", b"b"]
        assert len(reading.damages) == 2

    def test_in_the_data_is_told_from_one_in_the_length(self) -> None:
        data = bytearray(tfrecords([b"abc", b"def"]))
        data[13] ^= 1
        assert read_whole(read_tfrecord, bytes(data)).damages[0].message == (
            "the record does not match its checksum"
        )
        data[0] ^= 1
        assert read_whole(read_tfrecord, bytes(data)).damages[0].message == (
            "the record's length does not match its checksum"
        )


class TestTruncated:
    def test_at_every_byte(self) -> None:
        data = tfrecords(SAMPLE)
        borders = [*begins(SAMPLE), len(data)]
        for size in range(len(data)):
            reading = read_whole(read_tfrecord, data[:size])
            whole = sum(border <= size for border in borders[1:])
            assert reading.payloads == SAMPLE[:whole]
            assert len(reading.damages) == (size not in borders)
            assert reading.border.next == size

    def test_and_another_file_behind_it(self) -> None:
        first, second = tfrecords(SAMPLE[:3]), tfrecords(SAMPLE)
        reading = read_whole(read_tfrecord, first[:-5] + second)
        assert reading.payloads == SAMPLE[:2] + SAMPLE
        assert len(reading.damages) == 1


class TestGarbage:
    def test_between_records_is_one_damage(self) -> None:
        data = frame(b"a") + b"garbage" * 30 + frame(b"b")
        reading = read_whole(read_tfrecord, data)
        assert reading.payloads == [b"a", b"b"]
        assert [(d.offset, d.index) for d in reading.damages] == [(17, 1)]

    def test_two_damaged_records_in_a_row_are_two(self) -> None:
        data = bytearray(tfrecords([b"abc", b"def", b"ghi", b"jkl"]))
        data[19 + 13] ^= 1
        data[38 + 13] ^= 1
        reading = read_whole(read_tfrecord, bytes(data))
        assert reading.payloads == [b"abc", b"jkl"]
        assert len(reading.damages) == 2

    @pytest.mark.parametrize("kind", ["zeros", "random", "ones"])
    def test_is_searched_fast(self, tmp_path: Path, kind: str) -> None:
        size = 64 << 20
        block = {"zeros": bytes(1 << 20), "ones": b"\xff" * (1 << 20), "random": b""}[kind]
        path = tmp_path / kind
        with path.open("wb") as file:
            for _ in range(64):
                file.write(block or os.urandom(1 << 20))
            file.write(frame(b"survivor"))
        size += 24
        # Processor time: the target is two seconds on one core, and other processes may want it too.
        begin = time.process_time()
        reading = read(read_tfrecord, Segment(str(path), 0, size, size))
        assert time.process_time() - begin < 4
        assert reading.payloads == [b"survivor"]
        assert len(reading.damages) == 1

    def test_many_damages_cost_no_more_than_their_share(self) -> None:
        payloads = [b"%05d" % number for number in range(3000)]
        data = bytearray(tfrecords(payloads))
        for row in range(0, 3000, 3):
            data[row * 21 + 14] ^= 1
        reading = read_whole(read_tfrecord, bytes(data), rows=100)
        assert len(reading.damages) == 1000
        assert reading.payloads == [p for row, p in enumerate(payloads) if row % 3]


class TestTooLong:
    def test_is_skipped_and_counted(self) -> None:
        reading = read_whole(read_tfrecord, tfrecords([b"a", b"x" * 31, b"b" * 30]), longest=30)
        assert reading.payloads == [b"a", b"b" * 30]
        assert reading.damages == [Damage(17, 1, RECORD_TOO_LARGE, "the record is longer than 30 bytes")]

    def test_at_the_end_of_the_file(self) -> None:
        reading = read_whole(read_tfrecord, tfrecords([b"a", b"x" * 31]), longest=30)
        assert len(reading.damages) == 1
        assert reading.border == Border(0, 17 + 47, 2)

    def test_is_never_held(self, tmp_path: Path) -> None:
        length = 96 << 20
        header = struct.pack("<Q", length)
        header += frame(header)[-4:]
        path = tmp_path / "long.tfrecord"
        with path.open("wb") as file:
            file.write(frame(b"a") + header)
            file.seek(length + 4, 1)
            file.write(frame(b"b"))
        size = path.stat().st_size
        tracemalloc.start()
        reading = read(read_tfrecord, Segment(str(path), 0, size, size), longest=1024)
        # A range that starts at the long record: both its checksums are looked at, and the second is wrong.
        later = read(read_tfrecord, Segment(str(path), 17, size, size), longest=1024)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert reading.payloads == [b"a", b"b"]
        assert [damage.code for damage in reading.damages] == [RECORD_TOO_LARGE]
        assert later.payloads == [b"b"]
        assert later.border == Border(size - 17, size, 1)
        assert peak < 16 << 20

    def test_is_a_border_to_begin_at_when_both_checksums_hold(self) -> None:
        data = tfrecords([b"a", b"x" * 500, b"b"])
        with pieces_of(64):
            reading = read(read_tfrecord, Segment(memory_file(data), 5, len(data), len(data)), longest=30)
        assert reading.border.begin == 17
        assert reading.payloads == [b"b"]
        assert len(reading.damages) == 1


class TestRange:
    def test_without_a_record(self) -> None:
        data = tfrecords([b"x" * 100, b"y"])
        reading = read(read_tfrecord, Segment(memory_file(data), 10, 50, len(data)))
        assert reading.border == Border(None, 50, 0)

    def test_damage_over_its_end_goes_on_to_the_next_frame(self) -> None:
        data = frame(b"a") + b"?" * 100 + frame(b"b")
        reading = read(read_tfrecord, Segment(memory_file(data), 0, 50, len(data)))
        assert reading.border == Border(0, 117, 2)

    def test_resumed_behind_its_end(self) -> None:
        data = tfrecords([b"x" * 100, b"y"])
        segment = Segment(memory_file(data), 10, 50, len(data)).resumed_at(116)
        assert list(read_tfrecord(segment, rows=1, max_record_bytes=9)) == [Border(116, 116, 0)]

    def test_exact_start_is_believed(self) -> None:
        data = b"??" + frame(b"a")
        reading = read(read_tfrecord, Segment(memory_file(data), 1, len(data), len(data), exact=True))
        assert reading.border.begin == 1
        assert [damage.offset for damage in reading.damages] == [1]
        assert reading.payloads == [b"a"]


def test_a_file_that_shrank_is_the_file_systems_error() -> None:
    data = tfrecords([b"abc", b"def"])
    with pytest.raises(OSError, match=f"shorter than it was .*: 100 bytes then, {len(data)} now"):
        read(read_tfrecord, Segment(memory_file(data), 0, 100, 100))


def test_runs_are_full_over_buffers_and_records_of_any_length(tmp_path: Path) -> None:
    rng = random.Random(2)
    payloads = [rng.randbytes(rng.choice([0, 10, 100, 5000])) for _ in range(2000)]
    payloads[777] = rng.randbytes(3 << 20)
    path = tmp_path / "large.tfrecord"
    path.write_bytes(tfrecords(payloads))
    size = path.stat().st_size
    reading = read(read_tfrecord, Segment(str(path), 0, size, size), rows=64, longest=4 << 20)
    assert reading.payloads == payloads
    assert reading.lengths == [64] * 31 + [16]


@given(numbers=st.lists(st.integers(0, (1 << 40) - 1), min_size=1, max_size=20), gap=st.integers(0, 9))
@settings(deadline=None)
def test_headers_are_found_at_any_alignment(numbers: list[int], gap: int) -> None:
    data = b"\xff" * gap
    places = []
    for number in numbers:
        places.append(len(data))
        data += struct.pack("<Q", number) + frame(struct.pack("<Q", number))[-4:] + b"\xff" * gap
    found = list(framing.find_headers(data, 0, len(data), 1 << 40))
    assert [place for place in found if place in places] == places
    assert all(framing.header_holds(data[place : place + 12]) for place in found)


@given(
    groups=st.lists(st.tuples(st.integers(0, 24), st.integers(1, 40)), min_size=1, max_size=4),
    flip=st.integers(0, 1 << 12),
    most=st.integers(1, 80),
    stop=st.integers(0, 1 << 12),
    seed=st.integers(0, 9),
)
@settings(deadline=None)
def test_frames_of_one_length_are_taken_as_others_are(
    groups: list[tuple[int, int]], flip: int, most: int, stop: int, seed: int
) -> None:
    payloads = [random.Random(seed).randbytes(size) for size, count in groups for _ in range(count)]
    data = bytearray(tfrecords(payloads))
    data[flip % len(data)] ^= 1 << seed % 8
    stop = len(data) - stop % len(data)
    taken: dict[int, list[bytes]] = {}
    for few in (1, 16, 1 << 60):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(framing, "_FEW", few)
            taken[few] = []
            at = 0
            while found := framing.take(bytes(data), at, stop, most):
                taken[few] += found
                at += sum(map(len, found)) + 16 * len(found)
    assert taken[1] == taken[16] == taken[1 << 60]
    assert all(type(payload) is bytes for payload in taken[1])


def test_zeros_at_the_end_of_a_payload_stay() -> None:
    payloads = [bytes([number, 0, 0]) for number in range(50)]
    assert framing.take(tfrecords([*payloads, b"next"]), 0, 1 << 20, 1 << 10) == payloads
