"""Compressed files: everything in front of damage, and everything behind it that can be found again."""

from __future__ import annotations

import bz2
import gzip
import random
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from format_cases import PIECES, frame, memory_file, pieces_of, read, read_whole, tfrecords
from hypothesis import given, settings
from hypothesis import strategies as st

from batchpredict.errors import CORRUPT_INPUT, RECORD_TOO_LARGE
from batchpredict.formats import Border, Segment
from batchpredict.formats.text import read_text
from batchpredict.formats.tfrecord import read_tfrecord, read_tfrecord_gzip

_rng = random.Random(3)
LINES = [b"%d,%d" % (number, _rng.randrange(10**9)) for number in range(60)]
TEXT = b"".join(line + b"\n" for line in LINES)
RECORDS = [line * 3 for line in LINES[:30]]
COMPRESS: dict[str, Callable[[bytes], bytes]] = {".gz": gzip.compress, ".bz2": bz2.compress}


@pytest.mark.parametrize("suffix", sorted(COMPRESS))
class TestIntact:
    def test_lines(self, suffix: str) -> None:
        data = COMPRESS[suffix](TEXT)
        reading = read_whole(read_text, data, "file" + suffix)
        assert reading.payloads == LINES
        assert reading.offsets == read_whole(read_text, TEXT).offsets
        assert reading.border == Border(0, len(data), len(LINES))

    def test_tfrecords(self, suffix: str) -> None:
        reading = read_whole(read_tfrecord, COMPRESS[suffix](tfrecords(RECORDS)), "file" + suffix)
        assert reading.payloads == RECORDS
        assert reading.damages == []

    @pytest.mark.parametrize("spell", [str.upper, str.title, str.swapcase])
    def test_the_suffix_may_be_in_capitals(self, suffix: str, spell: Callable[[str], str]) -> None:
        name = "file" + spell(suffix)
        assert read_whole(read_text, COMPRESS[suffix](TEXT), name).payloads == LINES
        assert read_whole(read_tfrecord, COMPRESS[suffix](tfrecords(RECORDS)), name).payloads == RECORDS

    def test_members_joined_anywhere_and_padded(self, suffix: str) -> None:
        compress = COMPRESS[suffix]
        for padding in (b"", b"\0" * 700):
            for cut in (0, 1, 100, len(TEXT) - 1):
                data = compress(TEXT[:cut]) + padding + compress(TEXT[cut:]) + padding
                for piece in (1, 100, 1 << 20):
                    with pieces_of(piece):
                        reading = read_whole(read_text, data, "file" + suffix)
                    assert reading.payloads == LINES
                    assert reading.damages == []

    @pytest.mark.parametrize("output", range(1, 80))
    def test_members_of_any_length_against_the_pieces_they_come_in(self, suffix: str, output: int) -> None:
        lines = [b"%d" % (number % 7) for number in range(100)]
        text = b"".join(line + b"\n" for line in lines)
        data = b"".join(COMPRESS[suffix](part) for part in (text[:80], text[80:150], text[150:]))
        with pieces_of(output):
            assert read_whole(read_text, data, "file" + suffix).payloads == lines

    @pytest.mark.long
    def test_large_members(self, suffix: str) -> None:
        lines = [b"%d" % number for number in range(300_000)]
        text = b"".join(line + b"\n" for line in lines)
        data = COMPRESS[suffix](text[:1_500_000]) + COMPRESS[suffix](text[1_500_000:])
        assert read_whole(read_text, data, "file" + suffix, rows=1000).payloads == lines

    def test_nothing_in_it(self, suffix: str) -> None:
        data = COMPRESS[suffix](b"")
        assert read_whole(read_text, data, "file" + suffix).border == Border(0, len(data), 0)
        assert read_whole(read_text, b"", "file" + suffix).border == Border(0, 0, 0)

    def test_a_line_without_end_is_never_held(self, tmp_path: Path, suffix: str) -> None:
        path = tmp_path / f"long{suffix}"
        path.write_bytes(COMPRESS[suffix](b"first\n" + bytes(48 << 20) + b"\nlast\n"))
        size = path.stat().st_size
        tracemalloc.start()
        reading = read(read_text, Segment(str(path), 0, size, size), longest=1024)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert reading.payloads == [b"first", b"last"]
        assert [damage.code for damage in reading.damages] == [RECORD_TOO_LARGE]
        assert peak < 16 << 20


