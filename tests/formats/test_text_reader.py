"""Lines: what is a record, where it lies, and that ranges of any size give what the whole file gives."""

from __future__ import annotations

import itertools
import random
import tracemalloc
from pathlib import Path

import pytest
from format_cases import CUTS, PIECES, memory_file, pieces_of, read, read_chained, read_whole
from hypothesis import given, settings
from hypothesis import strategies as st

from batchpredict.errors import RECORD_TOO_LARGE
from batchpredict.formats import Border, Damage, Run, Segment, fits
from batchpredict.formats.text import read_text

BOM = b"\xef\xbb\xbf"

TEXTS = st.lists(st.sampled_from([b"\n", b"\r", b"a", b"bcd", b"\r\n", BOM, b"long" * 5])).map(b"".join)


def expected(data: bytes) -> list[bytes]:
    """The definition, said without regard for speed."""
    lines = data.removeprefix(BOM).split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    return [line[:-1] if line.endswith(b"\r") else line for line in lines]


@pytest.mark.parametrize(
    ("data", "records"),
    [
        (b"", []),
        (b"\n", [b""]),
        (b"\n\n", [b"", b""]),
        (b"a", [b"a"]),
        (b"a\n", [b"a"]),
        (b"a\nb", [b"a", b"b"]),
        (b"a\n\nb\n", [b"a", b"", b"b"]),
        (b"a\r\nb\r\n", [b"a", b"b"]),
        (b"a\r\nb\r", [b"a", b"b"]),
        (b"a\r\r\n", [b"a\r"]),
        (b"a\rb\n", [b"a\rb"]),
        (b"\r\n", [b""]),
        (b"a\nb\r\nc\n", [b"a", b"b", b"c"]),
        (BOM, []),
        (BOM + b"\n", [b""]),
        (BOM + b"a", [b"a"]),
        (BOM + b"a\r\nb", [b"a", b"b"]),
        (BOM + BOM + b"a\n", [BOM + b"a"]),
        (b"a\n" + BOM + b"b\n", [b"a", BOM + b"b"]),
        (b"\xff\xfe\x00\n", [b"\xff\xfe\x00"]),
    ],
)
def test_what_a_record_is(data: bytes, records: list[bytes]) -> None:
    assert read_whole(read_text, data).payloads == records
    assert expected(data) == records


@settings(max_examples=300, deadline=None)
@given(data=TEXTS, piece=PIECES, rows=st.integers(1, 5))
def test_any_piece_size_gives_the_same(data: bytes, piece: int, rows: int) -> None:
    with pieces_of(piece):
        reading = read_whole(read_text, data, rows=rows)
    assert reading.payloads == expected(data)
    assert reading.damages == []
    assert reading.border == Border(0, len(data), len(reading.records))


@settings(max_examples=500, deadline=None)
@given(data=TEXTS, cuts=CUTS, piece=PIECES, longest=st.sampled_from([3, 8, 1000]))
def test_any_cut_gives_what_the_whole_file_gives(data: bytes, cuts: list[int], piece: int, longest: int) -> None:
    whole = read_whole(read_text, data, longest=longest).positions()
    with pieces_of(piece):
        assert read_chained(read_text, data, cuts, longest=longest) == whole


@given(data=TEXTS, cuts=CUTS)
@settings(deadline=None)
def test_ranges_of_text_never_need_a_redo(data: bytes, cuts: list[int]) -> None:
    url = memory_file(data)
    borders = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    after = 0
    for start, end in itertools.pairwise(borders):
        segment = Segment(url, start, end, len(data))
        border = read(read_text, segment).border
        assert fits(after, segment, border)
        after = max(after, border.next)


@given(data=TEXTS)
@settings(deadline=None)
def test_an_offset_is_where_the_line_begins(data: bytes) -> None:
    url = memory_file(data)
    for event in read_text(Segment(url, 0, len(data), len(data)), rows=4, max_record_bytes=100):
        if isinstance(event, Run):
            for row, raw in enumerate(event.raw):
                offset = event.offset_of(row)
                assert data[offset : offset + len(raw)] == raw
                assert offset == 0 or data[offset - 1 : offset] == b"\n"


