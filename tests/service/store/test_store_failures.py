"""Databases that go away, wait, or do not answer: what is tried again, and what is said in the end."""

from __future__ import annotations

import shutil
import signal
import sqlite3
import threading
import time

import pytest
from service import postgres
from service.store_support import LEASE, ids, new_job, new_model, running
from sqlalchemy.exc import OperationalError

from batchpredict.service.queue import Cancel, Succeed
from batchpredict.service.store import Stale, StoreFailed
from batchpredict.service.store import database as databases


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(databases, "_PATIENCE", 0.3)


@pytest.fixture
def server():
    """A server of its own, that a test stops."""
    if postgres.MISSING:
        pytest.skip(f"no PostgreSQL: {postgres.MISSING}")
    with postgres.serving(durable=True) as running_server:
        yield running_server


@pytest.fixture
def lost_commit(monkeypatch):
    """The connection is lost after the next commit, which the database has made; others may write meanwhile."""

    def arm(store, meanwhile=lambda: None) -> None:
        honest = databases.Database._write
        calls = []

        def write(self, work, again):
            result = honest(self, work, again)
            calls.append(again)
            if len(calls) == 1:
                meanwhile()
                raise OperationalError("COMMIT", None, Exception("gone"), connection_invalidated=True)
            return result

        monkeypatch.setattr(databases.Database, "_write", write)

    return arm


def test_a_create_whose_commit_was_not_heard_of_takes_effect_once(store, lost_commit):
    lost_commit(store)
    created = store.create_job(new_job("j"))
    assert created == store.jobs("p")[0][0]
    assert [step.after.value for step in store.history("p", "j")] == ["QUEUED"]


def test_a_claim_whose_commit_was_not_heard_of_is_still_the_workers(store, lost_commit):
    store.create_job(new_job("j"))
    lost_commit(store)
    assert store.claim("p", "j", "w", LEASE, 1).standing.lease.worker == "w"
    assert store.job("p", "j").standing.generation == 1


def test_a_cancel_whose_commit_was_not_heard_of_is_acknowledged(store, lost_commit):
    store.create_job(new_job("j"))
    lost_commit(store)
    assert store.cancel("p", "j", Cancel("Ann cancelled it.")).standing.state.value == "CANCELLED"


def test_a_patch_whose_commit_was_not_heard_of_is_not_stale(store, lost_commit):
    etag = store.create_job(new_job("j")).etag
    lost_commit(store)
    patched = store.patch_job("p", "j", {"a": "b"}, etag)
    assert patched.etag == store.job("p", "j").etag
    with pytest.raises(Stale):
        store.patch_job("p", "j", {}, etag)


def test_a_policy_whose_commit_was_not_heard_of_is_not_stale(store, lost_commit):
    lost_commit(store)
    stored = store.set_policy("projects/p", {"bindings": []}, "ACAB")
    assert store.policy("projects/p") == stored


@pytest.mark.parametrize("blind", [False, True])
def test_a_patch_that_may_have_been_overtaken_is_neither_stale_nor_done_twice(store, lost_commit, blind):
    etag = store.create_job(new_job("j")).etag
    others = []

    def overtake() -> None:
        others.append(store.patch_job("p", "j", {"by": "bob"}, store.job("p", "j").etag))

    lost_commit(store, overtake)
    with pytest.raises(StoreFailed, match='not known whether the job "j" was changed'):
        store.patch_job("p", "j", {"by": "ann"}, None if blind else etag)
    found = store.job("p", "j")
    assert (found.new.labels, found.etag) == ({"by": "bob"}, others[0].etag)


@pytest.mark.parametrize("blind", [False, True])
def test_a_policy_that_may_have_been_overtaken_is_neither_stale_nor_set_twice(store, lost_commit, blind):
    def overtake() -> None:
        store.set_policy("projects/p", {"bindings": ["bob"]}, store.policy("projects/p")["etag"])

    lost_commit(store, overtake)
    with pytest.raises(StoreFailed, match="not known whether the policy of projects/p was changed"):
        store.set_policy("projects/p", {"bindings": ["ann"]}, None if blind else "ACAB")
    assert store.policy("projects/p")["bindings"] == ["bob"]


@pytest.mark.parametrize("blind", [False, True])
def test_a_model_that_may_have_been_overtaken_is_neither_stale_nor_changed_twice(store, lost_commit, blind):
    etag = store.create_model(new_model("m")).etag

    def overtake() -> None:
        store.patch_model("p", "m", {"labels": {"by": "bob"}}, store.model("p", "m").etag)

    lost_commit(store, overtake)
    with pytest.raises(StoreFailed, match='not known whether the model "m" was changed'):
        store.patch_model("p", "m", {"labels": {"by": "ann"}}, None if blind else etag)
    assert store.model("p", "m").labels == {"by": "bob"}


