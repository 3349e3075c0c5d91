"""Rounds of kill -9 at random moments, with jobs under way and clients at work; then the history is checked.

Each promise of DESIGN §8, and what checks it:

    no acknowledged create is lost, none takes effect twice         promises.check_calls
    states are a path through the table, times never run backwards  promises.check_path
    at most one lease of a job is live                              promises.check_runs (processes),
                                                                    promises.check_path (generations)
    nothing written under an older generation is seen               promises.check_path, promises.check_leases;
                                                                    _check_output: results are the undisturbed job's
    an acknowledged cancel holds                                    promises.check_cancels
    writes with an etag are linearizable, for each job and policy   registers.check_register, by Writers.check
    counts are the sum of the manifests, also after three workers   promises.check_counts, for every job that has
                                                                    succeeded and for that of _pass_on
    no process, socket or temporary folder is left                  promises.check_left

From a shell: `PYTHONPATH=$PWD:$PWD/tests python tests/service/kills/rounds.py --rounds 50 --seed 1`.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

import support
from service.kills import promises
from service.kills.writers import IamPolicy, JobLabels, Register, Writers
from service.kills_support import PROJECT, TARGETS, Client, History, Service, Watcher

from batchpredict.job import TERMINAL, State
from batchpredict.service.store import Store, StoredJob

# Jobs that are there at a time, waiting or running.
_IN_FLIGHT = 4
# One in so many jobs is cancelled.
_CANCELS = 5
# Records of the input, which is one file of the digits so many times.
_COPIES, _RECORDS = 4, 599
_REFERENCE = "undisturbed"
# The job that is taken from two workers, and has so many times the input: each has to do a part of it.
_PASSED_ON, _LONGER = "passed_on", 4
_HANDS = 3


def play(folder: str, rounds: int, seed: int, *, targets: tuple[str, ...] = TARGETS) -> dict[str, Any]:
    """Kill so many times, let every job end, and check the history of it all; gives figures."""
    chance = random.Random(seed)
    history = History()
    service = Service(folder)
    source, longer = _inputs(folder)
    began = time.monotonic()
    try:
        _start(service)
        watcher, client = Watcher(service, history), Client(service, history, source)
        client.create(_REFERENCE)
        _await_ends(service, 180)
        registers: list[Register] = [
            JobLabels(_REFERENCE),
            IamPolicy(f"projects/{PROJECT}"),
            IamPolicy(f"projects/{PROJECT}/jobs/{_REFERENCE}"),
        ]
        writers = Writers(service, service.named("api"), registers, seed)
        _pass_on(service, client, history, longer, chance)
        made: list[str] = []
        for number in range(rounds):
            while len(_open_jobs(service)) < _IN_FLIGHT:
                made.append(f"job_{len(made)}")
                client.create(made[-1])
                writers.add(JobLabels(made[-1]))
                if chance.randrange(_CANCELS) == 0:
                    client.cancel(chance.choice(made[-_IN_FLIGHT:]))
            time.sleep(chance.uniform(0.5, 9.0))
            target = targets[number % len(targets)] if number < len(targets) else chance.choice(targets)
            _kill(service, history, target, chance)
        _await_ends(service, 600)
        writers.close()
        watcher.close()
        client.close()
        service.stop()
        figures = check(history, service, writers)
    finally:
        service.end()
    return {**figures, "seconds": round(time.monotonic() - began)}


def _inputs(folder: str) -> tuple[str, str]:
    with open(support.digits("text", "part-0.json"), "rb") as file:
        records = file.read() * _COPIES
    write = support.write
    return write(f"{folder}/input.json", records), write(f"{folder}/longer.json", records * _LONGER)


def _start(service: Service) -> None:
    # The first of them makes the database.
    for name in ("api", "api-2"):
        service.start(name)
        _await_answers(service, name)
    service.start("worker")


def _kill(service: Service, history: History, target: str, chance: random.Random) -> None:
    """Kill, and after a while start again what does not run any more."""
    history.kills.append((time.time(), target))
    service.kill(target, chance)
    time.sleep(chance.uniform(0.0, 1.0))
    service.restart_dead()
    for name in service.named("api"):
        _await_answers(service, name)


def _pass_on(service: Service, client: Client, history: History, source: str, chance: random.Random) -> None:
    """Create a job whose workers are killed with all else, twice, each after it has done a part."""
    client.create(_PASSED_ON, source)
    hands: set[str] = set()
    while len(hands) < _HANDS - 1:
        before = len(hands)
        support.wait_until(lambda: len(_hands(service)) > before, 120, "a part of a worker")  # noqa: B023
        _kill(service, history, "all", chance)
        hands = _hands(service)
    _await_ends(service, 180)


def _hands(service: Service) -> set[str]:
    """The processes that have committed a split of the job that is passed on."""
    return {manifest.worker for manifest in promises.manifests_in(service.output(_PASSED_ON))}


def _await_answers(service: Service, name: str) -> None:
    support.wait_until(lambda: service.answers(name), 60, f"the API {name}")


def _open_jobs(service: Service) -> list[str]:
    store = service.store()
    try:
        page, _ = store.jobs(PROJECT, size=100)
        return [job.job_id for job in page if job.standing.state not in TERMINAL]
    finally:
        store.close()


def _await_ends(service: Service, seconds: float) -> None:
    support.wait_until(lambda: not _open_jobs(service), seconds, "the end of all jobs")


# The checks ---------------------------------------------------------------------------------------------------


def check(history: History, service: Service, writers: Writers) -> dict[str, Any]:
    """Raises AssertionError for the first promise that is not kept; else figures of the run."""
    with open(os.path.join(service.state, "history.jsonl")) as file:
        runs = promises.check_runs(map(json.loads, file), history.alive)
    store = service.store()
    try:
        jobs = all_jobs(store)
        promises.check_calls(history.calls, [job.job_id for job in jobs])
        hands = 0
        for job in jobs:
            hands = max(hands, _check_job(history, service, store, job, runs))
        etags = writers.check(store, history.seen)
    finally:
        store.close()
    promises.check_left(service)
    return {
        "jobs": len(jobs),
        "kills": len(history.kills),
        "ends": Counter(str(job.standing.state) for job in jobs),
        "most leases of a job": max(job.standing.generation for job in jobs),
        "most processes that had a hand in a job": hands,
        "runs": sum(map(len, runs.values())),
        "writes with etags": etags,
    }


def _check_job(
    history: History, service: Service, store: Store, job: StoredJob, runs: Mapping[str, Mapping[int, float]]
) -> int:
    job_id, state = job.job_id, job.standing.state
    changes, looks = store.history(PROJECT, job_id), history.seen[job_id]
    calls = [call for call in history.calls if call.job == job_id]
    cancelled = any(call.what == "cancel" for call in calls)
    possible = {State.SUCCEEDED, State.CANCELLED} if cancelled else {State.SUCCEEDED}
    assert state in possible, f"{job_id} is {state}: {job.standing.message}"
    promises.check_path(changes, looks, job)
    promises.check_cancels(calls, changes, looks)
    promises.check_leases(changes, runs.get(promises.run_of(job_id), {}))
    return _check_output(service, job) if state is State.SUCCEEDED else 0


def _check_output(service: Service, job: StoredJob) -> int:
    """The results are those of the undisturbed job; gives how many processes had a hand in them."""
    assert job.output is not None
    job_id, output = job.job_id, service.output(job.job_id)
    times = _LONGER if job_id == _PASSED_ON else 1
    assert support.counts(dict(job.output)) == (_COPIES * _RECORDS * times, 0), job_id
    assert dict(job.output) == support.outcome(output).to_wire(), job_id
    hands = promises.check_counts(job_id, job.output, promises.manifests_in(output))
    expected, files = _visible(service.output(_REFERENCE)), _visible(output)
    if job_id == _PASSED_ON:
        assert support.lines(output) == support.lines(service.output(_REFERENCE)) * times, job_id
        assert hands >= _HANDS, f"only {hands} processes had a hand in {job_id}"
    else:
        assert files == expected, f"{job_id} has another output than the undisturbed run"
    return hands


def _visible(output: str) -> dict[str, bytes]:
    """What is published. A file whose writer was killed has a hidden name: no reader takes it for a result."""
    return {name: data for name, data in support.published(output).items() if not name.startswith(".")}


def all_jobs(store: Store) -> list[StoredJob]:
    """Every job of the project."""
    found: list[StoredJob] = []
    before = None
    while True:
        page, before = store.jobs(PROJECT, size=100, before=before)
        found += page
        if before is None:
            return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", default=None)
    options = parser.parse_args()
    place = options.folder or tempfile.mkdtemp(prefix="kills-")
    print(json.dumps(play(place, options.rounds, options.seed), indent=1))
