"""What the service promises of a job, under random schedules: states, times, leases, generations, cancels."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from service import schedules

from batchpredict.job import State
from batchpredict.service.queue import Cancel, Claim, lifecycle


def test_every_promise_holds_over_100_000_steps():
    steps, seed = 0, 0
    while steps < 100_000:
        steps += schedules.replay(seed)
        seed += 1


def test_the_schedules_come_through_every_state_and_end_in_every_way(monkeypatch):
    # Or the test above would say little.
    seen: Counter[tuple[State, State]] = Counter()
    honest = lifecycle.step

    def counted(standing, event, now):
        after = honest(standing, event, now)
        seen[standing.state, after.state] += 1
        return after

    monkeypatch.setattr(lifecycle, "step", counted)
    replay_many(300)

    ways = {(before, after) for before, after in seen if before is not after}
    assert ways == {
        (State.QUEUED, State.PREPARING),
        (State.QUEUED, State.CANCELLED),
        (State.PREPARING, State.RUNNING),
        (State.PREPARING, State.QUEUED),
        (State.PREPARING, State.FAILED),
        (State.PREPARING, State.CANCELLING),
        (State.RUNNING, State.SUCCEEDED),
        (State.RUNNING, State.FAILED),
        (State.RUNNING, State.QUEUED),
        (State.RUNNING, State.CANCELLING),
        (State.CANCELLING, State.CANCELLED),
        (State.CANCELLING, State.SUCCEEDED),
        (State.CANCELLING, State.FAILED),
    }


@pytest.mark.parametrize(
    ("fault", "found"),
    [
        ("a zombie is believed", "nothing is changed under an old generation|exactly those"),
        ("a cancel is acknowledged and forgotten", "an acknowledged cancel holds"),
        ("a generation is given twice", "generations rise"),
        ("the clock is believed when it was set back", "times never run backwards"),
    ],
)
def test_a_machine_with_a_fault_does_not_pass(monkeypatch, fault, found):
    honest = lifecycle.step

    def faulty(standing, event, now):
        if fault == "a zombie is believed" and standing.lease and hasattr(event, "generation"):
            event = replace(event, generation=standing.lease.generation)
        after = honest(standing, event, now)
        if fault == "a cancel is acknowledged and forgotten" and isinstance(event, Cancel):
            return standing
        if fault == "a generation is given twice" and isinstance(event, Claim) and after.lease:
            return replace(after, generation=1, lease=replace(after.lease, generation=1))
        if fault == "the clock is believed when it was set back":
            return replace(after, changed=now)
        return after

    monkeypatch.setattr(lifecycle, "step", faulty)
    with pytest.raises(AssertionError, match=rf"^seed \d+: ({found})\n"):
        replay_many(300)


def replay_many(jobs: int) -> None:
    for seed in range(jobs):
        schedules.replay(seed)
