"""The median rule, as the service documented it."""

from __future__ import annotations

import math

import pytest

from batchpredict.job import GoalType
from batchpredict.training.tuning import Metric, Trial, TrialState, is_hopeless

MAX, MIN = GoalType.MAXIMIZE, GoalType.MINIMIZE


def trial(*values: float, state: TrialState = TrialState.COMPLETED, first: int = 1) -> Trial:
    """A trial with a value at each step from `first` on."""
    return Trial(1, {}, state, tuple(Metric(step, value) for step, value in enumerate(values, first)))


def pending(*values: float) -> Trial:
    return trial(*values, state=TrialState.PENDING)


# Running averages at step 2: 2, 4 and 6. At step 1: 1, 3 and 5.
OTHERS = [trial(1, 3, 100), trial(3, 5, 100), trial(5, 7, 100)]


@pytest.mark.parametrize(
    ("values", "hopeless"),
    [((2.9,), True), ((3.0,), False), ((3.1,), False), ((3.9, 3.9), True), ((4.0, 0), False), ((0, 4.1), False)],
)
def test_the_best_value_so_far_is_held_against_the_median_of_averages(
    values: tuple[float, ...], hopeless: bool
) -> None:
    assert is_hopeless(pending(*values), OTHERS, MAX) is hopeless
    mirrored = [trial(*(-metric.value for metric in other.metrics)) for other in OTHERS]
    assert is_hopeless(pending(*(-value for value in values)), mirrored, MIN) is hopeless


def test_only_completed_trials_are_a_measure() -> None:
    others = [trial(9, 9, state=state) for state in TrialState if state is not TrialState.COMPLETED]
    assert not is_hopeless(pending(0, 0), others, MAX)


def test_what_completed_trials_measured_later_does_not_count() -> None:
    assert not is_hopeless(pending(0), [trial(9, first=5)], MAX)


def test_a_trial_that_has_measured_nothing_is_left_alone() -> None:
    assert not is_hopeless(pending(), OTHERS, MAX)


@pytest.mark.parametrize("state", [TrialState.COMPLETED, TrialState.FAILED, TrialState.STOPPED])
def test_a_trial_that_has_ended_is_left_alone(state: TrialState) -> None:
    assert not is_hopeless(trial(0, state=state), OTHERS, MAX)


def test_a_trial_that_diverged_is_hopeless() -> None:
    assert is_hopeless(pending(math.nan, math.inf), OTHERS, MAX)


def test_a_completed_trial_that_diverged_is_no_measure() -> None:
    assert not is_hopeless(pending(0), [trial(math.nan)], MAX)