def test_a_patch_that_was_lost_before_its_commit_is_done_once_or_stale(store, monkeypatch):
    etag = store.create_job(new_job("j")).etag
    honest, calls = databases.Database._write, []

    def write(self, work, again):
        calls.append(again)
        if len(calls) == 1:
            # The connection was gone before the transaction began.
            raise OperationalError("BEGIN", None, Exception("gone"), connection_invalidated=True)
        return honest(self, work, again)

    monkeypatch.setattr(databases.Database, "_write", write)
    patched = store.patch_job("p", "j", {"by": "ann"}, etag)
    calls.clear()
    with pytest.raises(Stale):
        store.patch_job("p", "j", {"by": "bob"}, etag)
    assert store.job("p", "j").etag == patched.etag


def test_a_writer_waits_for_another_process_that_writes(tmp_path, opened):
    store = opened(f"{tmp_path}/jobs.db")
    other = sqlite3.connect(f"{tmp_path}/jobs.db", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    # Readers do not wait.
    assert store.jobs("p") == ([], None)
    release = threading.Timer(0.3, lambda: other.execute("COMMIT"))
    release.start()
    store.create_job(new_job("j"))
    release.join()
    other.close()
    assert ids(store.jobs("p")[0]) == ["j"]


def test_a_file_that_stays_locked_is_said_to_be(tmp_path, opened, impatient, monkeypatch):
    store = opened(f"{tmp_path}/jobs.db")
    with store._database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA busy_timeout = 50")
    other = sqlite3.connect(f"{tmp_path}/jobs.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreFailed, match=r"jobs\.db: database is locked\.$"):
        store.create_job(new_job("j"))
    other.execute("ROLLBACK")
    other.close()
    store.create_job(new_job("j"))


def test_every_commit_of_sqlite_is_synced_to_a_log(tmp_path, opened):
    store = opened(f"{tmp_path}/jobs.db")
    with store._database.engine.connect() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "busy_timeout")
        }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "busy_timeout": 15000}


@pytest.mark.postgres
def test_a_server_that_nobody_reaches_is_named_without_a_password(opened, impatient, tmp_path):
    with pytest.raises(StoreFailed) as caught:
        opened(f"postgresql://ann:secret@/x?host={tmp_path}")
    assert "ann:***@/x" in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.postgres
def test_commits_wait_for_the_disk_also_where_the_cluster_does_not(server, opened):
    import psycopg

    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET synchronous_commit = off")
        connection.execute("SELECT pg_reload_conf()")
    url = server.new_database()
    store = opened(url)
    with store._database.engine.connect() as connection:
        assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == "on"
        assert connection.exec_driver_sql("SHOW idle_in_transaction_session_timeout").scalar() == "1min"


@pytest.mark.postgres
def test_a_server_that_is_restarted_is_waited_for(server, opened):
    store = opened(server.new_database())
    running(store, "j")
    server.stop()
    restart = threading.Timer(0.5, server.start)
    restart.start()
    assert store.tell("p", "j", Succeed(1)).standing.state.value == "SUCCEEDED"
    restart.join()
    store.create_job(new_job("k"))


@pytest.mark.postgres
def test_what_was_acknowledged_is_there_after_the_server_was_killed(server, opened):
    store = opened(server.new_database())
    acknowledged = []
    killed = threading.Event()

    def create(name: str) -> None:
        number = 0
        while not killed.is_set():
            acknowledged.append(store.create_job(new_job(f"{name}{number}")).job_id)
            number += 1

    threads = [threading.Thread(target=create, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    while len(acknowledged) < 50:
        time.sleep(0.01)
    server.stop(signal.SIGQUIT)
    server.start()
    more = len(acknowledged) + 20
    while len(acknowledged) < more:
        time.sleep(0.01)
    killed.set()
    for thread in threads:
        thread.join()
    page, _ = store.jobs("p", size=100_000)
    assert sorted(ids(page)) == sorted(acknowledged)


@pytest.mark.parametrize("replaced", [False, True], ids=["deleted", "replaced"])
def test_nothing_is_acknowledged_that_a_file_which_is_gone_takes_along(tmp_path, sqlite_template, opened, replaced):
    path, away = tmp_path / "jobs.db", tmp_path / "away.db"
    shutil.copy(sqlite_template, path)
    store = opened(str(path))
    store.create_job(new_job("before"))
    path.rename(away)
    if replaced:
        shutil.copy(sqlite_template, path)
    for attempt in (lambda: store.create_job(new_job("lost")), lambda: store.job("p", "before"), store.ready):
        with pytest.raises(StoreFailed, match=r"jobs\.db is"):
            attempt()
    assert path.exists() is replaced
    away.rename(path)
    assert store.create_job(new_job("after")).job_id == "after"
    assert store.job("p", "before").job_id == "before"
