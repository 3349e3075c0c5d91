"""Rounds of kill -9 of watchers and of their workers while files arrive; then the keys in the outputs are counted.

From a shell: `PYTHONPATH=$PWD:$PWD/tests python tests/epochs/watch_kills.py --files 2000 --kills 30 --seed 1`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import psutil
import support

from batchpredict import storage

# Records of a file.
_RECORDS = 3
# Seconds for what is left when everything has arrived and nobody is killed any more.
_LAST = 600.0


class Arrivals:
    """Writes files with keys of their own, at a steady rate, in a thread.

    On this machine some are renamed into place, and some are written where they are, in two pieces.
    """

    def __init__(self, folder: str, files: int, seconds: float, chance: random.Random) -> None:
        self._folder = folder
        self._files = files
        self._pause = seconds / files
        self._chance = chance
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wait(self) -> None:
        self._thread.join()

    def _run(self) -> None:
        for number in range(self._files):
            records = [json.dumps({"id": number * _RECORDS + row, "x": row}) + "\n" for row in range(_RECORDS)]
            # In no order, and in two folders.
            name = f"{self._chance.choice('ab')}/{self._chance.getrandbits(32):08x}-{number}.json"
            self._put(storage.join(self._folder, name), records)
            time.sleep(self._pause)

    def _put(self, url: str, records: list[str]) -> None:
        data = "".join(records).encode()
        if not storage.is_local(url) or self._chance.random() < 0.8:
            storage.replace_bytes(url, data)
            return
        os.makedirs(os.path.dirname(url), exist_ok=True)
        with open(url, "wb", buffering=0) as file:
            file.write(data[:7])
            time.sleep(0.05)
            file.write(data[7:])


class Watchers:
    """Processes of `batchpredict watch` on one output folder, which are started again when they have died."""

    def __init__(self, arguments: list[str], count: int, log: str) -> None:
        self._arguments = arguments
        self._log = log
        self._running: list[subprocess.Popen[bytes] | None] = [None] * count
        self.kills: Counter[str] = Counter()

    def start(self) -> None:
        for number, process in enumerate(self._running):
            if process is None or process.poll() is not None:
                with open(self._log, "ab") as log:
                    self._running[number] = subprocess.Popen(
                        support.command(*self._arguments), stdout=subprocess.DEVNULL, stderr=log
                    )

    def kill(self, chance: random.Random) -> None:
        """Kill a watcher, or one of its workers, or all watchers at once."""
        target = chance.choice(["watcher", "watcher", "watcher", "worker", "all"])
        self.kills[target] += 1
        alive = [process for process in self._running if process is not None and process.poll() is None]
        if target == "worker":
            for process in alive:
                for worker in support.workers_of(process.pid)[:1]:
                    with contextlib.suppress(psutil.NoSuchProcess):
                        worker.kill()
            return
        for process in alive if target == "all" else alive[:1]:
            process.kill()
        for process in alive:
            if target == "all" or process is alive[0]:
                process.wait()
        chance.shuffle(self._running)

    def end(self) -> None:
        for process in self._running:
            if process is not None:
                process.kill()
                process.wait()


@dataclass(frozen=True)
class Engine:
    """What runs the jobs of epochs, if that is not the watcher itself.

    Attributes:
      flags: by which a watcher finds it.
      deaths: by name, what kills a part of it and starts another.
      pause: seconds between two kills, the shortest and the longest.
    """

    flags: Sequence[str] = ()
    deaths: Mapping[str, Callable[[], None]] = field(default_factory=dict)
    pause: tuple[float, float] = (1.0, 9.0)


HERE = Engine()


def play(
    base: str, *, files: int, kills: int, seed: int, log: str, watchers: int = 2, engine: Engine = HERE
) -> dict[str, Any]:
    """Let files arrive and kill so many times; gives figures. `base`: a folder, any URL.

    Every part of the engine dies once, and for the rest it is watchers.
    """
    chance = random.Random(seed)
    source, out = storage.join(base, "in"), storage.join(base, "out")
    arguments = [
        "watch", f"--model-dir={support.model('double')}", f"--input-paths={source}/**/*.json",
        "--data-format=TEXT",
        f"--output-path={out}", "--key-field=id", "--every=1s", "--settle=1s", "--max-files=150",
        "--max-worker-count=1", *engine.flags,
    ]  # fmt: skip
    pauses = [chance.uniform(*engine.pause) for _ in range(kills)]
    deaths = list(engine.deaths)
    chance.shuffle(deaths)
    arrivals = Arrivals(source, files, sum(pauses), chance)
    processes = Watchers(arguments, watchers, log)
    began = time.monotonic()
    arrivals.start()
    try:
        for pause in pauses:
            processes.start()
            time.sleep(pause)
            if deaths:
                name = deaths.pop()
                processes.kills[name] += 1
                engine.deaths[name]()
            else:
                processes.kill(chance)
        arrivals.wait()
    finally:
        processes.end()
    last = support.run_cli(*arguments, "--once", "--tries=1", timeout=_LAST)
    assert last.returncode == 0, last.stderr
    epochs = check(out, files)
    return {**epochs, "kills": dict(processes.kills), "seconds": round(time.monotonic() - began)}


def check(out: str, files: int) -> dict[str, Any]:
    """See that every key is there once, in epochs that have succeeded."""
    keys: Counter[int] = Counter()
    folders = sorted(epoch_folders(out))
    for folder in folders:
        assert storage.exists(storage.join(folder, "_SUCCESS")), folder
        keys.update(record["id"] for record in support.results(folder))
        assert not support.errors(folder)
    assert [key for key, count in keys.items() if count > 1] == []
    assert sorted(keys) == list(range(files * _RECORDS))
    assert [int(folder.rpartition("=")[2]) for folder in folders] == list(range(1, len(folders) + 1))
    return {"records": len(keys), "epochs": len(folders)}


def epoch_folders(out: str) -> Iterator[str]:
    number = 1
    while storage.is_directory(folder := storage.join(out, f"epoch={number:08d}")):
        yield folder
        number += 1


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = play(
            folder, files=options.files, kills=options.kills, seed=options.seed, log=os.path.join(folder, "log")
        )
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
