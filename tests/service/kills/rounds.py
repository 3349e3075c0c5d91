"""Kill rounds, from a shell: `PYTHONPATH=tests python tests/service/kills/rounds.py --rounds 50 --seed 1`."""

from __future__ import annotations

import argparse
import json
import os
import random
import tempfile
import time
from typing import Any

import support
from service.kills_support import PROJECT, TARGETS, Client, History, Service, Watcher, check

from batchpredict.job import TERMINAL

# Jobs that are there at a time, waiting or running.
_IN_FLIGHT = 4
# One in so many jobs is cancelled.
_CANCELS = 5
_REFERENCE = "undisturbed"


def play(folder: str, rounds: int, seed: int, *, targets: tuple[str, ...] = TARGETS) -> dict[str, Any]:
    """Kill so many times, let every job end, and check the history of it all; gives figures."""
    chance = random.Random(seed)
    history = History()
    service = Service(folder)
    source = os.path.join(folder, "input.json")
    with open(support.digits("text", "part-0.json"), "rb") as file:
        support.write(source, file.read() * 4)
    began = time.monotonic()
    try:
        service.start("api")
        support.wait_until(lambda: _answers(service), 60, "the API")
        service.start("worker")
        watcher, client = Watcher(service, history), Client(service, history, source)
        client.create(_REFERENCE)
        _await_ends(service, 180)
        output = os.path.join(folder, "out", _REFERENCE)
        expected = support.published(output)
        made: list[str] = []
        for number in range(rounds):
            while len(_open_jobs(service)) < _IN_FLIGHT:
                made.append(f"job_{len(made)}")
                client.create(made[-1])
                if chance.randrange(_CANCELS) == 0:
                    client.cancel(chance.choice(made[-_IN_FLIGHT:]))
            time.sleep(chance.uniform(0.5, 9.0))
            target = targets[number % len(targets)] if number < len(targets) else chance.choice(targets)
            history.kills.append((time.time(), target))
            service.kill(target, chance)
            time.sleep(chance.uniform(0.0, 1.0))
            service.restart_dead()
            support.wait_until(lambda: _answers(service), 60, "the API")
        _await_ends(service, 600)
        watcher.close()
        client.close()
        service.stop()
        figures = check(history, service, expected, (4 * 599, 0))
    finally:
        service.end()
    return {**figures, "seconds": round(time.monotonic() - began)}


def _answers(service: Service) -> bool:
    import httpx

    try:
        return httpx.get(f"http://127.0.0.1:{service.port}/healthz", timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


def _open_jobs(service: Service) -> list[str]:
    store = service.store()
    try:
        page, _ = store.jobs(PROJECT, size=100)
        return [job.job_id for job in page if job.standing.state not in TERMINAL]
    finally:
        store.close()


def _await_ends(service: Service, seconds: float) -> None:
    support.wait_until(lambda: not _open_jobs(service), seconds, "the end of all jobs")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", default=None)
    options = parser.parse_args()
    place = options.folder or tempfile.mkdtemp(prefix="kills-")
    print(json.dumps(play(place, options.rounds, options.seed), indent=1))
