"""When a job has had more errors than it may."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchpredict.errors import BudgetSpent
from batchpredict.job import ErrorBudget
from batchpredict.ledger.budget import Tally, check, check_early, parse_budget


def budget(text: str) -> ErrorBudget:
    read = parse_budget(text)
    assert read is not None
    return read


def spent_early(text: str, tally: Tally, total_bytes: int = 1000) -> bool:
    try:
        check_early(budget(text), tally, total_bytes, None)
    except BudgetSpent:
        return True
    return False


def spent(text: str, tally: Tally) -> bool:
    try:
        check(budget(text), tally, None)
    except BudgetSpent:
        return True
    return False


def test_without_a_budget_anything_goes() -> None:
    assert parse_budget(None) is None
    check(None, Tally(0, 10**9, 10), None)
    check_early(None, Tally(0, 10**9, 10), 10, None)


def test_a_count_allows_just_that_many() -> None:
    assert not spent("10", Tally(0, 10, 1))
    assert spent("10", Tally(10**6, 11, 1))
    assert spent("0", Tally(10**6, 1, 1))


def test_a_percentage_is_of_all_records() -> None:
    assert not spent("10%", Tally(90, 10, 1))
    assert spent("10%", Tally(89, 11, 1))
    assert not spent("10%", Tally(0, 0, 0))


def test_a_count_is_spent_as_soon_as_it_is() -> None:
    assert not spent_early("10", Tally(0, 10, 1))
    assert spent_early("10", Tally(0, 11, 1))


class TestEarlyPercentage:
    def test_too_few_errors_say_nothing_yet(self) -> None:
        assert not spent_early("0.1%", Tally(1000, 19, 1000))
        assert spent_early("0.1%", Tally(1000, 20, 1000))

    def test_too_few_records_say_nothing_yet(self) -> None:
        assert not spent_early("5%", Tally(499, 500, 1000))
        assert spent_early("5%", Tally(500, 500, 1000))

    def test_records_to_come_are_reckoned_by_bytes_and_a_margin(self) -> None:
        # A tenth is read, 1,000 records: 10,000 in all, 20,000 with the margin, of which 5 % may fail.
        assert not spent_early("5%", Tally(0, 1000, 100))
        assert spent_early("4.9%", Tally(0, 1000, 100))
        assert not spent_early("10%", Tally(1600, 400, 1000))
        assert not spent_early("10%", Tally(1200, 800, 500))
        assert spent_early("10%", Tally(1199, 801, 500))

    def test_the_margin_is_as_much_again(self) -> None:
        # All is read, 1,000 records: up to 200 errors may still be the reckoning's fault.
        assert not spent_early("10%", Tally(800, 200, 1000))
        assert spent_early("10%", Tally(799, 201, 1000))

    def test_before_a_byte_is_known_to_be_read_nothing_is_said(self) -> None:
        assert not spent_early("1%", Tally(0, 100, 0))

    @given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(1, 10**6), st.integers(0, 100))
    def test_whoever_stays_within_the_budget_is_never_stopped_at_the_end(
        self, predictions: int, errors: int, read: int, percent: int
    ) -> None:
        tally = Tally(predictions, errors, read)
        if not spent(f"{percent}%", tally):
            assert not spent_early(f"{percent}%", tally, read)


@pytest.mark.parametrize(
    ("first", "ending"), [(None, ""), ("a.json at byte 7: null", " For example: a.json at byte 7: null")]
)
def test_the_message_has_the_budget_the_counts_and_an_example(first: str | None, ending: str) -> None:
    with pytest.raises(BudgetSpent) as caught:
        check(budget("2.5%"), Tally(90, 10, 1), first)
    assert str(caught.value) == (
        f"More errors than maxErrors (2.5%) allows: 10 of the 100 records so far failed.{ending}"
    )


def test_tallies_add_up() -> None:
    assert Tally(1, 2, 3) + Tally(10, 20, 30) == Tally(11, 22, 33)
    assert Tally(1, 2, 3).records == 3
