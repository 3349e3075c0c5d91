"""Which of what was scored says how many records fail."""

from __future__ import annotations

import pytest

from batchpredict.estimate.estimating import _Found
from batchpredict.estimate.ranges import Range
from batchpredict.estimate.sampled import Measured
from batchpredict.ledger import PartFile


def attempt(records: int, errors: int) -> Measured:
    return Measured(
        fingerprint="f", split=0, forced_start=None, worker="w", start_time=0.0, end_time=1.0, node_seconds=1.0,
        columns=(), results=PartFile("r", 0), errors=None, segments=(), predictions=records - errors,
        error_count=errors, error_stats=(), batch_calls=1, batch_rows=records, batch_min=1, batch_max=1,
        call_seconds=0.0, load_seconds=0.0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("records", "counted"),
    [
        (1_000_000, [(100, 1), (100, 2), (5000, 9)]),
        # Of a job of 5,000 the attempts at splits have scored what the sample has.
        (5_000, [(5000, 9)]),
    ],
)
def test_a_record_that_was_scored_twice_counts_once(records: int, counted: list[tuple[int, int]]) -> None:
    found = _Found(sampled=[attempt(100, 1), attempt(100, 2)], scored=[attempt(5000, 9)])
    attempts = found._attempts(Range.exactly(records))
    assert [(one.records, one.error_count) for one in attempts] == counted


def test_where_the_sample_is_most_of_what_was_scored_it_is_taken() -> None:
    found = _Found(sampled=[attempt(400, 4)], scored=[attempt(300, 0)])
    assert found._attempts(Range.exactly(500)) == found.sampled
