"""Watches in the store: created, listed, led under a lease, and what is noted of their epochs."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from service.store_support import LEASE, START, new_job

from batchpredict.service.queue import LeaseLost
from batchpredict.service.queue.leading import Falter, Pause, Refuse, Resume, WatchState, Yield
from batchpredict.service.store import (
    RUNNING,
    SET_ASIDE,
    SUCCEEDED,
    EpochReport,
    Exists,
    Keep,
    Missing,
    NewWatch,
    Note,
    QueueFull,
    Store,
    StoredEpoch,
)


def new_watch(watch_id: str = "digits", project: str = "p", **fields: Any) -> NewWatch:
    document = {"predictionInput": {"inputPaths": ["/in/*"]}, "every": "30s"}
    return NewWatch(project, watch_id, document, **fields)


def epoch(number: int, state: str = RUNNING, **fields: Any) -> StoredEpoch:
    return StoredEpoch(number, state, fields.pop("files", 2), 10, "/m", **fields)


def test_a_watch_comes_back_as_it_was_sent_once(store: Store):
    new = new_watch(labels={"team": "blue"}, creator="user:ann@x.org", pinned={"uri": "/m"}, webhook="https://h")
    created = store.create_watch(new)
    assert (created.new, created.created, created.leading.state) == (new, START, WatchState.ACTIVE)
    assert store.watch("p", "digits") == created
    with pytest.raises(Exists, match='A watch "digits" exists already in project "p"'):
        store.create_watch(new_watch())
    store.create_watch(new_watch(project="q"))
    with pytest.raises(Missing):
        store.watch("p", "other")


def test_pages_are_newest_first_and_stable(store: Store):
    for number in range(5):
        store.create_watch(new_watch(f"w{number}"))
    first, following = store.watches("p", size=2)
    store.create_watch(new_watch("w5"))
    second, last = store.watches("p", size=3, before=following)
    assert [one.watch_id for one in (*first, *second)] == ["w4", "w3", "w2", "w1", "w0"]
    assert last is None


def test_a_project_has_no_more_watches_than_it_may(store: Store, monkeypatch):
    monkeypatch.setattr("batchpredict.service.store.watches.MOST_WATCHES", 2)
    for name in ("a", "b"):
        store.create_watch(new_watch(name))
    with pytest.raises(QueueFull, match="has 2 watches and may not have more"):
        store.create_watch(new_watch("c"))
    store.create_watch(new_watch("c", project="q"))
    store.delete_watch("p", "a")
    store.create_watch(new_watch("c"))


def test_one_worker_leads_and_another_takes_over_when_the_lease_has_lapsed(store: Store, clock):
    number = store.create_watch(new_watch()).number
    (led,) = store.lead("w", LEASE, 5)
    assert (led.leading.worker, led.leading.generation) == ("w", 1)
    assert store.lead("v", LEASE, 5) == []
    clock.forward(10)
    assert store.keep_leading("w", LEASE).keys() == {("p", "digits")}
    clock.forward(10)
    assert store.lead("v", LEASE, 5) == []
    clock.forward(6)
    (taken,) = store.lead("v", LEASE, 5)
    assert (taken.leading.worker, taken.leading.generation) == ("v", 2)
    assert store.keep_leading("w", LEASE) == {}
    for say in (
        lambda: store.tell_watch("p", "digits", Yield(1)),
        lambda: store.report_epochs(number, 1, EpochReport(1)),
        lambda: store.report_epoch_job(number, 1, 1, "j"),
    ):
        with pytest.raises(LeaseLost):
            say()


def test_a_worker_takes_no_more_than_it_has_room_for(store: Store):
    for number in range(3):
        store.create_watch(new_watch(f"w{number}"))
    assert [one.watch_id for one in store.lead("w", LEASE, 2)] == ["w0", "w1"]
    assert store.lead("w", LEASE, 0) == []
    assert [one.watch_id for one in store.lead("v", LEASE, 2)] == ["w2"]


def test_of_workers_that_ask_at_once_one_leads(store: Store):
    store.create_watch(new_watch())
    taken: list[str] = []
    workers = [
        threading.Thread(target=lambda name=name: taken.extend(
            one.leading.worker for one in store.lead(name, LEASE, 1)
        ))
        for name in "abcdef"
    ]  # fmt: skip
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(taken) == 1


def test_a_paused_watch_is_led_by_nobody_until_it_is_resumed(store: Store, clock):
    store.create_watch(new_watch())
    store.lead("w", LEASE, 1)
    assert store.tell_watch("p", "digits", Pause()).leading.state is WatchState.PAUSED
    # The leader hears of it.
    assert store.keep_leading("w", LEASE)["p", "digits"].leading.state is WatchState.PAUSED
    store.tell_watch("p", "digits", Yield(1))
    clock.forward(60)
    assert store.lead("v", LEASE, 1) == []
    store.tell_watch("p", "digits", Resume())
    (led,) = store.lead("v", LEASE, 1)
    store.tell_watch("p", "digits", Refuse(led.leading.generation, "a file has changed"))
    assert store.watch("p", "digits").leading.message == "a file has changed"
    assert store.lead("v", LEASE, 1) == []


def test_a_leader_that_dies_is_followed_after_a_while(store: Store, clock):
    store.create_watch(new_watch())
    store.lead("w", LEASE, 1)
    store.tell_watch("p", "digits", Falter(1, "it was killed"))
    assert store.lead("v", LEASE, 1) == []
    clock.forward(1.5)
    assert len(store.lead("v", LEASE, 1)) == 1


def test_what_was_wrong_is_over_when_a_leader_reports_and_losses_when_an_epoch_is_done(store: Store, clock):
    number = store.create_watch(new_watch()).number
    store.lead("w", LEASE, 1)
    store.tell_watch("p", "digits", Falter(1, "it was killed"))
    clock.forward(2)
    (led,) = store.lead("w", LEASE, 1)
    assert (led.leading.message, led.leading.losses) == ("it was killed", 1)
    store.report_epochs(number, 2, EpochReport(1, [epoch(1)]))
    found = store.watch("p", "digits").leading
    assert (found.message, found.losses, found.worker) == ("", 1, "w")
    store.report_epochs(number, 2, EpochReport(1))
    assert store.watch("p", "digits").leading.losses == 0
    assert store.projects() == ["p"]


def test_epochs_are_as_the_leader_reports_and_done_when_it_does_not(store: Store, clock):
    number = store.create_watch(new_watch()).number
    store.lead("w", LEASE, 1)
    store.report_epochs(number, 1, EpochReport(1, [epoch(1)]))
    store.report_epoch_job(number, 1, 1, "digits_epoch_00000001")
    clock.forward(5)
    failed = epoch(1, failures=1, message="no cluster")
    store.report_epochs(number, 1, EpochReport(2, [failed, epoch(2, files=1)]))
    second, first = store.epochs("p", "digits")[0]
    assert (first.job_id, first.failures, first.message, first.begun) == (
        "digits_epoch_00000001", 1, "no cluster", START
    )  # fmt: skip
    assert (second.files, second.state, second.begun) == (1, RUNNING, START + timedelta(seconds=5))
    clock.forward(5)
    store.report_epochs(number, 1, EpochReport(3, [epoch(1, SET_ASIDE, message="no cluster"), epoch(3)]))
    found = {one.epoch: one for one in store.epochs("p", "digits")[0]}
    assert {number: one.state for number, one in found.items()} == {1: SET_ASIDE, 2: SUCCEEDED, 3: RUNNING}
    assert found[2].ended == found[1].ended == START + timedelta(seconds=10)
    watch = store.watch("p", "digits")
    assert (watch.epochs, watch.set_aside) == (3, 1)
    # Taken up again.
    store.report_epochs(number, 1, EpochReport(3, [epoch(1)]))
    found = {one.epoch: one for one in store.epochs("p", "digits")[0]}
    assert (found[1].state, found[1].ended, found[3].state) == (RUNNING, None, SUCCEEDED)
    assert store.watch("p", "digits").set_aside == 0
    page, following = store.epochs("p", "digits", size=2)
    assert ([one.epoch for one in page], following) == ([3, 2], 2)
    assert [one.epoch for one in store.epochs("p", "digits", before=following)[0]] == [1]


def test_the_latest_notes_are_kept(store: Store):
    number = store.create_watch(new_watch()).number
    store.lead("w", LEASE, 1)
    for at in range(60):
        store.report_epochs(number, 1, None, [Note(START, "WARNING", f"note {at}")])
    notes = store.watch("p", "digits").notes
    assert (len(notes), notes[0].text, notes[-1]) == (50, "note 10", Note(START, "WARNING", "note 59"))


def test_a_retry_is_found_by_the_leader(store: Store):
    store.create_watch(new_watch())
    (led,) = store.lead("w", LEASE, 1)
    assert led.retries == 0
    assert store.retry_watch("p", "digits").retries == 1
    assert store.keep_leading("w", LEASE)["p", "digits"].retries == 1


def test_a_deleted_watch_is_gone_with_its_epochs_and_its_name_is_free(store: Store):
    number = store.create_watch(new_watch()).number
    store.create_job(new_job("digits_epoch_00000001"))
    store.lead("w", LEASE, 1)
    store.report_epochs(number, 1, EpochReport(1, [epoch(1)]))
    store.delete_watch("p", "digits")
    with pytest.raises(Missing):
        store.watch("p", "digits")
    assert store.keep_leading("w", LEASE) == {}
    with pytest.raises(Missing):
        store.report_epochs(number, 1, EpochReport(1))
    assert store.job("p", "digits_epoch_00000001")
    store.create_watch(new_watch())
    assert store.epochs("p", "digits") == ([], None)


def test_what_a_leader_says_of_a_watch_that_was_deleted_is_not_of_the_next_one_of_its_name(store: Store):
    store.create_watch(new_watch())
    (first,) = store.lead("w", LEASE, 1)
    store.delete_watch("p", "digits")
    store.create_watch(new_watch())
    (second,) = store.lead("v", LEASE, 1)
    assert first.leading.generation == second.leading.generation == 1
    for say in (
        lambda: store.tell_watch("p", "digits", Yield(1), number=first.number),
        lambda: store.report_epochs(first.number, 1, EpochReport(1, [epoch(1)])),
        lambda: store.report_epoch_job(first.number, 1, 1, "j"),
    ):
        with pytest.raises(Missing):
            say()
    assert store.watch("p", "digits").leading.worker == "v"
    store.report_epochs(second.number, 1, EpochReport(1, [epoch(1)]))


def test_done_epochs_are_forgotten_with_the_jobs_of_their_time(store: Store, clock):
    number = store.create_watch(new_watch()).number
    store.lead("w", LEASE, 1)
    store.report_epochs(number, 1, EpochReport(2, [epoch(1, SET_ASIDE), epoch(2)]))
    store.report_epochs(number, 1, EpochReport(2, [epoch(1, SET_ASIDE)]))
    clock.forward(3600)
    assert store.forget(Keep(jobs=timedelta(hours=2))) == 0
    assert store.forget(Keep(jobs=timedelta(minutes=30))) == 1
    assert [one.epoch for one in store.epochs("p", "digits")[0]] == [1]