def test_plain_lines_are_not_copied() -> None:
    url = memory_file(b"a\nb\nc\n")
    run, _ = read_text(Segment(url, 0, 6, 6), rows=10, max_record_bytes=10)
    assert isinstance(run, Run)
    assert run.raw is run.payloads


def test_runs_are_full_whatever_the_pieces_are() -> None:
    data = b"".join(b"%d\n" % number for number in range(1000))
    with pieces_of(500):
        reading = read_whole(read_text, data, rows=64)
    assert reading.lengths == [64] * 15 + [40]


class TestTooLong:
    def test_is_skipped_and_counted(self) -> None:
        reading = read_whole(read_text, b"a\n" + b"x" * 11 + b"\r\nb\n" + b"y" * 10 + b"\r\n", longest=10)
        assert reading.payloads == [b"a", b"b", b"y" * 10]
        assert reading.damages == [Damage(2, 1, RECORD_TOO_LARGE, "the record is longer than 10 bytes")]

    @pytest.mark.parametrize("ending", [b"", b"\n", b"\r\n", b"\r"])
    @pytest.mark.parametrize("bom", [b"", BOM])
    def test_only_the_payload_counts(self, bom: bytes, ending: bytes) -> None:
        for piece in (1, 5, 100):
            with pieces_of(piece):
                assert read_whole(read_text, bom + b"x" * 10 + ending, longest=10).payloads == [b"x" * 10]
                assert len(read_whole(read_text, bom + b"x" * 11 + ending, longest=10).damages) == 1

    def test_is_never_held(self, tmp_path: Path) -> None:
        path = tmp_path / "long.txt"
        size = 96 << 20
        with path.open("wb") as file:
            file.write(b"first\n")
            file.seek(size - 6)
            file.write(b"\nlast\n")
        tracemalloc.start()
        reading = read(read_text, Segment(str(path), 0, size, size), longest=1024)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert reading.payloads == [b"first", b"last"]
        assert len(reading.damages) == 1
        assert peak < 6 << 20

    def test_of_a_range_without_a_line(self) -> None:
        data = b"a\n" + b"x" * 1000 + b"\nb\n"
        url = memory_file(data)
        border = read(read_text, Segment(url, 100, 200, len(data))).border
        assert border == Border(None, 200, 0)


class TestExactStart:
    def test_begins_right_there(self) -> None:
        url = memory_file(b"abc\ndef\n")
        reading = read(read_text, Segment(url, 1, 3, 8, exact=True))
        assert reading.positions() == [(1, b"bc")]
        assert reading.border == Border(1, 4, 1)

    @pytest.mark.parametrize("offset", [4, 6, 8])
    def test_behind_the_end(self, offset: int) -> None:
        segment = Segment(memory_file(b"abc\ndef\n"), 1, 3, 8).resumed_at(offset)
        assert list(read_text(segment, rows=1, max_record_bytes=9)) == [Border(offset, offset, 0)]


@pytest.mark.parametrize("data", [b"abc\ndef\nghi", b"abc\n", b""])
def test_a_file_that_shrank_is_the_file_systems_error(data: bytes) -> None:
    with pytest.raises(OSError, match=f"shorter than it was .*: 20 bytes then, {len(data)} now"):
        read(read_text, Segment(memory_file(data), 0, 20, 20))


def test_a_file_that_grew_is_read_as_it_was_planned() -> None:
    url = memory_file(b"abc\ndef\nghi\n")
    assert read(read_text, Segment(url, 0, 8, 8)).payloads == [b"abc", b"def"]


def test_a_missing_file_is_the_file_systems_error() -> None:
    with pytest.raises(FileNotFoundError):
        list(read_text(Segment("memory://formats/nothing", 0, 5, 5), rows=1, max_record_bytes=9))


def test_a_large_file_on_disk(tmp_path: Path) -> None:
    rng = random.Random(1)
    lines = [b"x" * rng.randrange(200) for _ in range(40_000)]
    data = b"\n".join(lines)
    path = tmp_path / "large.txt"
    path.write_bytes(data)
    borders = [0, 1 << 20, (1 << 20) + 1, 2_500_000, len(data)]
    found: list[bytes] = []
    for start, end in itertools.pairwise(borders):
        found += read(read_text, Segment(str(path), start, end, len(data)), rows=100).payloads
    assert found == lines
