"""The machine of a gang, a rule at a time."""

from __future__ import annotations

from typing import Any

import pytest
from training.gang.schedules import Cluster

from batchpredict.training.cluster.replicas import Replica, Role
from batchpredict.training.gang import events as e
from batchpredict.training.gang.accounts import total_seconds
from batchpredict.training.gang.interface import Exit
from batchpredict.training.gang.machine import step
from batchpredict.training.gang.rules import Rules
from batchpredict.training.gang.state import State
from batchpredict.training.gang.verdicts import Verdict, verdict

M, W, P, E = Role.MASTER, Role.WORKER, Role.PS, Role.EVALUATOR
LONE, WATCHED, COLLECTIVE, SERVED = ({M: 1}, {M: 1, E: 1}, {M: 1, W: 2}, {M: 1, W: 1, P: 1})
MASTER = Replica(M, 0)


@pytest.mark.parametrize(
    ("shape", "role", "statuses", "expected"),
    [
        (LONE, M, [0], Verdict.SUCCEED),
        (LONE, M, [1], Verdict.FAIL),
        (LONE, M, [-11], Verdict.AGAIN),
        (LONE, M, [-9], Verdict.AGAIN),
        (LONE, M, [-9, 137], Verdict.FAIL),
        (LONE, M, [139] * 5, Verdict.AGAIN),
        (LONE, M, [139] * 6, Verdict.RESTART),
        (WATCHED, M, [1], Verdict.FAIL),
        (WATCHED, E, [1], Verdict.AGAIN),
        (WATCHED, E, [1] * 6, Verdict.NOTHING),
        (COLLECTIVE, M, [1], Verdict.RESTART),
        (COLLECTIVE, W, [1], Verdict.RESTART),
        (COLLECTIVE, W, [0], Verdict.NOTHING),
        (SERVED, M, [1], Verdict.RESTART),
        (SERVED, W, [1], Verdict.AGAIN),
        (SERVED, P, [-9] * 5, Verdict.AGAIN),
        (SERVED, P, [-9] * 6, Verdict.RESTART),
    ],
)
def test_what_follows_from_the_end_of_a_replica(shape, role, statuses, expected):
    exits = [Exit(Replica(role, 0), attempt, status, 100.0) for attempt, status in enumerate(statuses, 1)]
    assert verdict(Cluster.of(shape), 1, exits, Rules()) is expected


@pytest.mark.parametrize("shape", [LONE, COLLECTIVE, SERVED])
def test_what_fails_at_once_is_the_program(shape):
    cluster = Cluster.of(shape)
    early = Exit(MASTER, 1, -11, 4.9)
    assert verdict(cluster, 1, [early], Rules()) is Verdict.FAIL
    assert verdict(cluster, 2, [early], Rules()) is not Verdict.FAIL
    assert verdict(cluster, 1, [Exit(MASTER, 1, -11, 5.1)], Rules()) is not Verdict.FAIL


def test_a_port_that_is_taken_goes_before_all_but_for_an_evaluator():
    taken = Exit(MASTER, 1, 1, 0.1, port_taken=True)
    assert verdict(Cluster.of(LONE), 1, [taken], Rules()) is Verdict.PORT
    assert (
        verdict(Cluster.of(WATCHED), 1, [Exit(Replica(E, 0), 1, 1, 9.0, port_taken=True)], Rules()) is Verdict.AGAIN
    )


def running() -> State:
    """A host whose lone master runs, by sign of life 1, which it began to give at 10."""
    state = State(Cluster.of(LONE), "me")
    documents: dict[str, dict[str, object]] = {}
    state, _ = step(state, e.Tick(), 10.0)
    state, (claim,) = step(state, e.Exchanged(10.0, {}), 10.0)
    assert isinstance(claim, e.Exchange)
    documents |= {name: dict(document) for name, document in claim.creates}
    state, (bind,) = step(state, e.Exchanged(10.0, documents, True), 11.0)
    assert isinstance(bind, e.Bind)
    state, (said,) = step(state, e.Bound(1, MASTER, "here:1"), 12.0)
    assert isinstance(said, e.Exchange)
    documents |= {name: dict(document) for name, document in said.creates}
    state, (start, *_) = step(state, e.Exchanged(12.0, documents), 12.5)
    assert start == e.Start(1, MASTER, 1, {MASTER: "here:1"}, 12.5)
    return state


def test_a_lease_is_counted_from_before_the_sign_of_life_was_given():
    state = running()
    assert state.confirmed == 10.0
    state, todo = step(state, e.Tick(), 24.9)
    assert not any(isinstance(one, e.End) for one in todo)
    _, todo = step(state, e.Tick(), 25.0)
    assert e.End(MASTER, 5.0) in todo


def test_a_replica_is_kept_for_what_is_left_of_the_lease():
    state, (keep, *_) = step(running(), e.Exchanged(13.0, {}, True), 20.0)
    assert keep == e.Keep(8.0)
    assert state.confirmed == 13.0


def test_who_cannot_read_says_nothing():
    state, todo = step(running(), e.Exchanged(13.0, None, True), 14.0)
    assert not any(isinstance(one, e.Exchange) for one in todo)
    _, todo = step(state, e.Tick(), 18.0)
    assert todo == [e.Exchange(None, (), False)]


def test_a_replica_that_was_told_to_end_is_no_failure():
    state, todo = step(running(), e.Unwanted("Enough."), 13.0)
    assert e.End(MASTER, 5.0) in todo
    state, _ = step(state, e.Exited(MASTER, -15), 14.0)
    assert state.exits == {}
    assert state.ran == {"master-0": 1.5}


def test_seconds_are_those_of_all_hosts():
    documents: dict[str, dict[str, Any]] = {
        "host.a": {"beat": 3, "seconds": {"master-0": 1.5, "ps-0": 2.0}},
        "host.b": {"beat": 9, "seconds": {"master-0": 4.0}},
        "gang.1.claim.master-0": {"host": "a"},
    }
    assert total_seconds(documents) == {"master-0": 5.5, "ps-0": 2.0}


def test_rules_that_cannot_work_are_refused():
    with pytest.raises(ValueError, match="end_grace"):
        Rules(end_grace=15)
    with pytest.raises(ValueError, match="three beats"):
        Rules(beat=6)
