"""The queue in a store: what waits, what runs, who holds what, and what becomes of leases that end."""

from __future__ import annotations

import pytest
from service.store_support import LEASE, SECOND, START, ids, new_job, running

from batchpredict.job import State
from batchpredict.service.queue import (
    LONGEST_WAIT,
    Advance,
    Begin,
    Cancel,
    LeaseLost,
    Lose,
    Succeed,
    Usage,
    Waiting,
)


def test_what_waits_is_the_oldest_of_each_project(store):
    for project in ("b", "a"):
        for number in range(3):
            store.create_job(new_job(f"j{number}", project=project, workers=number + 1))
    assert store.waiting(per_project=2) == [
        Waiting("a", "j0", 4, 1),
        Waiting("a", "j1", 5, 2),
        Waiting("b", "j0", 1, 1),
        Waiting("b", "j1", 2, 2),
    ]


def test_a_job_whose_process_died_is_not_waiting_until_its_time_has_come(store, clock):
    running(store, "j")
    store.tell("p", "j", Lose(1, "it was killed"))
    assert store.waiting() == []
    assert store.claim("p", "j", "w", LEASE, 1) is None
    clock.forward(1)
    assert [one.job_id for one in store.waiting()] == ["j"]
    assert store.claim("p", "j", "w", LEASE, 1) is not None


def test_a_job_does_not_wait_for_a_clock_that_was_set_back(store, clock):
    running(store, "j")
    store.tell("p", "j", Lose(1, "it was killed"))
    clock.forward(-2 * LONGEST_WAIT.total_seconds())
    assert [one.job_id for one in store.waiting()] == ["j"]


def test_a_claim_gives_a_lease_and_whoever_is_slower_gets_nothing(store):
    store.create_job(new_job("j", workers=4))
    claimed = store.claim("p", "j", "w1", LEASE, 3)
    assert claimed == store.job("p", "j")
    lease = claimed.standing.lease
    assert (lease.worker, lease.generation, lease.until, lease.workers) == ("w1", 1, START + LEASE, 3)
    assert store.claim("p", "j", "w2", LEASE, 3) is None
    assert store.claim("p", "other", "w2", LEASE, 3) is None


def test_what_runs_is_counted_by_project_with_the_workers_of_its_leases(store):
    running(store, "a", workers=3)
    running(store, "b", workers=2)
    running(store, "c", project="other")
    store.create_job(new_job("d"))
    store.cancel("p", "b", Cancel("Ann cancelled it."))
    assert store.usage() == {"p": Usage(2, 5), "other": Usage(1, 1)}
    store.tell("p", "a", Succeed(1))
    assert store.usage() == {"p": Usage(1, 2), "other": Usage(1, 1)}


def test_a_renewal_is_of_all_that_a_worker_holds_and_shows_cancels(store, clock):
    running(store, "a", worker="w1")
    running(store, "b", worker="w1")
    running(store, "c", worker="w2")
    store.cancel("p", "b", Cancel("Ann cancelled it."))
    clock.forward(10)
    held = store.renew("w1", LEASE)
    assert {job: standing.state for job, standing in held.items()} == {
        ("p", "a"): State.RUNNING,
        ("p", "b"): State.CANCELLING,
    }
    assert held["p", "a"] == store.job("p", "a").standing
    assert held["p", "a"].lease.until == START + 10 * SECOND + LEASE
    assert store.job("p", "c").standing.lease.until == START + LEASE


def test_a_worker_that_holds_nothing_renews_nothing(store):
    assert store.renew("w", LEASE) == {}


def test_a_lease_that_ended_is_taken_back_and_its_holder_changes_nothing_any_more(store, clock):
    running(store, "a")
    clock.forward(10)
    running(store, "b")
    clock.forward(5)
    assert ids(store.expire()) == ["a"]
    assert store.expire() == []
    assert store.job("p", "a").standing.state is State.QUEUED
    assert store.job("p", "b").standing.state is State.RUNNING
    assert set(store.renew("w", LEASE)) == {("p", "b")}
    for call in (
        lambda: store.tell("p", "a", Advance(1), {"predictionCount": "9"}),
        lambda: store.append_log("p", "a", 1, [(START, "INFO", "service", "still here")]),
    ):
        with pytest.raises(LeaseLost):
            call()
    assert store.job("p", "a").output is None
    assert store.log("p", "a") == []


def test_a_lease_that_ended_and_was_not_taken_back_is_renewed(store, clock):
    running(store, "j")
    clock.forward(60)
    assert set(store.renew("w", LEASE)) == {("p", "j")}
    assert store.expire() == []


def test_a_cancelled_job_whose_lease_ends_is_cancelled(store, clock):
    running(store, "j")
    store.cancel("p", "j", Cancel("Ann cancelled it."))
    clock.forward(15)
    (job,) = store.expire()
    assert (job.standing.state, job.standing.message) == (State.CANCELLED, "Ann cancelled it.")


def test_a_job_is_claimed_again_under_the_next_generation(store, clock):
    running(store, "j", worker="w1")
    clock.forward(15)
    store.expire()
    clock.forward(1)
    claimed = store.claim("p", "j", "w2", LEASE, 1)
    assert claimed.standing.generation == 2
    with pytest.raises(LeaseLost):
        store.tell("p", "j", Begin(1))
    store.tell("p", "j", Begin(2))


def test_the_clock_is_the_databases_own_unless_one_is_given(migrated, opened):
    first, second = opened(migrated), opened(migrated)
    earlier = first.now()
    assert earlier <= second.now() <= first.now()
    assert earlier.utcoffset() is not None
    assert earlier <= first.create_job(new_job("j")).created <= second.now()
