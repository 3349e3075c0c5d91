from __future__ import annotations

import itertools

import pytest

from batchpredict.errors import IllegalTransition
from batchpredict.job import TERMINAL, TRANSITIONS, State, advance


def _walk(*path: State) -> State:
    state = path[0]
    for step in path[1:]:
        state = advance(state, step)
    return state


def test_a_job_goes_from_queued_to_succeeded() -> None:
    assert _walk(State.QUEUED, State.PREPARING, State.RUNNING, State.SUCCEEDED) is State.SUCCEEDED


@pytest.mark.parametrize("state", [State.QUEUED, State.PREPARING, State.RUNNING])
def test_a_job_can_be_cancelled_before_it_is_done(state: State) -> None:
    assert _walk(state, State.CANCELLING, State.CANCELLED) is State.CANCELLED


def test_a_queued_job_can_be_cancelled_at_once() -> None:
    assert advance(State.QUEUED, State.CANCELLED) is State.CANCELLED


@pytest.mark.parametrize("state", [State.PREPARING, State.RUNNING])
def test_a_job_that_has_begun_is_not_cancelled_at_once(state: State) -> None:
    with pytest.raises(IllegalTransition):
        advance(state, State.CANCELLED)


@pytest.mark.parametrize("state", [state for state in State if state not in TERMINAL])
def test_a_job_can_fail_in_every_state_that_is_not_terminal(state: State) -> None:
    assert advance(state, State.FAILED) is State.FAILED


@pytest.mark.parametrize("state", [State.PREPARING, State.RUNNING])
def test_a_job_whose_process_is_gone_is_queued_again(state: State) -> None:
    assert advance(state, State.QUEUED) is State.QUEUED


def test_a_job_being_cancelled_is_not_queued_again() -> None:
    with pytest.raises(IllegalTransition):
        advance(State.CANCELLING, State.QUEUED)


def test_a_job_that_had_published_before_its_cancellation_succeeds() -> None:
    assert advance(State.CANCELLING, State.SUCCEEDED) is State.SUCCEEDED


@pytest.mark.parametrize(("state", "to"), list(itertools.product(sorted(TERMINAL), State)))
def test_nothing_follows_a_terminal_state(state: State, to: State) -> None:
    with pytest.raises(IllegalTransition, match=f"A job that is {state} cannot become {to}; {state} is final"):
        advance(state, to)


@pytest.mark.parametrize("state", State)
def test_no_state_follows_itself(state: State) -> None:
    with pytest.raises(IllegalTransition):
        advance(state, state)


@pytest.mark.parametrize("state", State)
def test_no_job_becomes_unspecified(state: State) -> None:
    with pytest.raises(IllegalTransition):
        advance(state, State.STATE_UNSPECIFIED)


def test_the_message_says_what_is_possible() -> None:
    with pytest.raises(IllegalTransition) as raised:
        advance(State.QUEUED, State.SUCCEEDED)
    assert str(raised.value) == (
        "A job that is QUEUED cannot become SUCCEEDED; it can become PREPARING, FAILED, CANCELLING, CANCELLED."
    )


def test_every_state_has_its_transitions_and_only_the_terminal_have_none() -> None:
    assert set(TRANSITIONS) == set(State)
    assert {state for state, after in TRANSITIONS.items() if not after} == TERMINAL


def test_a_state_prints_as_its_name() -> None:
    assert f"{State.RUNNING}" == str(State.RUNNING) == "RUNNING"
