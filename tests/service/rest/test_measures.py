"""What a worker's process counts, by what goes through its store."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from prometheus_client.parser import text_string_to_metric_families

from batchpredict.service.measures import Measures
from batchpredict.service.observed import observed
from batchpredict.service.queue.lifecycle import Advance, Begin, LeaseLost, Release, Succeed
from batchpredict.service.store import NewJob, StoreFailed, open_store

LEASE = timedelta(minutes=5)


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2017, 12, 13, tzinfo=timezone.utc)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def measures() -> Measures:
    return Measures()


@pytest.fixture
def store(tmp_path, clock, measures):
    opened = open_store(str(tmp_path / "service.db"), clock)
    yield observed(opened, measures)
    opened.close()


def value(measures: Measures, name: str, **labels: str) -> float:
    [found] = [
        sample.value
        for family in text_string_to_metric_families(measures.text().decode())
        for sample in family.samples
        if sample.name == name and sample.labels == labels
    ]
    return float(found)


def output(predictions: int, errors: int) -> dict[str, str]:
    return {"predictionCount": str(predictions), "errorCount": str(errors)}


def claimed(store, job_id: str) -> int:
    found = store.claim("p", job_id, "w", LEASE, 1)
    generation: int = found.standing.generation
    return generation


def test_records_and_splits_are_counted_once(store, measures):
    store.create_job(NewJob("p", "j", {}))
    first = claimed(store, "j")
    store.tell("p", "j", Begin(first))
    store.tell("p", "j", Advance(first), output(90, 10), {"splits": 2})
    store.tell("p", "j", Advance(first), output(90, 10), {"splits": 2})
    assert value(measures, "batchpredict_records_total") == 100
    assert value(measures, "batchpredict_splits_total") == 2
    store.tell("p", "j", Release(first))
    # The second run finds what the first has left, and begins by saying so.
    second = claimed(store, "j")
    store.tell("p", "j", Begin(second))
    store.tell("p", "j", Advance(second), output(90, 10), {"splits": 2})
    store.tell("p", "j", Succeed(second), output(140, 10), {"splits": 3})
    assert value(measures, "batchpredict_records_total") == 150
    assert value(measures, "batchpredict_splits_total") == 3


def test_what_the_store_refuses_is_not_counted(store, measures):
    store.create_job(NewJob("p", "j", {}))
    generation = claimed(store, "j")
    store.tell("p", "j", Release(generation))
    with pytest.raises(LeaseLost):
        store.tell("p", "j", Advance(generation), output(5, 0), {"splits": 1})
    assert value(measures, "batchpredict_records_total") == 0


def test_a_wait_is_that_of_the_first_claim(store, measures, clock):
    store.create_job(NewJob("p", "j", {}))
    clock.now += timedelta(seconds=42)
    generation = claimed(store, "j")
    assert value(measures, "batchpredict_queue_wait_seconds_sum") == 42
    store.tell("p", "j", Release(generation))
    clock.now += timedelta(seconds=42)
    claimed(store, "j")
    assert value(measures, "batchpredict_queue_wait_seconds_count") == 1


def test_a_claim_that_came_too_late_is_none(store, measures):
    store.create_job(NewJob("p", "j", {}))
    claimed(store, "j")
    assert store.claim("p", "j", "w2", LEASE, 1) is None
    assert value(measures, "batchpredict_queue_wait_seconds_count") == 1


def test_everything_else_is_the_store_itself(store):
    store.create_job(NewJob("p", "j", {}))
    assert store.job("p", "j").job_id == "j"
    assert [job.job_id for job in store.jobs("p")[0]] == ["j"]


def test_without_the_database_the_other_figures_stay(measures, store, monkeypatch):
    measures.of_store(store)
    assert value(measures, "batchpredict_jobs", state="QUEUED") == 0

    def gone() -> None:
        raise StoreFailed("gone")

    monkeypatch.setattr(store, "counts", gone)
    text = measures.text().decode()
    assert "batchpredict_jobs{" not in text
    assert "batchpredict_records_total" in text
