"""The rendezvous of training jobs in the store: leases, numbers, bounds, and that nothing is left."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from service.store_support import LEASE, SECOND, new_job, running
from sqlalchemy import func, select

from batchpredict.service.queue.lifecycle import Cancel, Fail, LeaseLost, Lose, Stop, Succeed
from batchpredict.service.store import Keep, Missing, NotAdmitted, Placed, Put, RendezvousFull, Visitor
from batchpredict.service.store import rendezvous_rows as rows
from batchpredict.service.store.tables import rendezvous, rendezvous_documents

ME = Visitor("p", "j", "digest-1")


@pytest.fixture
def held(store):
    """A store with a job that runs, whose token was told."""
    running(store)
    store.admit("p", "j", 1, ME.digest)
    return store


def left(store) -> int:
    with store._database.engine.connect() as connection:
        return sum(
            connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in (rendezvous, rendezvous_documents)
        )


def test_nobody_is_let_in_before_a_token_was_told(store):
    running(store)
    with pytest.raises(NotAdmitted):
        store.documents(ME, "g")
    with pytest.raises(NotAdmitted):
        store.create_document(ME, "g", "x", {})
    with pytest.raises(NotAdmitted):
        store.check_visitor(ME)


def test_a_token_is_told_for_a_live_lease_alone(store, clock):
    with pytest.raises(Missing):
        store.admit("p", "j", 1, "digest")
    store.create_job(new_job("j"))
    with pytest.raises(LeaseLost):
        store.admit("p", "j", 0, "digest")
    store.claim("p", "j", "w", LEASE, 1)
    with pytest.raises(LeaseLost):
        store.admit("p", "j", 2, "digest")
    store.admit("p", "j", 1, "digest")
    assert store.documents(Visitor("p", "j", "digest"), "g") == ([], False)
    store.check_visitor(Visitor("p", "j", "digest"))


def test_numbers_rise_and_tell_what_is_new(held):
    assert held.create_document(ME, "g", "x", {"a": 1})
    assert not held.create_document(ME, "g", "x", {"a": 2})
    assert held.create_document(ME, "g", "x", {"a": 1})
    assert held.put_document(ME, "g", "y", {"b": 1}, 0) == Put(True, 2)
    assert held.create_document(ME, "other", "x", {"a": 3})
    assert held.put_document(ME, "g", "y", {"b": 2}, 2) == Put(True, 4)
    assert held.documents(ME, "g") == ([Placed("x", 1, {"a": 1}), Placed("y", 4, {"b": 2})], False)
    assert held.documents(ME, "g", since=1) == ([Placed("y", 4, {"b": 2})], False)
    assert held.documents(ME, "g", limit=1) == ([Placed("x", 1, {"a": 1})], True)
    assert held.documents(ME, "g", since=4) == ([], False)


def test_a_put_replaces_the_version_that_it_knows_and_no_other(held):
    assert held.put_document(ME, "g", "y", {"b": 1}, 0) == Put(True, 1)
    assert held.put_document(ME, "g", "y", {"b": 2}, 0) == Put(False, 1)
    assert held.put_document(ME, "g", "y", {"b": 2}, 7) == Put(False, 1)
    # The same once more, as if the answer had been lost.
    assert held.put_document(ME, "g", "y", {"b": 1}, 0) == Put(True, 1)
    assert held.put_document(ME, "g", "nosuch", {"b": 1}, 7) == Put(False, 0)


def test_a_token_ends_with_its_lease(held, clock):
    assert held.create_document(ME, "g", "x", {})
    held.tell("p", "j", Lose(1, "it died"))
    for ended in (ME, Visitor("p", "j", "digest-2")):
        with pytest.raises(NotAdmitted):
            held.documents(ended, "g")
    clock.forward(2)
    claimed = held.claim("p", "j", "v", LEASE, 1)
    assert claimed is not None
    with pytest.raises(NotAdmitted):
        held.create_document(ME, "g", "y", {})
    held.admit("p", "j", 2, "digest-2")
    for call in (
        lambda: held.create_document(ME, "g", "y", {}),
        lambda: held.put_document(ME, "g", "y", {}, 0),
        lambda: held.documents(ME, "g"),
    ):
        with pytest.raises(NotAdmitted):
            call()
    assert held.documents(Visitor("p", "j", "digest-2"), "g") == ([Placed("x", 1, {})], False)
    # Numbers go on.
    assert held.put_document(Visitor("p", "j", "digest-2"), "g", "y", {}, 0) == Put(True, 2)


def test_a_job_that_is_being_cancelled_may_still_meet(held):
    held.cancel("p", "j", Cancel("enough"))
    assert held.create_document(ME, "g", "gang.cancel", {})


@pytest.mark.parametrize("end", [Succeed(1), Fail(1, "no"), Stop(1)])
def test_with_the_job_all_of_it_ends(held, end):
    held.create_document(ME, "g", "x", {})
    if isinstance(end, Stop):
        held.cancel("p", "j", Cancel("enough"))
    assert left(held) == 2
    held.tell("p", "j", end)
    assert left(held) == 0
    with pytest.raises(NotAdmitted):
        held.create_document(ME, "g", "y", {})


def test_a_job_that_is_forgotten_leaves_nothing(held, clock):
    held.tell("p", "j", Succeed(1))
    clock.forward(10 * 86400)
    assert held.forget(Keep(jobs=timedelta(days=1))) == 1
    assert left(held) == 0


def test_a_job_has_a_bounded_number_of_documents(held, monkeypatch):
    monkeypatch.setattr(rows, "MOST_DOCUMENTS", 2)
    held.create_document(ME, "g", "x", {})
    held.put_document(ME, "g", "y", {}, 0)
    with pytest.raises(RendezvousFull, match="at most 2 documents"):
        held.create_document(ME, "g", "z", {})
    with pytest.raises(RendezvousFull):
        held.put_document(ME, "other", "y", {}, 0)
    # What is there can be replaced.
    assert held.put_document(ME, "g", "y", {"b": 1}, 2) == Put(True, 3)


def test_a_job_has_a_bounded_number_of_bytes(held, monkeypatch):
    monkeypatch.setattr(rows, "MOST_BYTES", 100)
    held.put_document(ME, "g", "y", {"b": "x" * 80}, 0)
    with pytest.raises(RendezvousFull, match="in all"):
        held.create_document(ME, "g", "z", {"b": "x" * 80})
    held.put_document(ME, "g", "y", {"b": ""}, 1)
    assert held.create_document(ME, "g", "z", {"b": "x" * 80})


def test_a_document_has_a_bounded_size(held):
    with pytest.raises(RendezvousFull, match="at most 262144 are kept"):
        held.create_document(ME, "g", "x", {"b": "x" * 2**18})
    assert held.documents(ME, "g") == ([], False)


def test_of_many_that_race_one_creates_and_all_numbers_differ(migrated, opened, held):
    stores = [opened(migrated, held._database._clock) for _ in range(4)]
    won, gate = [], threading.Barrier(4)

    def race(at: int) -> None:
        gate.wait()
        for role in range(5):
            if stores[at].create_document(ME, "g", f"role-{role}", {"host": at}):
                won.append(role)
            stores[at].put_document(ME, "g", f"host-{at}-{role}", {}, 0)

    threads = [threading.Thread(target=race, args=(at,)) for at in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won) == [0, 1, 2, 3, 4]
    found, _ = held.documents(ME, "g")
    assert [one.number for one in found] == list(range(1, 26))


def test_whoever_reads_on_misses_nothing_while_others_write(migrated, opened, held):
    writers = [opened(migrated, held._database._clock) for _ in range(3)]

    def write(at: int) -> None:
        for number in range(15):
            writers[at].create_document(ME, "g", f"x-{at}-{number}", {})

    threads = [threading.Thread(target=write, args=(at,)) for at in range(3)]
    for thread in threads:
        thread.start()
    seen: list[int] = []
    while any(thread.is_alive() for thread in threads):
        found, _ = held.documents(ME, "g", since=max(seen, default=0))
        seen += [one.number for one in found]
    found, _ = held.documents(ME, "g", since=max(seen, default=0))
    seen += [one.number for one in found]
    assert seen == list(range(1, 46))


def test_a_lease_of_a_moment_is_no_token_of_the_next(store, clock):
    """A token is told again for the same lease, and the one before is of no use."""
    running(store)
    store.admit("p", "j", 1, "first")
    store.admit("p", "j", 1, "second")
    with pytest.raises(NotAdmitted):
        store.documents(Visitor("p", "j", "first"), "g")
    clock.forward((LEASE + SECOND).total_seconds())
    # Until somebody takes it back, a lease is live.
    assert store.documents(Visitor("p", "j", "second"), "g") == ([], False)
    store.expire()
    with pytest.raises(NotAdmitted):
        store.documents(Visitor("p", "j", "second"), "g")
