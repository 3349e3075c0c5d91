"""Small files of a store are fetched before their turn."""

from __future__ import annotations

import itertools
import threading

import pytest

from batchpredict import storage
from batchpredict.formats import Border, Run, Segment
from batchpredict.formats.text import read_text
from batchpredict.formats.upcoming import Upcoming, fetching


@pytest.fixture
def segments(memory) -> list[Segment]:
    """Forty small files of three lines."""
    found = []
    for number in range(40):
        data = b"".join(b"%d-%d\n" % (number, row) for row in range(3))
        url = f"{memory}/part-{number:02d}"
        storage.replace_bytes(url, data)
        found.append(Segment(url, 0, len(data), len(data)))
    return found


def lines(segments: list[Segment], upcoming: Upcoming | None = None) -> list[bytes]:
    found = []
    for one in segments:
        for event in read_text(one, rows=10, max_record_bytes=100, upcoming=upcoming):
            if not isinstance(event, Border):
                assert isinstance(event, Run)
                found += event.payloads
    return found


def test_what_is_read_is_what_lies_there(segments):
    expected = lines(segments)
    with fetching(segments) as upcoming:
        assert lines(segments, upcoming) == expected
    assert len(expected) == 120


def test_files_are_asked_for_together_and_once(segments, monkeypatch):
    asked = []
    numbers = itertools.count()
    together = threading.Barrier(8, timeout=30)
    original = storage.read_range

    def read_range(url: str, start: int, end: int) -> bytes:
        asked.append(url)
        if next(numbers) < 8:
            together.wait()
        return original(url, start, end)

    monkeypatch.setattr(storage, "read_range", read_range)
    with fetching(segments) as upcoming:
        lines(segments, upcoming)
    assert sorted(asked) == [segment.path for segment in segments]


def test_no_more_are_held_than_a_few(segments, monkeypatch):
    asked = []
    original = storage.read_range

    def read_range(url: str, start: int, end: int) -> bytes:
        asked.append(url)
        return original(url, start, end)

    monkeypatch.setattr(storage, "read_range", read_range)
    with fetching(segments) as upcoming:
        lines(segments[:5], upcoming)
    assert len(asked) <= 5 + 16


def test_a_file_that_is_gone_fails_where_it_is_read(segments):
    storage.delete(segments[20].path)
    with fetching(segments) as upcoming:
        lines(segments[:20], upcoming)
        with pytest.raises(FileNotFoundError):
            lines(segments[20:21], upcoming)


def test_a_range_of_a_file_and_a_file_out_of_turn_are_read_as_ever(segments):
    with fetching(segments) as upcoming:
        assert lines(segments[7:9], upcoming) == [b"7-0", b"7-1", b"7-2", b"8-0", b"8-1", b"8-2"]
        half = Segment(segments[9].path, 4, segments[9].size, segments[9].size)
        assert lines([half], upcoming) == [b"9-1", b"9-2"]
