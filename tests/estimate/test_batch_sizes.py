"""Which batch size is enough, and what a batch costs that does not fit: its process, and no more."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
import support

from batchpredict.estimate import batch_sizes
from batchpredict.estimate.batch_sizes import BatchSize, BatchSizes, enough, try_sizes
from batchpredict.formats import Segment, Split
from batchpredict.models import model_digest


def tried(*rates: float) -> list[BatchSize]:
    return [BatchSize(2**at, rate, rate, 100 + at) for at, rate in enumerate(rates)]


@pytest.mark.parametrize(
    ("rates", "rows"),
    [
        ((100, 180, 300, 310, 312, 313), 4),
        # The last one tried still gained.
        ((100, 200, 400), 4),
        # It never gains.
        ((100, 101, 99, 100), 1),
        # A single slow measurement is no end of growth.
        ((100, 200, 190, 800, 810, 815), 8),
        # More is slower: a cache is too small, perhaps.
        ((100, 200, 150, 120), 2),
    ],
)
def test_the_size_beyond_which_a_doubling_gains_less_than_a_twentieth(rates, rows):
    found = enough(tried(*rates), lambda one: one.rate)
    assert found is not None
    assert found.rows == rows


def test_nothing_was_tried():
    assert enough([], lambda one: one.rate) is None


def trial(tmp_path, model: str, lines: list[str], largest: int = 64) -> BatchSizes:
    path = support.write(tmp_path / "in.json", lines)
    spec = support.spec_of(support.job(support.model(model), path, str(tmp_path / "none")))
    size = os.path.getsize(path)
    split = Split(0, (Segment(path, 0, size, size),))
    digest = model_digest(spec.model_uri)
    return try_sizes(spec, str(tmp_path / "s"), digest, split, processes=2, largest=largest, seconds=5)


def test_a_batch_that_does_not_fit_ends_the_search(tmp_path, monkeypatch):
    for name, value in support.NO_ONEDNN.items():
        monkeypatch.setenv(name, value)
    found = trial(tmp_path, "memory_hungry", [str(number) for number in range(100)])
    assert [one.rows for one in found.tried] == [1, 2, 4, 8]
    assert found.stopped == "a batch of 16 records does not fit into the device's memory"
    assert all(0 < one.rate <= one.model_rate * 1.1 for one in found.tried)
    assert all(one.peak_bytes > 100 << 20 for one in found.tried)
    assert not os.path.exists(tmp_path / "none")


@pytest.mark.long
def test_a_batch_that_ends_its_process_ends_the_search(tmp_path):
    # Batches of 1, 2 and 4 are two of these lines at the most in a trial, and 16 meet the bad one.
    found = trial(tmp_path, "crashes", [*map(str, range(20)), "666"])
    assert [one.rows for one in found.tried] == []
    assert found.stopped.startswith("a batch of 1 records ended its process, which ")


def test_a_batch_for_which_there_is_no_memory_left_is_not_tried(monkeypatch):
    sizes = [replace(one, peak_bytes=one.peak_bytes * 10**9) for one in tried(1, 2)]
    monkeypatch.setattr(batch_sizes, "available_bytes", lambda: 1 << 30)
    assert "would not fit" in batch_sizes._unlikely_to_fit(sizes)
    monkeypatch.setattr(batch_sizes, "available_bytes", lambda: None)
    assert batch_sizes._unlikely_to_fit(sizes) == ""