@settings(max_examples=100, deadline=None)
@given(payloads=st.lists(st.binary(max_size=30), max_size=20), cut=st.integers(0, 500), piece=PIECES)
def test_a_gzip_of_any_name_is_read_where_it_is_asked_for(payloads: list[bytes], cut: int, piece: int) -> None:
    data = tfrecords(payloads)
    compressed = gzip.compress(data[:cut]) + gzip.compress(data[cut:])
    with pieces_of(piece):
        assert read_whole(read_tfrecord_gzip, compressed, "file.tfrecord").payloads == payloads


class TestTruncatedGzip:
    DATA = gzip.compress(TEXT, mtime=0)

    @pytest.mark.parametrize("piece", [5, 1 << 20])
    def test_lines_at_every_byte(self, piece: int) -> None:
        for size in range(1, len(self.DATA)):
            held = zlib.decompressobj(wbits=31).decompress(self.DATA[:size])
            with pieces_of(piece):
                reading = read_whole(read_text, self.DATA[:size], "file.gz")
            assert reading.payloads == LINES[: held.count(b"\n")]
            assert [(d.offset, d.code, d.message) for d in reading.damages] == [
                (held.rfind(b"\n") + 1, CORRUPT_INPUT, "the gzip stream is corrupt: it ends in the middle")
            ]

    def test_tfrecords_at_every_byte(self) -> None:
        data = gzip.compress(tfrecords(RECORDS))
        for size in range(1, len(data)):
            held = zlib.decompressobj(wbits=31).decompress(data[:size])
            reading = read_whole(read_tfrecord, data[:size], "file.gz")
            assert reading.payloads == read_whole(read_tfrecord, held).payloads
            assert [damage.message for damage in reading.damages] == [
                "the gzip stream is corrupt: it ends in the middle"
            ]

    def test_with_another_file_behind_it(self) -> None:
        for size in range(20, len(self.DATA), 7):
            reading = read_whole(read_text, self.DATA[:size] + self.DATA, "file.gz")
            # The first line behind the seam may be the rest of one, so it is not believed.
            assert reading.payloads[-len(LINES) + 1 :] == LINES[1:]
            assert len(reading.damages) == 1

    @pytest.mark.parametrize("mtime", [0, 1_795_489_671, 1_795_489_800])
    def test_tfrecords_with_another_file_behind_it(self, mtime: int) -> None:
        data = gzip.compress(tfrecords(RECORDS), mtime=mtime)
        for size in range(20, len(data), 7):
            reading = read_whole(read_tfrecord, data[:size] + data, "file.gz")
            assert reading.payloads[-len(RECORDS) :] == RECORDS
            # The header behind the seam, time and all, may decode to a few bytes before the decoder notices. They
            # can end the frame that was cut, which is then found first.
            assert [damage.message for damage in reading.damages if "checksum" not in damage.message] in (
                [],
                [reading.damages[-1].message],
            )
            assert len(reading.damages) in (1, 2)


def decoded_bytewise(data: bytes) -> bytes:
    """What a decoder gives out of a corrupt gzip stream that is fed to it byte by byte until it refuses."""
    decoder = zlib.decompressobj(wbits=31)
    held = b""
    for place in range(len(data)):
        try:
            held += decoder.decompress(data[place : place + 1])
        except zlib.error:
            return held
    raise AssertionError("the stream is not corrupt")


