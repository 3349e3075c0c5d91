"""Webhook deliveries and workers in a store."""

from __future__ import annotations

from service.store_support import LEASE, SECOND, START, new_job, running

from batchpredict.service.queue import Advance, Cancel, Succeed
from batchpredict.service.store import Worker

HOOK = "https://x.org/hook"


def test_each_change_of_state_is_to_be_delivered_as_the_job_was_then(store):
    running(store, "j", webhook=HOOK)
    store.tell("p", "j", Advance(1), {"predictionCount": "5"})
    store.tell("p", "j", Succeed(1), {"predictionCount": "9"})
    due = store.due(10, LEASE)
    assert [(one.project, one.job_id, one.url, one.attempts) for one in due] == [("p", "j", HOOK, 0)] * 3
    assert [one.body["state"] for one in due] == ["PREPARING", "RUNNING", "SUCCEEDED"]
    assert [one.number for one in due] == sorted(one.number for one in due)
    assert "predictionOutput" not in due[1].body
    assert due[2].body["predictionOutput"] == {"predictionCount": "9"}


def test_a_cancel_and_a_lease_that_ended_are_delivered_too(store, clock):
    running(store, "a", webhook=HOOK)
    clock.forward(15)
    store.expire()
    store.cancel("p", "a", Cancel("Ann cancelled it."))
    assert [one.body["state"] for one in store.due(10, LEASE)][2:] == ["QUEUED", "CANCELLED"]


def test_a_job_without_a_webhook_has_no_deliveries(store):
    running(store, "j")
    assert store.due(10, LEASE) == []


def test_a_delivery_that_is_not_settled_comes_again(store, clock):
    store.create_job(new_job("j", webhook=HOOK))
    store.cancel("p", "j", Cancel("Ann cancelled it."))
    (first,) = store.due(10, LEASE)
    assert store.due(10, LEASE) == []
    clock.forward(15)
    (again,) = store.due(10, LEASE)
    assert again == first


def test_a_delivery_that_was_made_does_not_come_again(store, clock):
    store.create_job(new_job("j", webhook=HOOK))
    store.cancel("p", "j", Cancel(""))
    store.delivered(store.due(1, LEASE)[0].number)
    clock.forward(3600)
    assert store.due(10, LEASE) == []


def test_a_delivery_is_postponed_and_counts_its_attempts(store, clock):
    store.create_job(new_job("j", webhook=HOOK))
    store.cancel("p", "j", Cancel(""))
    (first,) = store.due(1, LEASE)
    store.postpone(first.number, 60 * SECOND)
    clock.forward(59)
    assert store.due(10, LEASE) == []
    clock.forward(1)
    assert [one.attempts for one in store.due(10, LEASE)] == [1]


def test_a_delivery_that_was_given_up_does_not_come_again(store, clock):
    store.create_job(new_job("j", webhook=HOOK))
    store.cancel("p", "j", Cancel(""))
    (first,) = store.due(1, LEASE)
    store.give_up(first.number, "410 Gone")
    store.postpone(first.number, SECOND)
    clock.forward(3600)
    assert store.due(10, LEASE) == []


def test_those_that_have_waited_longest_come_first_and_no_more_than_asked_for(store):
    for number in range(4):
        store.create_job(new_job(f"j{number}", webhook=HOOK))
        store.cancel("p", f"j{number}", Cancel(""))
    assert [one.job_id for one in store.due(3, LEASE)] == ["j0", "j1", "j2"]
    assert [one.job_id for one in store.due(3, LEASE)] == ["j3"]


def test_workers_are_those_that_were_seen_lately_by_the_stores_clock(store, clock):
    store.report_worker(Worker("b", "h1", 2, 1, START - 3600 * SECOND))
    clock.forward(10)
    store.report_worker(Worker("a", "h2", 4, 0, START))
    assert store.workers(seen_within=5 * SECOND) == [Worker("a", "h2", 4, 0, START + 10 * SECOND)]
    store.report_worker(Worker("b", "h1", 2, 2, START))
    assert [(one.worker, one.jobs) for one in store.workers(seen_within=5 * SECOND)] == [("a", 0), ("b", 2)]
