"""The table of what may happen to a job, line by line as `queue.lifecycle` draws it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from batchpredict.errors import IllegalTransition
from batchpredict.job import TERMINAL, State
from batchpredict.service.queue import (
    LONGEST_WAIT,
    MAX_LOSSES,
    Advance,
    Begin,
    Cancel,
    Claim,
    Event,
    Expire,
    Fail,
    Finished,
    Lease,
    LeaseLost,
    Lose,
    NotNow,
    Release,
    Renew,
    Standing,
    Stop,
    Succeed,
    queued,
    step,
)

NOW = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)
SOON = NOW + timedelta(seconds=1)
UNTIL = NOW + timedelta(seconds=15)
LATER = UNTIL + timedelta(seconds=1)

Q, P, R, C = State.QUEUED, State.PREPARING, State.RUNNING, State.CANCELLING
OK, FAILED, CANCELLED = State.SUCCEEDED, State.FAILED, State.CANCELLED

EVENTS: dict[str, Event] = {
    "Claim": Claim("w2", LATER, 1),
    "Renew": Renew(3, LATER),
    "Begin": Begin(3),
    "Advance": Advance(3),
    "Succeed": Succeed(3),
    "Fail": Fail(3, "No input."),
    "Stop": Stop(3),
    "Release": Release(3),
    "Lose": Lose(3, "it was killed"),
    "Expire": Expire(),
    "Cancel": Cancel("Ann cancelled it."),
}

# What follows from each event (columns) in each state (rows). Leases are of generation 3, and have ended.
HEADER = ["Claim", "Renew", "Begin", "Advance", "Succeed", "Fail", "Stop", "Release", "Lose", "Expire", "Cancel"]
NOBODYS = [LeaseLost] * 8
TABLE: dict[State, list[Any]] = {
    Q: [P, *NOBODYS, NotNow, CANCELLED],
    P: [NotNow, P, R, P, IllegalTransition, FAILED, IllegalTransition, Q, Q, Q, C],
    R: [NotNow, R, R, R, OK, FAILED, IllegalTransition, Q, Q, Q, C],
    C: [NotNow, C, C, C, OK, FAILED, CANCELLED, CANCELLED, CANCELLED, CANCELLED, C],
    OK: [NotNow, *NOBODYS, NotNow, Finished],
    FAILED: [NotNow, *NOBODYS, NotNow, Finished],
    CANCELLED: [NotNow, *NOBODYS, NotNow, Finished],
}


def standing(state: State, **changes) -> Standing:
    lease = Lease("w1", 3, UNTIL, 2) if state in (P, R, C) else None
    return replace(
        Standing(
            state,
            NOW,
            generation=3,
            lease=lease,
            start_time=NOW if state in (R, C, OK) else None,
            end_time=NOW if state in TERMINAL else None,
            message="Ann cancelled it." if state in (C, CANCELLED) else "",
        ),
        **changes,
    )


@pytest.mark.parametrize(
    ("state", "event", "outcome"),
    [(state, event, outcome) for state, row in TABLE.items() for event, outcome in zip(HEADER, row, strict=True)],
    ids=lambda value: getattr(value, "value", None) or getattr(value, "__name__", None),
)
def test_the_table(state, event, outcome):
    before = standing(state)
    if isinstance(outcome, State):
        assert step(before, EVENTS[event], LATER).state is outcome
    else:
        with pytest.raises(outcome):
            step(before, EVENTS[event], LATER)


def test_the_table_is_complete():
    assert set(TABLE) == set(State) - {State.STATE_UNSPECIFIED}
    assert list(EVENTS) == HEADER


@pytest.mark.parametrize("event", [event for name, event in EVENTS.items() if hasattr(event, "generation")])
@pytest.mark.parametrize("state", [P, R, C])
@pytest.mark.parametrize("generation", [2, 4])
def test_an_event_of_another_generation_is_refused(state, event, generation):
    with pytest.raises(LeaseLost, match=f"generation {generation} .* 3"):
        step(standing(state), replace(event, generation=generation), SOON)


def test_a_claim_gives_the_next_generation_and_a_lease_of_it():
    after = step(standing(Q), Claim("w2", LATER, 4), SOON)
    assert (after.generation, after.lease) == (4, Lease("w2", 4, LATER, 4))


def test_a_lease_that_has_not_ended_does_not_expire():
    with pytest.raises(NotNow):
        step(standing(R), Expire(), SOON)


def test_a_lease_that_has_ended_is_live_until_it_is_taken_back():
    renewed = step(standing(R), Renew(3, LATER + timedelta(seconds=15)), LATER)
    assert renewed.lease is not None
    with pytest.raises(NotNow):
        step(renewed, Expire(), LATER)


def test_a_job_starts_when_it_first_runs_and_not_again():
    again = step(step(standing(R), Release(3), SOON), Claim("w2", LATER, 1), LATER)
    assert step(again, Begin(4), LATER).start_time == NOW


def test_losses_make_the_next_attempt_wait_twice_as_long_each_time_up_to_a_minute():
    job, now, waits = queued(NOW), NOW, []
    for generation in range(1, MAX_LOSSES):
        job = step(job, Claim("w1", now, 1), now)
        job = step(job, Lose(generation, "it was killed"), now)
        assert job.not_before is not None
        waits.append((job.not_before - now).total_seconds())
        with pytest.raises(NotNow):
            step(job, Claim("w1", now, 1), now)
        now = job.not_before
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_a_job_that_is_lost_too_often_in_a_row_fails_and_says_why():
    job = step(standing(R, losses=MAX_LOSSES - 1), Lose(3, "it was killed"), SOON)
    assert job.state is FAILED
    assert job.message == ("The job was given up after it was lost 10 times in a row; the last time it was killed.")


def test_what_was_committed_forgives_earlier_losses():
    job = step(standing(R, losses=MAX_LOSSES - 1), Advance(3), SOON)
    assert step(job, Lose(3, "it was killed"), SOON).state is Q


def test_a_shutdown_of_the_worker_is_no_loss():
    job = step(standing(R, losses=2), Release(3), SOON)
    assert (job.losses, job.not_before) == (2, None)


def test_a_cancel_names_its_reason_and_a_second_one_does_not_change_it():
    once = step(standing(R), Cancel("Bob cancelled it."), SOON)
    assert step(once, Cancel("Eve cancelled it."), LATER) == once
    assert step(once, Stop(3), LATER).message == "Bob cancelled it."


def test_success_after_a_cancel_that_came_too_late_has_no_message():
    assert step(standing(C), Succeed(3), SOON).message == ""


@pytest.mark.parametrize("event", ["Succeed", "Fail", "Lose"])
def test_a_clock_that_was_set_back_does_not_make_recorded_times_run_backwards(event):
    after = step(standing(R), EVENTS[event], NOW - timedelta(hours=2))
    assert after.changed == NOW
    assert after.end_time in (None, NOW)


def test_a_job_does_not_wait_for_a_clock_that_was_set_back_to_catch_up():
    lost = step(standing(R), Lose(3, "it was killed"), NOW + timedelta(hours=2))
    with pytest.raises(NotNow):
        step(lost, Claim("w2", LATER, 1), NOW + timedelta(hours=2))
    assert step(lost, Claim("w2", LATER, 1), NOW).state is P


def test_a_lease_goes_by_the_clock_as_it_is_after_it_was_set_back():
    ahead = step(standing(R), Renew(3, NOW + timedelta(hours=2)), NOW + timedelta(hours=1, minutes=59))
    corrected = step(ahead, Renew(3, UNTIL), NOW)
    with pytest.raises(NotNow):
        step(corrected, Expire(), SOON)
    assert step(corrected, Expire(), LATER).state is Q


def test_the_longest_wait_is_a_wait():
    lost = step(standing(R, losses=8), Lose(3, "it was killed"), NOW)
    with pytest.raises(NotNow):
        step(lost, Claim("w2", LATER, 1), NOW)
    assert step(lost, Claim("w2", LATER, 1), NOW + LONGEST_WAIT).state is P
