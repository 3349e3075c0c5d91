from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchpredict.training.replica.lines import LONGEST_LINE, PROGRESS_SECONDS, LineSplitter


def split(data: bytes, *, longest: int = LONGEST_LINE) -> list[str]:
    splitter = LineSplitter(longest)
    return splitter.feed(data, 0) + splitter.end()


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"", []),
        (b"one\ntwo\n", ["one", "two"]),
        (b"one\r\ntwo\r\n", ["one", "two"]),
        (b"no end", ["no end"]),
        (b"\n\n", ["", ""]),
        (b" 1%\r 50%\r100%\ndone\n", ["100%", "done"]),
        (b"\r 1%\r 50%", [" 50%"]),
        (b"\x1b[1m1/9\x1b[0m \x08\x08\x08loss: 1\n", ["1/9 loss: 1"]),
        (b"\xff\xfe\x00bin\tary\x07\n", ["\ufffd\ufffdbin\tary"]),
        ("größe\n".encode(), ["größe"]),
    ],
)
def test_lines_are_what_a_terminal_would_show(data: bytes, lines: list[str]) -> None:
    assert split(data) == lines


def test_a_long_line_goes_on_in_the_next() -> None:
    assert split(b"abcdefghij\n", longest=4) == ["abcd", "efgh", "ij"]


def test_a_long_line_is_not_cut_within_a_character() -> None:
    assert "".join(split("€uro€".encode() * 50, longest=7)) == "€uro€" * 50


@given(st.lists(st.sampled_from([b"a", b"bc", b"\n", b"\r", b"\r\n", b"\xe2\x82\xac", b"\xe2", b"\x00", b"d" * 9])))
def test_how_the_bytes_come_makes_no_difference(pieces: list[bytes]) -> None:
    data = b"".join(pieces)
    by_pieces, by_bytes = LineSplitter(), LineSplitter()
    first = [line for piece in pieces for line in by_pieces.feed(piece, 0)] + by_pieces.end()
    second = [line for at in range(len(data)) for line in by_bytes.feed(data[at : at + 1], 0)] + by_bytes.end()
    assert first == second == split(data)


# Bytes without the two that end or begin a line.
_LINELESS = bytes.maketrans(b"\n\r", b"xx")


def test_a_stream_without_a_line_is_held_to_its_bound() -> None:
    splitter = LineSplitter()
    noise = random.Random(1)
    count = 0
    for _ in range(200):
        data = noise.randbytes(1 << 16).translate(_LINELESS)
        count += len(splitter.feed(data, 0))
        assert len(splitter._rest) <= LONGEST_LINE + 1
    assert count > 0


def test_a_progress_bar_is_shown_now_and_then() -> None:
    splitter = LineSplitter()
    shown = [(second, splitter.feed(f"\r{second} s".encode(), second)) for second in range(35)]
    assert [line for _, lines in shown for line in lines] == ["10 s", "20 s", "30 s"]
    assert PROGRESS_SECONDS == 10
    assert splitter.feed(b" done\n", 35) == ["34 s done"]