class TestCorruptGzip:
    def test_every_byte_of_the_first_of_two_members(self) -> None:
        first = gzip.compress(TEXT)
        data = first + gzip.compress(TEXT)
        for place in range(len(first)):
            corrupt = bytearray(data)
            corrupt[place] ^= 0x40
            reading = read_whole(read_text, bytes(corrupt), "file.gz")
            if reading.payloads == LINES + LINES:
                assert 3 <= place < 10
                assert reading.damages == []
                continue
            assert len(reading.damages) == 1
            assert reading.damages[0].message.startswith("the gzip stream is corrupt: ")
            assert reading.payloads[-len(LINES) + 1 :] == LINES[1:]

    @pytest.mark.parametrize("piece", [1, 2, 3, 5, 17, 100, 1 << 20])
    def test_nothing_decoded_before_the_damage_is_lost(self, piece: int) -> None:
        data = bytearray(gzip.compress(b"".join(b"%d\n" % (n * n) for n in range(5000))))
        middle = len(data) // 2
        data[middle : middle + 50] = random.Random(4).randbytes(50)
        held = decoded_bytewise(bytes(data))
        expected = held.split(b"\n")[:-1]
        assert 2000 < len(expected) < 4000
        with pieces_of(piece):
            reading = read_whole(read_text, bytes(data), "file.gz")
        assert reading.payloads == expected
        assert len(reading.damages) == 1

    def test_not_gzip_at_all(self) -> None:
        data = tfrecords(RECORDS)
        reading = read_whole(read_tfrecord_gzip, data)
        assert reading.payloads == []
        assert [(d.offset, d.message) for d in reading.damages] == [
            (0, "the gzip stream is corrupt: incorrect header check")
        ]
        assert reading.border == Border(0, len(data), 1)

    def test_garbage_between_members(self) -> None:
        data = gzip.compress(TEXT)
        reading = read_whole(read_text, data + b"\x1f\x8b\x08\x00 not a member" + data, "file.gz")
        assert reading.payloads == LINES + LINES[1:]
        assert len(reading.damages) == 1

    def test_in_a_record_that_is_skipped_is_one_damage(self) -> None:
        data = gzip.compress(tfrecords([b"a", random.Random(1).randbytes(5000), b"b"]))
        reading = read_whole(read_tfrecord, data[:3000], "file.gz", longest=100)
        assert reading.payloads == [b"a"]
        assert len(reading.damages) == 1


class TestTooLong:
    def test_tfrecord_is_skipped(self) -> None:
        data = gzip.compress(tfrecords([b"a", b"x" * (3 << 20), b"b", b"y" * 200, b"c"]))
        reading = read_whole(read_tfrecord, data, "file.gz", longest=100)
        assert reading.payloads == [b"a", b"b", b"c"]
        assert [damage.code for damage in reading.damages] == [RECORD_TOO_LARGE] * 2
        assert reading.offsets == [0, 17, 17 + 16 + (3 << 20), 50 + (3 << 20), 266 + (3 << 20)]


# Level 1 makes blocks of 100,000 bytes, so that there is something in front of a damaged one.
BZ2_LINES = [b"%06d,%030d" % (number, number * 7919) for number in range(20_000)]
BZ2_DATA = bz2.compress(b"".join(line + b"\n" for line in BZ2_LINES), compresslevel=1)


class TestCorruptBzip2:
    def test_truncated(self) -> None:
        for share in (1, 3, 5, 7, 9):
            reading = read_whole(read_text, BZ2_DATA[: len(BZ2_DATA) * share // 10], "file.bz2", rows=1000)
            assert reading.payloads == BZ2_LINES[: len(reading.payloads)]
            assert len(reading.payloads) >= 20_000 * share // 10 - 2 * 100_000 // 38
            assert [damage.message for damage in reading.damages] == [
                "the bzip2 stream is corrupt: it ends in the middle"
            ]

    def test_flipped_bits_with_another_stream_behind(self) -> None:
        for share in (2, 5, 8):
            data = bytearray(BZ2_DATA)
            data[len(data) * share // 10] ^= 0x10
            reading = read_whole(read_text, bytes(data) + bz2.compress(TEXT), "file.bz2", rows=1000)
            assert len(reading.damages) == 1
            assert reading.payloads[-len(LINES) + 1 :] == LINES[1:]
            kept = len(reading.payloads) - len(LINES) + 1
            assert kept >= 20_000 * share // 10 - 2 * 100_000 // 38


def test_a_compressed_file_that_shrank_is_the_file_systems_error() -> None:
    data = gzip.compress(TEXT)
    url = memory_file(data, "file.gz")
    with pytest.raises(OSError, match=f"shorter than it was .*: 5000 bytes then, {len(data)} now"):
        read(read_text, Segment(url, 0, 5000, 5000))


def test_a_frame_across_a_seam_is_not_put_together() -> None:
    data = frame(b"a" * 50) + frame(b"b" * 50) + frame(b"c" * 50)
    first = gzip.compress(data[:100])
    corrupt = first[:-8] + b"12345678" + gzip.compress(data[100:])
    reading = read_whole(read_tfrecord, corrupt, "file.gz")
    assert reading.payloads == [b"a" * 50, b"c" * 50]
    assert len(reading.damages) == 1
