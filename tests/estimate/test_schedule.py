"""Time of a job from that of its splits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchpredict.estimate.schedule import makespan, split_seconds

SECONDS = st.lists(st.floats(0.01, 100), min_size=1, max_size=60)


@given(SECONDS, st.integers(1, 80))
def test_no_faster_than_the_work_or_the_longest_split_allow(seconds, workers):
    found = makespan(seconds, workers)
    least = max(max(seconds), sum(seconds) / workers)
    # Graham's bound for handing out work to whoever is free.
    assert least - 1e-6 <= found <= sum(seconds) / workers + max(seconds) + 1e-6


def test_one_worker_does_all_and_many_wait_for_the_longest():
    assert makespan([3, 1, 2], 1) == 6
    assert makespan([3, 1, 2], 2) == 3
    assert makespan([3, 1, 2], 99) == 3
    assert makespan([], 2) == 0


def test_a_file_that_cannot_be_cut_keeps_others_waiting():
    assert makespan([60, *[1] * 10], 8) == 60


def test_a_million_splits_are_not_handed_out_one_by_one():
    assert makespan([0.5] * 1_000_000, 10) == pytest.approx(50_000, rel=0.01)


def test_a_split_takes_its_bytes_and_its_commit():
    assert split_seconds([0, 100], 0.5, 2) == [2, 52]
