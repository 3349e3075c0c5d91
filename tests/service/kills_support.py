"""A service whose processes are killed, a history of all that was seen, and what must hold of it (DESIGN §8)."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import httpx
import psutil
import support

from batchpredict.job import TERMINAL, TRANSITIONS, State
from batchpredict.service.store import Store, open_store
from batchpredict.service.worker.clock import clock
from batchpredict.service.worker.isolation import MARK

PROJECT = "kills"
TARGETS = ("api", "worker", "job", "guard", "all")
LEASE = 6.0


@dataclass(frozen=True)
class Call:
    """A call and its answer; status 0 where none came, so that it may have taken effect or not."""

    what: str
    job: str
    began: float
    ended: float
    status: int


@dataclass
class History:
    """Everything that was seen, in the order in which it was.

    Attributes:
      calls: that changed something.
      seen: (time, state) of each job by every look at it.
      alive: for each mark of a run the last time that a process of it was seen alive.
      kills: what was killed, and when.
    """

    calls: list[Call] = field(default_factory=list)
    seen: dict[str, list[tuple[float, dict[str, Any]]]] = field(default_factory=lambda: defaultdict(list))
    alive: dict[str, float] = field(default_factory=dict)
    kills: list[tuple[float, str]] = field(default_factory=list)


class Service:
    """`batchpredict serve` as APIs and workers, each a process that may be killed and started again.

    Args:
      folder: of everything.
      database: its URL; "" for SQLite in the data folder.
    """

    def __init__(self, folder: str, database: str = "") -> None:
        self.folder = folder
        self._database = database
        self.data = os.path.join(folder, "data")
        self.temporary = os.path.join(folder, "tmp")
        os.makedirs(self.temporary)
        self._ports: dict[str, int] = {}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._log = open(os.path.join(folder, "log"), "ab")  # noqa: SIM115 - closed at the end

    @property
    def state(self) -> str:
        return os.path.join(self.data, "worker")

    @property
    def port(self) -> int:
        """Of the first API."""
        return self.port_of("api")

    def port_of(self, name: str) -> int:
        """Of an API, the same each time that it is started."""
        if name not in self._ports:
            with socket.create_server(("127.0.0.1", 0)) as free:
                self._ports[name] = free.getsockname()[1]
        return self._ports[name]

    def start(self, name: str) -> None:
        """Start an API or a worker: "api", "worker", and more of them as "api-2" and so on."""
        role = name.partition("-")[0]
        flags = ["--role", role, "--data", self.data, "--root", self.folder, "--root", support.ROOT]
        flags += ["--lease", str(LEASE), "--workers", "2", "--jobs", "2"]
        flags += ["--port", str(self.port_of(name))] if role == "api" else []
        flags += ["--database", self._database] if self._database else []
        self.processes[name] = subprocess.Popen(
            [sys.executable, "-m", "batchpredict", "serve", *flags],
            env={**os.environ, "PYTHONPATH": support.ROOT, "TMPDIR": self.temporary},
            stdout=self._log,
            stderr=self._log,
        )

    def restart_dead(self) -> None:
        for name, process in list(self.processes.items()):
            if process.poll() is not None:
                self.start(name)

    def kill(self, target: str, chance: random.Random) -> None:
        """SIGKILL to one role, to a process of one job, or to everything at once."""
        marked = self.marked()
        guards = [one for one in marked if _runs(one, "worker.guard")]
        jobs = [one for one in marked if one not in guards]
        victims: list[psutil.Process | subprocess.Popen[bytes]]
        if target in ("api", "worker"):
            victims = [self.processes[target]]
        elif target == "job":
            victims = [chance.choice(jobs)] if jobs else []
        elif target == "guard":
            victims = [chance.choice(guards)] if guards else []
        else:
            victims = [*self.processes.values(), *guards, *jobs]
        for victim in victims:
            with contextlib.suppress(psutil.NoSuchProcess):
                victim.kill()
        for process in self.processes.values():
            if process in victims:
                process.wait()

    def marked(self) -> list[psutil.Process]:
        """Every process of every run of this service."""
        return [process for process, _ in self.marks()]

    def marks(self) -> list[tuple[psutil.Process, str]]:
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                environ = process.environ()
                mark = environ.get(MARK)
                ours = environ.get("TMPDIR", "").startswith(self.state)
                if mark and ours and process.status() != psutil.STATUS_ZOMBIE:
                    found.append((process, mark))
        return found

    def stop(self) -> None:
        for process in self.processes.values():
            process.send_signal(signal.SIGTERM)
        for process in self.processes.values():
            assert process.wait(60) == 0
        self._log.close()

    def end(self) -> None:
        """Whatever happened, nothing of it is left for other tests."""
        for process in self.processes.values():
            process.kill()
            process.wait()
        for process in self.marked():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self._log.close()

    def store(self) -> Store:
        return open_store(self._database or os.path.join(self.data, "batchpredict.db"))


def _runs(process: psutil.Process, module: str) -> bool:
    with contextlib.suppress(psutil.Error):
        return any(module in part for part in process.cmdline())
    return False


class Watcher:
    """Looks at jobs and processes all the time, in two threads."""

    def __init__(self, service: Service, history: History) -> None:
        self._service, self._history = service, history
        self._over = threading.Event()
        self._threads = [threading.Thread(target=one, daemon=True) for one in (self._jobs, self._processes)]
        for thread in self._threads:
            thread.start()

    def _jobs(self) -> None:
        with httpx.Client(base_url=f"http://127.0.0.1:{self._service.port}", timeout=5) as client:
            while not self._over.wait(0.3):
                with contextlib.suppress(httpx.HTTPError):
                    answer = client.get(f"/v1/projects/{PROJECT}/jobs?pageSize=100")
                    if answer.status_code == 200:
                        for job in answer.json().get("jobs", []):
                            self._history.seen[job["jobId"]].append((time.time(), job))

    def _processes(self) -> None:
        while not self._over.wait(0.1):
            # The time before the look: then they were alive for certain.
            now = clock()
            for _, mark in self._service.marks():
                self._history.alive[mark] = now

    def close(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()


class Client:
    """Creates and cancels jobs, and asks again where no answer came, as clients do."""

    def __init__(self, service: Service, history: History, source: str) -> None:
        self._client = httpx.Client(base_url=f"http://127.0.0.1:{service.port}", timeout=10)
        self._history, self._service, self._source = history, service, source

    def create(self, job_id: str) -> None:
        fields = {"batchSize": "1", "splitBytes": "40000", "maxWorkerCount": "1"}
        output = os.path.join(self._service.folder, "out", job_id)
        document = support.job(support.DIGITS_MODEL, self._source, output, **fields)
        self._insist("create", job_id, "", {**document, "jobId": job_id})

    def cancel(self, job_id: str) -> None:
        self._insist("cancel", job_id, f"/{job_id}:cancel", {})

    def _insist(self, what: str, job_id: str, path: str, body: dict[str, Any]) -> None:
        while True:
            began, status = time.time(), 0
            with contextlib.suppress(httpx.HTTPError):
                status = self._client.post(f"/v1/projects/{PROJECT}/jobs{path}", json=body).status_code
            self._history.calls.append(Call(what, job_id, began, time.time(), status))
            if status and status < 500:
                return
            time.sleep(0.2)

    def close(self) -> None:
        self._client.close()


# What must hold -----------------------------------------------------------------------------------------------


def check(
    history: History, service: Service, expected: dict[str, bytes], counts: tuple[int, int]
) -> dict[str, Any]:
    """Raises AssertionError for the first promise that is not kept; else figures of the run."""
    store = service.store()
    try:
        figures = _check_jobs(history, service, store, expected, counts)
    finally:
        store.close()
    figures["runs"] = check_runs(history, service)
    check_left(service)
    return figures


def _check_jobs(
    history: History, service: Service, store: Store, expected: dict[str, bytes], counts: tuple[int, int]
) -> dict[str, Any]:
    created = {call.job for call in history.calls if call.what == "create" and call.status in (200, 409)}
    cancelled = {call.job for call in history.calls if call.what == "cancel" and call.status == 200}
    for call in history.calls:
        assert call.status in (0, 200, 400, 409, 503), call
    for job_id in created:
        answers = [call.status for call in history.calls if call.what == "create" and call.job == job_id]
        assert answers.count(200) <= 1, f"{job_id} was created twice: {answers}"
        assert 409 not in answers or 0 in answers, f"{job_id} was there before it was created: {answers}"
    there = {job.job_id for job in all_jobs(store)}
    assert created == there, f"lost or out of nothing: {created ^ there}"
    figures: dict[str, Any] = {"jobs": len(created), "cancelled": len(cancelled), "kills": len(history.kills)}
    ends: dict[str, int] = defaultdict(int)
    generations = 0
    hidden: list[str] = []
    for job_id in sorted(created):
        job = store.job(PROJECT, job_id)
        state = job.standing.state
        assert state in TERMINAL, f"{job_id} has not ended: {state}"
        possible = {State.SUCCEEDED, State.CANCELLED} if job_id in cancelled else {State.SUCCEEDED}
        assert state in possible, f"{job_id} is {state}: {job.standing.message}"
        check_path(store, job_id, history)
        _check_cancel(history, job_id)
        output = os.path.join(service.folder, "out", job_id)
        if state == State.SUCCEEDED:
            assert job.output is not None
            assert support.counts(dict(job.output)) == counts, job_id
            assert dict(job.output) == support.outcome(output).to_wire(), job_id
            files = support.published(output)
            # A file that was being written when its writer was killed has a hidden name: no reader takes it for a
            # result.
            hidden += [name for name in files if name.startswith(".")]
            visible = {name: data for name, data in files.items() if not name.startswith(".")}
            assert visible == expected, f"{job_id} has another output than the undisturbed run"
        ends[str(state)] += 1
        generations = max(generations, job.standing.generation)
    return {**figures, "ends": dict(ends), "most leases of a job": generations, "hidden files": len(hidden)}


def all_jobs(store: Store) -> list[Any]:
    found, before = [], None
    while True:
        page, before = store.jobs(PROJECT, size=100, before=before)
        found += page
        if before is None:
            return found


def check_path(store: Store, job_id: str, history: History) -> None:
    """The states are a path through the table, times never run backwards, and what was seen was so."""
    changes = store.history(PROJECT, job_id)
    generation = 0
    for change, following in itertools.pairwise(changes):
        assert change.after == following.before, (job_id, changes)
        assert following.after in TRANSITIONS[change.after], (job_id, changes)
        assert change.at <= following.at, (job_id, changes)
    for change in changes:
        if change.after is State.PREPARING:
            generation += 1
            assert change.generation == generation, f"{job_id}: a generation was given twice or left out"
        elif change.after is not State.QUEUED:
            assert change.generation == generation, f"{job_id}: written under an older generation"
    path = iter([change.after.value for change in changes])
    looks = [look for _, look in history.seen[job_id]]
    states = [look["state"] for look in looks]
    for state in [one for one, before in zip(states, [None, *states], strict=False) if one != before]:
        assert state in path, f"{job_id} was seen {states}, which its history does not have in this order"
    for name in ("createTime", "startTime", "endTime"):
        values = [look[name] for look in looks if name in look]
        assert len(set(values)) <= 1, f"{job_id}: {name} has changed: {set(values)}"
    job = store.job(PROJECT, job_id)
    times = [job.created, job.standing.start_time, job.standing.end_time]
    assert sorted(one for one in times if one) == [one for one in times if one]


def _check_cancel(history: History, job_id: str) -> None:
    for call in history.calls:
        if call.what == "cancel" and call.job == job_id and call.status == 200:
            after = {look["state"] for at, look in history.seen[job_id] if at > call.ended + 5}
            assert after <= {"CANCELLING", "CANCELLED", "SUCCEEDED"}, f"{job_id} goes on after its cancel: {after}"


def check_runs(history: History, service: Service) -> int:
    """Of one job at most one process group is there at any moment."""
    starts: dict[tuple[int, int], str] = {}
    intervals: dict[str, list[tuple[float, float, str]]] = defaultdict(list)
    given: dict[tuple[int, int], tuple[str, float]] = {}
    ends: dict[tuple[int, int], float] = {}
    with open(os.path.join(service.state, "history.jsonl")) as file:
        for line in map(json.loads, file):
            key = line["guard"], line["pid"]
            if line["what"] == "start":
                starts[key] = line["run"]
            elif line["what"] == "job":
                given[key] = line["run"], line["clock"]
            else:
                ends[key] = line["clock"]
    for key, (run, began) in given.items():
        last = max(ends.get(key, began), history.alive.get(starts[key], began))
        intervals[run.rpartition("/")[0]].append((began, last, run))
    for runs in intervals.values():
        runs.sort()
        for (_, end, one), (start, _, other) in itertools.pairwise(runs):
            assert end <= start, f"{one} was alive {end - start:.2f} s after {other} began"
    names = [run for run, _ in given.values()]
    assert len(names) == len(set(names)), "a lease was run twice"
    return len(names)


def check_left(service: Service) -> None:
    """No process, socket or temporary folder is left."""
    assert service.marked() == []
    assert os.listdir(os.path.join(service.state, "workers")) == []
    left = [name for name in os.listdir(service.temporary) if not name.startswith("batchpredict-gpus-")]
    assert left == [], f"temporary files are left: {left}"
