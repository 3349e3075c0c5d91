"""What a store forgets, and what it keeps."""

from __future__ import annotations

from datetime import timedelta

import pytest
from service.store_support import LEASE, SECOND, ids, new_job, new_model, running
from sqlalchemy import create_engine, func, select

from batchpredict.service.queue import Cancel, Succeed
from batchpredict.service.store import Keep, Missing, Operation
from batchpredict.service.store.tables import metadata, models, operations, outbox

DAY = timedelta(days=1)
NOTHING = Keep(rest=None)


def ended(store, job_id, **fields):
    """A job with everything that can belong to one."""
    generation = running(store, job_id, labels={"team": "blue"}, **fields).standing.generation
    store.append_log("p", job_id, generation, [(store.now(), "INFO", "service", "said")])
    store.set_policy(f"projects/p/jobs/{job_id}", {"bindings": []}, None)
    store.tell("p", job_id, Succeed(generation), {"predictionCount": "1"})


def rows(url):
    """How many rows each table has."""
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.connect() as connection:
        found = {
            table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in metadata.sorted_tables
        }
    engine.dispose()
    return {name: count for name, count in found.items() if count}


def test_nothing_of_a_job_is_forgotten_unless_it_is_asked_for(store, migrated, clock):
    ended(store, "j")
    before = rows(migrated)
    clock.forward(1000 * DAY.total_seconds())
    assert store.forget(Keep()) == 0
    assert rows(migrated) == before


def test_an_old_job_is_forgotten_with_all_that_belongs_to_it(store, migrated, clock):
    ended(store, "old")
    clock.forward(7 * DAY.total_seconds())
    assert store.forget(Keep(jobs=7 * DAY)) == 0
    clock.forward(1)
    assert store.forget(Keep(jobs=7 * DAY)) == 1
    assert rows(migrated) == {}
    with pytest.raises(Missing):
        store.job("p", "old")
    # Whoever comes next has nothing of it.
    store.create_job(new_job("old"))
    assert store.policy("projects/p/jobs/old") == {"etag": "ACAB"}
    assert store.log("p", "old") == []


def test_young_jobs_and_those_that_have_not_ended_are_kept(store, clock):
    store.create_job(new_job("queued"))
    running(store, "running")
    ended(store, "old")
    clock.forward(10 * DAY.total_seconds())
    ended(store, "young")
    store.forget(Keep(jobs=7 * DAY, logs=7 * DAY))
    page, _ = store.jobs("p")
    assert ids(page) == ["young", "running", "queued"]
    assert [line.text for line in store.log("p", "young")] == ["said"]


def test_a_log_may_be_forgotten_before_its_job(store, clock):
    ended(store, "old")
    clock.forward(2 * DAY.total_seconds())
    ended(store, "young")
    assert store.forget(Keep(logs=DAY)) == 1
    assert store.forget(Keep(logs=DAY)) == 0
    assert store.log("p", "old") == []
    assert store.job("p", "old").output == {"predictionCount": "1"}
    assert len(store.log("p", "young")) == 1


def test_many_are_forgotten_bit_by_bit(store, clock):
    for number in range(103):
        store.create_job(new_job(f"j{number}"))
        store.cancel("p", f"j{number}", Cancel("Ann cancelled it."))
    clock.forward(2 * DAY.total_seconds())
    assert store.forget(Keep(jobs=DAY)) == 100
    assert store.forget(Keep(jobs=DAY)) == 3
    assert store.forget(Keep(jobs=DAY)) == 0


def test_deliveries_that_were_given_up_are_forgotten(store, migrated, clock):
    store.create_job(new_job("j", webhook="https://x.org/hook"))
    store.cancel("p", "j", Cancel("Ann cancelled it."))
    [delivery] = store.due(10, LEASE)
    store.give_up(delivery.number, "410")
    clock.forward(30 * DAY.total_seconds())
    assert store.forget(Keep()) == 0
    clock.forward(1)
    assert store.forget(NOTHING) == 0
    assert store.forget(Keep()) == 1
    assert outbox.name not in rows(migrated)


def test_a_delivery_that_is_still_tried_is_kept(store, clock):
    store.create_job(new_job("j", webhook="https://x.org/hook"))
    store.cancel("p", "j", Cancel("Ann cancelled it."))
    clock.forward(100 * DAY.total_seconds())
    store.forget(Keep(jobs=DAY))
    assert len(store.due(10, SECOND)) == 1


def test_operations_that_are_done_are_forgotten(store, migrated, clock):
    store.create_model(new_model("m"))
    for name in ("done", "open"):
        store.create_operation(Operation("p", name, {"metadata": {}}, False))
    store.finish_operation("p", "done", response={})
    clock.forward(31 * DAY.total_seconds())
    assert store.forget(Keep()) == 1
    assert store.operation("p", "open").done is False
    assert rows(migrated) == {operations.name: 1, models.name: 1}
