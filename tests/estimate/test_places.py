"""A sample is spread over the files and over places in files, and no record is in it twice."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from batchpredict.estimate.places import chosen_splits, places, spread
from batchpredict.formats import Segment, Split, cut
from batchpredict.storage import Input

SIZES = st.lists(st.integers(0, 5000), min_size=1, max_size=20)


def splits(sizes: list[int], split_bytes: int = 1000) -> list[Split]:
    files = [Input(f"f{number}", size, "") for number, size in enumerate(sizes)]
    return list(cut(files, split_bytes=split_bytes, splittable=lambda url: True))


def anywhere(segment: Segment) -> bool:
    return True


def nowhere(segment: Segment) -> bool:
    return False


@given(SIZES, st.integers(1, 60))
def test_places_are_apart_in_order_and_no_more_than_asked(sizes, count):
    cuts = splits(sizes)
    found = places(cuts, sum(sizes), count, anywhere=anywhere)
    assert len(found) <= count
    assert bool(found) == bool(sum(sizes))
    for one, other in itertools.pairwise(found):
        assert (int(one.path[1:]), one.end) <= (int(other.path[1:]), other.end)
        assert one.path != other.path or one.end <= other.start
    assert all(one.start < one.end <= one.size for one in found)


def test_the_first_place_of_a_split_is_its_beginning_and_others_lie_evenly():
    found = places(splits([4000]), 4000, 8, anywhere=anywhere)
    assert [(one.start, one.end) for one in found] == [(at, at + 500) for at in range(0, 4000, 500)]


def test_every_large_file_has_a_place():
    found = places(splits([1500, 1500, 1500]), 4500, 6, anywhere=anywhere)
    assert {one.path for one in found} == {"f0", "f1", "f2"}


def test_a_file_that_is_read_from_its_beginning_is_one_place():
    found = places(splits([4000, 500], 9999), 4500, 10, anywhere=nowhere)
    assert [(one.path, one.start, one.end) for one in found] == [("f0", 0, 4000), ("f1", 0, 500)]


def test_a_job_without_bytes_has_no_places():
    assert places([Split(0, ())], 0, 10, anywhere=anywhere) == []
    assert chosen_splits([Split(0, ())], 0, 10) == []


@given(SIZES, st.integers(1, 30))
def test_chosen_splits_are_of_the_job_and_spread_over_it(sizes, count):
    cuts = splits(sizes)
    found = chosen_splits(cuts, sum(sizes), count)
    assert [split for split in cuts if split in found] == found
    assert len(found) <= count
    if count >= sum(sizes):
        assert found == [split for split in cuts if split.size]


@given(st.lists(st.integers(), max_size=100))
def test_spreading_changes_the_order_and_nothing_else(items):
    assert sorted(spread(items)) == sorted(items)


def test_every_beginning_of_what_is_spread_is_spread():
    assert spread(range(8)) == [0, 4, 2, 6, 1, 5, 3, 7]
    assert spread(range(5)) == [0, 4, 2, 1, 3]
