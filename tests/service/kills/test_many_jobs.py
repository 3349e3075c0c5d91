"""Two workers and two APIs on one database, many small jobs from many clients: each runs once."""

from __future__ import annotations

import functools
import json
import threading
from collections import Counter

import httpx
import pytest
import support
from service import postgres
from service.kills import promises
from service.kills.rounds import all_jobs
from service.kills_support import PROJECT, History, Service, Watcher

from batchpredict.job import TERMINAL, State


def play(folder: str, database: str, jobs: int, clients: int, seconds: float) -> Counter[str]:
    """Have so many jobs created by so many clients at once, and check each; gives how they ended."""
    history = History()
    service = Service(folder, database)
    source = support.write(f"{folder}/input.json", _first_lines(100))
    names = ["api", "worker", "api-2", "worker-2"]

    def create(number: int) -> None:
        # Jobs of one client say the same, so but for its first ones there is nothing left to score.
        port = service.port_of(["api", "api-2"][number % 2])
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            for job in range(number, jobs, clients):
                document = support.job(support.DIGITS_MODEL, source, f"{folder}/out/{number}", maxWorkerCount="1")
                body = {**document, "jobId": f"job_{job}"}
                assert client.post(f"/v1/projects/{PROJECT}/jobs", json=body).status_code == 200

    try:
        for name in names:
            service.start(name)
            if name.startswith("api"):
                support.wait_until(functools.partial(service.answers, name), 60, name)
        watcher = Watcher(service, history)
        threads = [threading.Thread(target=create, args=(number,)) for number in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        store = service.store()
        support.wait_until(lambda: _ended(store.counts()) == jobs, seconds, "the end of all jobs")
        watcher.close()
        service.stop()
        with open(f"{service.state}/history.jsonl") as file:
            runs = promises.check_runs(map(json.loads, file), history.alive)
        found = all_jobs(store)
        assert len(found) == jobs
        for job in found:
            changes = store.history(PROJECT, job.job_id)
            promises.check_path(changes, history.seen[job.job_id], job)
            promises.check_leases(changes, runs[promises.run_of(job.job_id)])
            assert job.standing.generation == 1, f"{job.job_id} was run {job.standing.generation} times"
            assert job.standing.state == State.SUCCEEDED, job.standing.message
            assert job.output is not None
            assert support.counts(dict(job.output)) == (100, 0)
        assert sum(map(len, runs.values())) == jobs
        promises.check_left(service)
        store.close()
    finally:
        service.end()
    return Counter(str(job.standing.state) for job in found)


def _ended(counts) -> int:
    return sum(number for state, number in counts.items() if state in TERMINAL)


def _first_lines(count: int) -> bytes:
    with open(support.digits("text", "part-0.json"), "rb") as file:
        return b"".join(file.readlines()[:count])


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_few_jobs_on_one_file(tmp_path):
    assert play(str(tmp_path), "", jobs=12, clients=3, seconds=600) == {"SUCCEEDED": 12}


@pytest.mark.kills
@pytest.mark.postgres
@pytest.mark.timeout(3600)
def test_five_hundred_jobs_on_postgresql(tmp_path):
    if postgres.MISSING:
        pytest.skip(f"no PostgreSQL: {postgres.MISSING}")
    with postgres.serving() as server:
        assert play(str(tmp_path), server.new_database(), jobs=500, clients=20, seconds=3000) == {"SUCCEEDED": 500}
