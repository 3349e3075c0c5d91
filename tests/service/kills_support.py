"""A service whose processes are killed, clients of it, and a history of all that was seen."""

from __future__ import annotations

import contextlib
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


@dataclass(frozen=True)
class Look:
    """A job as it was at some moment between `began` and `ended`."""

    began: float
    ended: float
    job: dict[str, Any]


@dataclass
class History:
    """Everything that was seen, in the order in which it was; times are seconds since the epoch.

    Attributes:
      calls: that created or cancelled.
      seen: each job by every look at it.
      alive: for each mark of a run the last time that a process of it was seen alive, by `worker.clock`.
      kills: what was killed, and when.
    """

    calls: list[Call] = field(default_factory=list)
    seen: dict[str, list[Look]] = field(default_factory=lambda: defaultdict(list))
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

    def output(self, job_id: str) -> str:
        """The output folder of a job."""
        return os.path.join(self.folder, "out", job_id)

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
            victims = [self.processes[chance.choice(self.named(target))]]
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

    def named(self, role: str) -> list[str]:
        """The processes of a role: "api", "api-2"."""
        return [name for name in self.processes if name.partition("-")[0] == role]

    def answers(self, name: str = "api") -> bool:
        """Whether an API does."""
        try:
            return httpx.get(f"http://127.0.0.1:{self.port_of(name)}/healthz", timeout=5).status_code == 200
        except httpx.HTTPError:
            return False

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
                    began = time.time()
                    answer = client.get(f"/v1/projects/{PROJECT}/jobs?pageSize=100")
                    ended = time.time()
                    if answer.status_code == 200:
                        for job in answer.json().get("jobs", []):
                            self._history.seen[job["jobId"]].append(Look(began, ended, job))

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

    def create(self, job_id: str, source: str = "") -> None:
        """Create a job over the client's input, or over another."""
        fields = {"batchSize": "1", "splitBytes": "40000", "maxWorkerCount": "1"}
        document = support.job(support.DIGITS_MODEL, source or self._source, self._service.output(job_id), **fields)
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
