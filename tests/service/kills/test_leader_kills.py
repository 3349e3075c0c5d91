"""Workers that lead a watch are killed while files arrive, with their jobs: every record is scored once."""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import time
from collections import Counter
from typing import Any

import psutil
import pytest
import support
from epochs.watch_kills import Arrivals, check

from batchpredict.service.store import SUCCEEDED, NewWatch, Store, StoredEpoch, open_store

WATCH = "arriving"


class Workers:
    """Two worker processes of a service, started again when they have died."""

    def __init__(self, folder: str, database: str) -> None:
        self._folder = folder
        self._database = database
        self._running: list[subprocess.Popen[bytes] | None] = [None, None]

    def start(self) -> None:
        for number, process in enumerate(self._running):
            if process is None or process.poll() is not None:
                # A machine each: what one leaves behind is not the other's to find.
                data = os.path.join(self._folder, f"machine-{number}")
                with open(os.path.join(self._folder, "log"), "ab") as log:
                    self._running[number] = subprocess.Popen(
                        support.command(
                            "serve", "--role=worker", f"--database={self._database}", f"--data={data}",
                            f"--root={self._folder}", f"--root={support.TESTDATA}", "--workers=1", "--lease=5",
                        ),
                        stdout=log, stderr=log,
                    )  # fmt: skip

    def kill(self, chance: random.Random) -> str:
        """Kill a worker, both, or a process of the watch or of a job; which."""
        alive = [process for process in self._running if process is not None and process.poll() is None]
        target = chance.choice(["worker", "workers", "process", "process"])
        if target == "process":
            children = [one for process in alive for one in psutil.Process(process.pid).children(recursive=True)]
            if children:
                with contextlib.suppress(psutil.NoSuchProcess):
                    chance.choice(children).kill()
            return target
        for process in alive if target == "workers" else alive[:1]:
            process.kill()
            process.wait()
        chance.shuffle(self._running)
        return target

    def end(self) -> None:
        for process in self._running:
            if process is not None:
                process.terminate()
        for process in self._running:
            if process is not None:
                process.wait(60)


def play(folder: str, database: str, *, files: int, kills: int, seed: int) -> dict[str, Any]:
    """Let files arrive and kill so many times; gives figures."""
    chance = random.Random(seed)
    source, out = os.path.join(folder, "in"), os.path.join(folder, "out")
    os.makedirs(source)
    store = open_store(database)
    asked = {
        "dataFormat": "TEXT", "inputPaths": [f"{source}/**/*.json"], "outputPath": out, "region": "r",
        "uri": support.model("double"), "maxWorkerCount": "1", "instanceConfig": {"keyField": "id"},
    }  # fmt: skip
    document = {"predictionInput": asked, "every": "1s", "settle": "1s", "maxFiles": "60"}
    pinned = {"inputPaths": asked["inputPaths"], "outputPath": out, "uri": asked["uri"]}
    store.create_watch(NewWatch("p", WATCH, document, pinned=pinned))
    pauses = [chance.uniform(2.0, 12.0) for _ in range(kills)]
    arrivals = Arrivals(source, files, sum(pauses), chance)
    workers = Workers(folder, database)
    done: Counter[str] = Counter()
    arrivals.start()
    try:
        for pause in pauses:
            workers.start()
            time.sleep(pause)
            done[workers.kill(chance)] += 1
        workers.start()
        arrivals.wait()
        time.sleep(5)
        support.wait_until(lambda: is_quiet(store, files), 400, "the end of the last epoch")
    finally:
        workers.end()
        store_is_in_order(store)
        store.close()
    return {**check(out, files), "kills": dict(done)}


def is_quiet(store: Store, files: int) -> bool:
    """Whether all that has arrived is scored."""
    epochs = epochs_of(store)
    return sum(one.files for one in epochs) == files and all(one.state == SUCCEEDED for one in epochs)


def epochs_of(store: Store) -> list[StoredEpoch]:
    found, before = store.epochs("p", WATCH, size=100)
    while before is not None:
        more, before = store.epochs("p", WATCH, size=100, before=before)
        found += more
    return found


def store_is_in_order(store: Store) -> None:
    """No job of an epoch runs beside another of it, and none was given up."""
    jobs, before = store.jobs("p", size=100)
    while before is not None:
        more, before = store.jobs("p", size=100, before=before)
        jobs += more
    assert {job.new.labels["watch"] for job in jobs} == {WATCH}
    assert all(job.new.creator == "allUsers" for job in jobs)


def left_behind(folder: str) -> list[psutil.Process]:
    """Processes that still work below a folder."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.cwd().startswith(folder):
                found.append(process)
    return found


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_few_kills_of_workers_that_lead_a_watch(tmp_path):
    figures = play(str(tmp_path), f"{tmp_path}/jobs.db", files=60, kills=4, seed=1)
    assert figures["records"] == 180
    assert left_behind(str(tmp_path)) == []


@pytest.mark.kills
@pytest.mark.timeout(2400)
def test_thirty_kills_of_workers_that_lead_a_watch(tmp_path):
    figures = play(str(tmp_path), f"{tmp_path}/jobs.db", files=600, kills=30, seed=2)
    assert figures["records"] == 1800
