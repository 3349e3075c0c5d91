"""Cutting: every byte once, in order, in pieces of the right size, the same way each time."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchpredict.formats import Segment, Split, cut, input_format, splits
from batchpredict.storage import Input

FILES = st.lists(
    st.tuples(st.sampled_from(["a.json", "b.json.gz", "c.bz2"]), st.integers(0, 500)), max_size=30
).map(lambda files: [Input(f"memory://{row}/{name}", size, "1") for row, (name, size) in enumerate(files)])


def splittable(url: str) -> bool:
    return input_format("TEXT").can_cut(url)


def cut_all(files: list[Input], split_bytes: int) -> list[Split]:
    return list(cut(files, split_bytes=split_bytes, splittable=splittable))


@given(files=FILES, split_bytes=st.integers(1, 300))
def test_every_byte_once_and_in_order(files: list[Input], split_bytes: int) -> None:
    made = cut_all(files, split_bytes)
    assert [split.index for split in made] == list(range(len(made)))
    segments = [segment for split in made for segment in split.segments]
    rest = iter(segments)
    for file in files:
        at = 0
        while at < file.size:
            segment = next(rest)
            assert (segment.path, segment.start, segment.size) == (file.url, at, file.size)
            assert not segment.exact
            at = segment.end
        assert at == file.size
    assert next(rest, None) is None


@given(files=FILES, split_bytes=st.integers(1, 300))
def test_sizes(files: list[Input], split_bytes: int) -> None:
    for split in cut_all(files, split_bytes):
        first = split.segments[0]
        if len(split.segments) > 1:
            assert split.size <= split_bytes
        elif splittable(first.path):
            assert split.size < split_bytes * 1.5 + 1
            if first.start:
                assert split.size >= split_bytes / 2
        else:
            assert split.size == first.size


@given(files=FILES, split_bytes=st.integers(1, 300))
def test_the_same_files_give_the_same_splits(files: list[Input], split_bytes: int) -> None:
    assert cut_all(files, split_bytes) == cut_all(files, split_bytes)


@pytest.mark.parametrize(
    ("size", "ranges"),
    [
        (100, [(0, 100)]),
        (101, [(0, 101)]),
        (149, [(0, 149)]),
        (150, [(0, 100), (100, 150)]),
        (200, [(0, 100), (100, 200)]),
        (249, [(0, 100), (100, 249)]),
        (250, [(0, 100), (100, 200), (200, 250)]),
    ],
)
def test_the_last_range_is_not_tiny(size: int, ranges: list[tuple[int, int]]) -> None:
    made = cut_all([Input("a", size, "")], 100)
    assert [(split.segments[0].start, split.segments[0].end) for split in made] == ranges


def test_small_files_are_packed_around_large_ones() -> None:
    sizes = [10, 20, 0, 70, 1, 500, 30]
    made = cut_all([Input(f"{row}.gz", size, "") for row, size in enumerate(sizes)], 100)
    names = [[segment.path for segment in split.segments] for split in made]
    assert names == [["0.gz", "1.gz", "3.gz"], ["4.gz"], ["5.gz"], ["6.gz"]]


def test_no_more_than_so_many_files_in_a_split() -> None:
    made = cut_all([Input(str(row), 1, "") for row in range(2 * splits.MOST_FILES + 1)], 1 << 30)
    assert [len(split.segments) for split in made] == [splits.MOST_FILES, splits.MOST_FILES, 1]


def test_splits_come_while_files_are_still_listed() -> None:
    def files() -> Iterator[Input]:
        for row in itertools.count():
            yield Input(str(row), 60, "")

    first = itertools.islice(cut(files(), split_bytes=100, splittable=splittable), 3)
    assert [split.segments[0].path for split in first] == ["0", "1", "2"]


def test_split_bytes_must_be_positive() -> None:
    with pytest.raises(ValueError, match="split_bytes"):
        cut_all([], 0)


segments = st.builds(Segment, st.text(), st.integers(0), st.integers(0), st.integers(0), exact=st.booleans())


@given(split=st.builds(Split, st.integers(0), st.lists(segments).map(tuple)))
def test_json_round_trip(split: Split) -> None:
    text = split.to_json()
    assert "\n" not in text
    assert Split.from_json(text) == split
    assert Split.from_json(text.encode("utf-8", "surrogatepass")) == split


def test_json_of_earlier_versions_is_read() -> None:
    split = Split(3, (Segment("gs://b/größe.json", 0, 10, 20), Segment("b", 5, 9, 9, exact=True)))
    assert Split.from_json('[3,[["gs://b/größe.json",0,10,20,0],["b",5,9,9,1]]]') == split
    text = '[3,[["gs://b/größe.json",0,10,20,0,""],["b",5,9,9,1,""]]]'
    assert split.to_json() == text
    assert Split.from_json(text) == split


@pytest.mark.parametrize("text", ["", "{}", "[1]", "[1,[[2]]]", '["a",[]]', "null", b"\xff"])
def test_json_that_is_no_split(text: str | bytes) -> None:
    with pytest.raises(ValueError, match="not a split"):
        Split.from_json(text)


def test_the_package_is_light() -> None:
    code = "import sys, batchpredict.formats; print(*sorted({'numpy', 'pyarrow', 'fsspec'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
