"""The store of the jobs service with 100,000 jobs in it: creates a second, pages of lists, filters, claims.

    python tests/benchmarks/service_store.py [--jobs 100000] [--databases sqlite,postgresql]

Every figure is of calls of the store in this process, with no HTTP around them; the disk is synced at each commit.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone

from measure import ROOT, BenchmarkFailed
from report import Row, Table, Target, machine
from sqlalchemy import text

sys.path.insert(0, os.path.join(ROOT, "tests"))

from service import postgres

from batchpredict.service import filters
from batchpredict.service.store import NewJob, Store, open_store
from batchpredict.service.store.creation import Creation, create
from batchpredict.service.store.database import Database, Transaction

PROJECT = "census"
CLIENTS = 20
CREATES = 3000
CREATES_A_SECOND = 300
PAGE_SECONDS = 0.050
FILTERED_SECONDS = 0.100
ROUNDS = 100

# One in so many jobs has the state, the label, the month; the rest is what is scanned to find them.
FILTERS = {
    "state=FAILED": "1 in 100",
    "state=RUNNING": "none",
    "NOT state=SUCCEEDED": "1 in 50",
    "jobId:census_00042*": "1 in 1000",
    "jobId=census_0004242": "one",
    "jobId:nothing*": "none",
    "labels.team=team7": "1 in 10",
    "labels.rare=yes": "1 in 10,000",
    "labels.rare:*": "1 in 10,000",
    "labels.nobody=has": "none",
    "labels.team=team7 AND labels.rare=yes": "none",
    "labels.team:team7* AND state=FAILED": "1 in 100",
    "labels.rare=yes OR state=RUNNING": "1 in 10,000",
    "-labels.team:*": "none",
    'createTime>"2100-01-01T00:00:00Z"': "none",
    'createTime<"2026-01-01T01:00:00Z"': "the oldest",
    "errorMessage:Input* AND NOT labels.team=team3": "1 in 100",
    "errorMessage=nowhere": "none",
}


def measured(name: str, url: str, jobs: int) -> list[Row]:
    """The figures of one database, which is empty."""
    store = open_store(url)
    try:
        rows = [_creates(name, store, "an empty table")]
        fill(url, jobs)
        rows.append(_creates(name, store, f"{jobs:,} jobs"))
        rows += _pages(name, store, jobs)
        rows += [_filtered(name, store, text, matches) for text, matches in FILTERS.items()]
        rows += _queue(name, store)
        return rows
    finally:
        store.close()


def fill(url: str, jobs: int) -> None:
    """Put in jobs as they would be after a year: nearly all have ended."""
    start = datetime(2026, 1, 1, tzinfo=timezone.utc)
    tick = timedelta(minutes=5)
    moment = [start]
    database = Database(url, lambda: moment[0])
    for first in range(0, jobs, 100):
        moment[0] = start + tick * first
        create(database, [Creation(_job(number), None) for number in range(first, first + 100)])

    def age(transaction: Transaction) -> None:
        for statement in (
            "UPDATE jobs SET generation = 1, start_time = created, end_time = created + 60000000, "
            "changed = created + 60000000, "
            "state = CASE sequence % 100 WHEN 0 THEN 'FAILED' WHEN 1 THEN 'CANCELLED' ELSE 'SUCCEEDED' END, "
            "message = CASE sequence % 100 WHEN 0 THEN 'Input not found.' ELSE '' END",
            """UPDATE job_documents SET output = '{"predictionCount":"1000000","errorCount":"0"}'""",
        ):
            transaction.connection.execute(text(statement))

    database.write(age)
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE"))
    database.close()


def _job(number: int) -> NewJob:
    labels = {"team": f"team{number % 10}", "airflow-version": "v2-10-5"}
    if number % 10_000 == 77:
        labels["rare"] = "yes"
    document = {
        "predictionInput": {
            "dataFormat": "TEXT",
            "inputPaths": [f"gs://bucket/{PROJECT}/day-{number}/part-{part}*" for part in range(4)],
            "outputPath": f"gs://bucket/{PROJECT}/out/{number}",
            "region": "us-central1",
            "modelName": f"projects/{PROJECT}/models/census",
            "maxWorkerCount": "10",
        }
    }
    return NewJob(PROJECT, f"census_{number:07}", document, labels, "user:ann@example.org")


def _creates(name: str, store: Store, what: str) -> Row:
    """Creates of many clients at once, each waiting for its answer before the next."""
    mark = time.time_ns()

    def client(client: int) -> None:
        for number in range(CREATES // CLIENTS):
            one = _job(number)
            store.create_job(
                NewJob("load", f"j{mark}_{client}_{number}", one.document, one.labels), queue_limit=10_000
            )

    return creates_row(name, what, at_once(client))


def at_once(client: Callable[[int], None]) -> float:
    """Seconds that many clients take, each a thread with a number of its own."""
    errors: list[BaseException] = []

    def one(number: int) -> None:
        try:
            client(number)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(CLIENTS)]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - begun
    if errors:
        raise BenchmarkFailed(str(errors[0]))
    return seconds


def creates_row(name: str, what: str, seconds: float) -> Row:
    """How many creates a second many clients had."""
    rate = CREATES / seconds
    return Row(
        f"{name}: creates of {CLIENTS} clients, {what}",
        f"{rate:,.0f}/s",
        f"{CREATES_A_SECOND}/s",
        rate / CREATES_A_SECOND,
        Target(1, at_least=True),
    )


def _pages(name: str, store: Store, jobs: int) -> list[Row]:
    newest = store.jobs(PROJECT, size=1)[0][0].sequence

    def page(size: int, before: int | None) -> Callable[[], object]:
        return lambda: store.jobs(PROJECT, size=size, before=before)

    middle = newest - jobs // 2
    return [
        _timed(f"{name}: newest page of 20", page(20, None), PAGE_SECONDS),
        _timed(f"{name}: newest page of 100", page(100, None), PAGE_SECONDS),
        _timed(f"{name}: page of 100 in the middle", page(100, middle), PAGE_SECONDS),
    ]


def _filtered(name: str, store: Store, text: str, matches: str) -> Row:
    where = filters.parse(text)
    return _timed(
        f"{name}: `{text}` ({matches})", lambda: store.jobs(PROJECT, where=where, size=20), FILTERED_SECONDS
    )


def _queue(name: str, store: Store) -> list[Row]:
    def claim() -> None:
        job = store.waiting()[0]
        store.claim(job.project, job.job_id, "w", timedelta(minutes=10), 1)

    return [
        _timed(f"{name}: look at the queue and claim", claim, PAGE_SECONDS),
        _timed(f"{name}: counts by state", store.counts, FILTERED_SECONDS),
        _timed(f"{name}: renew {ROUNDS} leases", lambda: store.renew("w", timedelta(minutes=10)), FILTERED_SECONDS),
    ]


def _timed(what: str, call: Callable[[], object], bound: float) -> Row:
    """The 99th percentile of many calls, one after the other."""
    call()
    seconds = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - begun)
    seconds.sort()
    median, late = seconds[len(seconds) // 2], seconds[int(len(seconds) * 0.99)]
    return Row(
        what,
        f"p50 {median * 1000:.1f} ms, p99 {late * 1000:.1f} ms",
        f"{bound * 1000:.0f} ms",
        late / bound,
        Target(1, at_least=False),
    )


@contextlib.contextmanager
def empty(kind: str) -> Iterator[str]:
    """The URL of an empty database."""
    if kind == "sqlite":
        with tempfile.TemporaryDirectory() as folder:
            yield f"sqlite:///{folder}/jobs.db"
    elif postgres.MISSING:
        raise BenchmarkFailed(postgres.MISSING)
    else:
        with postgres.serving(durable=True) as server:
            yield server.new_database()


def table(kinds: list[str], jobs: int) -> Table:
    rows = []
    for kind in kinds:
        with empty(kind) as url:
            rows += measured(kind, url, jobs)
    return Table(f"The store answers at once with {jobs:,} jobs in it", rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--databases", default="sqlite,postgresql")
    options = parser.parse_args()
    print(f"Machine: {machine(os.cpu_count() or 1)}\n")
    for kind in options.databases.split(","):
        print(table([kind], options.jobs).markdown(), flush=True)


if __name__ == "__main__":
    main()
