"""Many threads and many processes at one database: what each of them is told fits what the others are told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pytest
import support
from service.store_support import LEASE, ids, new_job, new_model, new_version

from batchpredict.service.queue import Begin, Cancel, Finished, LeaseLost, Succeed
from batchpredict.service.queue.fairness import Limits
from batchpredict.service.store import Exists, InUse, Missing, QueueFull, Stale, Store

THREADS = 8
PROCESSES = 3

PROGRAM = """
import json, sys
sys.path.insert(0, sys.argv[1])
from service.store import racing
print(json.dumps(racing.WORK[sys.argv[2]](sys.argv[3], sys.argv[4])))
"""


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """What each call gives or raises, all of them in threads that begin together."""
    gate = threading.Barrier(len(calls))
    outcomes: list[Any] = [None] * len(calls)

    def run(place: int) -> None:
        gate.wait()
        try:
            outcomes[place] = calls[place]()
        except Exception as error:
            outcomes[place] = error

    threads = [threading.Thread(target=run, args=(place,)) for place in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def processes(work: str, database: str, names: Sequence[str]) -> list[Any]:
    """What each process of `racing.WORK` says."""
    running = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, os.path.join(support.ROOT, "tests"), work, database, name],
            env={**os.environ, "PYTHONPATH": support.ROOT},
            stdout=subprocess.PIPE,
        )
        for name in names
    ]
    said = [process.communicate()[0] for process in running]
    assert [process.returncode for process in running] == [0] * len(running)
    return [json.loads(text) for text in said]


@pytest.fixture
def stores(migrated, opened) -> list[Store]:
    """Two stores on one database, as two servers have them."""
    return [opened(migrated), opened(migrated)]


def test_of_many_creates_of_one_id_exactly_one_is_acknowledged(stores):
    for number in range(10):
        outcomes = at_once(
            *(
                partial(stores[place % 2].create_job, new_job(f"j{number}", creator=f"user:{place}"))
                for place in range(THREADS)
            )
        )
        won = [one for one in outcomes if not isinstance(one, Exists)]
        assert len(won) == 1
        assert stores[0].job("p", f"j{number}").new == won[0].new


def test_creates_of_several_processes_are_each_acknowledged_once(migrated, opened):
    names = [f"c{number}" for number in range(PROCESSES)]
    created = processes("create", migrated, names)
    store = opened(migrated)
    page = store.jobs("p", size=1000)[0]
    assert {job.job_id: job.new.creator for job in page} == {
        job_id: f"user:{name}" for name, mine in zip(names, created, strict=True) for job_id in mine
    }
    assert sum(map(len, created)) == len(page) == 60


def test_a_full_queue_is_never_overfilled(stores):
    outcomes = at_once(
        *(
            partial(stores[place % 2].create_job, new_job(f"j{place}"), queue_limit=5)
            for place in range(2 * THREADS)
        )
    )
    assert Counter(type(one).__name__ for one in outcomes) == {"StoredJob": 5, "QueueFull": 2 * THREADS - 5}
    assert all(isinstance(one, QueueFull) for one in outcomes if isinstance(one, Exception))


def test_a_reader_of_pages_sees_every_job_that_was_there_and_none_twice(stores):
    for number in range(40):
        stores[0].create_job(new_job(f"old{number}"))
    stop = threading.Event()

    def write(name: str, store: Store) -> None:
        number = 0
        while not stop.is_set():
            store.create_job(new_job(f"{name}{number}"))
            number += 1

    writers = [threading.Thread(target=write, args=(f"w{place}_", stores[place % 2])) for place in range(4)]
    for writer in writers:
        writer.start()
    try:
        for _ in range(5):
            seen, before = [], None
            first = stores[1].jobs("p", size=1)[0][0].sequence
            while True:
                page, before = stores[1].jobs("p", size=7, before=before)
                seen += page
                if before is None:
                    break
            numbers = [job.sequence for job in seen]
            assert numbers == sorted(set(numbers), reverse=True)
            assert set(range(1, first + 1)) - set(numbers) <= gaps(stores[0], first)
    finally:
        stop.set()
        for writer in writers:
            writer.join()


def gaps(store: Store, below: int) -> set[int]:
    """Numbers that no job has, after the fact: of transactions that were rolled back."""
    page, _ = store.jobs("p", size=100_000)
    return set(range(1, below + 1)) - {job.sequence for job in page}


def test_a_job_is_claimed_by_one_of_many_workers(stores):
    for number in range(10):
        stores[0].create_job(new_job(f"j{number}"))
        outcomes = at_once(
            *(
                partial(stores[place % 2].claim, "p", f"j{number}", f"w{place}", LEASE, 1)
                for place in range(THREADS)
            )
        )
        won = [one for one in outcomes if one is not None]
        assert len(won) == 1
        assert stores[0].job("p", f"j{number}").standing == won[0].standing


def test_workers_in_several_processes_run_each_job_once(migrated, opened):
    store = opened(migrated)
    for number in range(40):
        store.create_job(new_job(f"j{number}", project=f"p{number % 3}"))
    said = processes("work", migrated, [f"w{number}" for number in range(PROCESSES)])
    ran = [tuple(job) for one in said for job in one]
    assert sorted(ran) == sorted({(f"p{number % 3}", f"j{number}") for number in range(40)})
    for project, job_id in ran:
        states = [step.after.value for step in store.history(project, job_id)]
        assert states == ["QUEUED", "PREPARING", "RUNNING", "SUCCEEDED"]


def test_a_cancel_and_a_success_at_once_leave_a_path_of_states(stores):
    for number in range(15):
        job_id = f"j{number}"
        stores[0].create_job(new_job(job_id))
        stores[0].claim("p", job_id, "w", LEASE, 1)
        stores[0].tell("p", job_id, Begin(1))
        cancelled, succeeded = at_once(
            partial(stores[0].cancel, "p", job_id, Cancel("Ann cancelled it.")),
            partial(stores[1].tell, "p", job_id, Succeed(1)),
        )
        assert not isinstance(succeeded, Exception)
        states = [step.after.value for step in stores[0].history("p", job_id)]
        if isinstance(cancelled, Finished):
            assert states == ["QUEUED", "PREPARING", "RUNNING", "SUCCEEDED"]
        else:
            assert states == ["QUEUED", "PREPARING", "RUNNING", "CANCELLING", "SUCCEEDED"]


def test_a_cancel_and_a_claim_at_once_never_both_forget_the_other(stores):
    for number in range(15):
        job_id = f"j{number}"
        stores[0].create_job(new_job(job_id))
        cancelled, claimed = at_once(
            partial(stores[0].cancel, "p", job_id, Cancel("Ann cancelled it.")),
            partial(stores[1].claim, "p", job_id, "w", LEASE, 1),
        )
        state = stores[0].job("p", job_id).standing.state.value
        assert state == ("CANCELLED" if claimed is None else "CANCELLING")
        assert not isinstance(cancelled, Exception)


def test_a_project_never_has_more_than_it_may_have_whoever_claims_at_once(stores):
    for number in range(12):
        stores[0].create_job(new_job(f"j{number}"))
    for limits, most in ((Limits(jobs=2), 2), (Limits(jobs=5, workers=7), 3)):
        claimed = at_once(
            *(
                partial(stores[number % 2].claim, "p", f"j{number}", f"w{number}", LEASE, 2, limits)
                for number in range(12)
            )
        )
        assert not [one for one in claimed if isinstance(one, Exception)]
        assert stores[0].usage()["p"].jobs == most
    # Who claims under no limit, or in another project, is not bound by it.
    stores[0].create_job(new_job("other", "q"))
    assert stores[0].claim("q", "other", "w", LEASE, 2, Limits(jobs=1)) is not None
    assert stores[0].claim("q", "other", "w", LEASE, 2, Limits(jobs=1)) is None


def test_nothing_is_written_by_a_worker_while_its_lease_is_taken_back(migrated, opened, clock):
    stores = [opened(migrated, clock), opened(migrated, clock)]
    for number in range(10):
        job_id = f"j{number}"
        stores[0].create_job(new_job(job_id))
        stores[0].claim("p", job_id, "w", LEASE, 1)
        stores[0].tell("p", job_id, Begin(1))
        clock.forward(15)
        taken, logged, told = at_once(
            stores[0].expire,
            partial(stores[1].append_log, "p", job_id, 1, [(clock(), "INFO", "service", "late")]),
            partial(stores[1].tell, "p", job_id, Succeed(1)),
        )
        # Of the three one was first; whoever came after the end of the lease was told so.
        ended = stores[0].job("p", job_id).standing.state.value
        assert (ended == "QUEUED") == isinstance(told, LeaseLost) == (ids(taken) == [job_id])
        assert isinstance(logged, LeaseLost) == (stores[0].log("p", job_id) == [])
        if ended == "QUEUED":
            stores[0].cancel("p", job_id, Cancel(""))


@pytest.mark.parametrize("what", ["labels", "policy", "model"])
def test_writes_with_an_etag_are_in_an_order_in_which_none_is_lost(stores, what):
    stores[0].create_job(new_job("j", labels={"n": "0"}))
    stores[0].create_model(new_model("m", labels={"n": "0"}))
    stores[0].set_policy("projects/p", {"n": "0"}, None)

    def value(store: Store) -> tuple[int, str]:
        if what == "labels":
            job = store.job("p", "j")
            return int(job.new.labels["n"]), job.etag
        if what == "policy":
            policy = store.policy("projects/p")
            return int(policy["n"]), policy["etag"]
        model = store.model("p", "m")
        return int(model.labels["n"]), model.etag

    def write(store: Store, number: int, etag: str) -> None:
        if what == "labels":
            store.patch_job("p", "j", {"n": str(number)}, etag)
        elif what == "policy":
            store.set_policy("projects/p", {"n": str(number)}, etag)
        else:
            store.patch_model("p", "m", {"labels": {"n": str(number)}}, etag)

    def add(store: Store) -> int:
        done = 0
        while done < 5:
            number, etag = value(store)
            try:
                write(store, number + 1, etag)
            except Stale:
                continue
            done += 1
        return done

    outcomes = at_once(*(partial(add, stores[place % 2]) for place in range(4)))
    assert outcomes == [5] * 4
    assert value(stores[0])[0] == 20


def test_a_delivery_is_taken_by_one(stores):
    for number in range(10):
        stores[0].create_job(new_job(f"j{number}", webhook="https://x.org/hook"))
        stores[0].cancel("p", f"j{number}", Cancel(""))
    outcomes = at_once(*(partial(stores[place % 2].due, 3, LEASE) for place in range(6)))
    taken = [delivery.number for one in outcomes for delivery in one]
    assert len(taken) == len(set(taken))
    assert len(taken) + len(stores[0].due(10, LEASE)) == 10


def test_a_model_is_not_deleted_under_a_version_that_is_created(stores):
    for number in range(10):
        stores[0].create_model(new_model(f"m{number}"))
        created, deleted = at_once(
            partial(stores[0].create_version, new_version(f"m{number}", "v")),
            partial(stores[1].delete_model, "p", f"m{number}"),
        )
        assert isinstance(created, Missing) != isinstance(deleted, InUse)
