"""Training jobs of a trainer that computes nothing, and what they left."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from typing import Any

from recorder import Recorder

import batchpredict
from batchpredict.job import TrainingOutput
from batchpredict.training import pack

PLAIN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "plain", "trainer")


class Jobs:
    """Makes and runs jobs in a folder.

    Attributes:
      seen: what the observer of the last job was told.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.job_dir = os.path.join(folder, "out")
        self.package = pack(PLAIN, os.path.join(folder, "packages"))
        self.seen = Recorder()

    def job(self, *args: str, **fields: Any) -> dict[str, Any]:
        """A job; `fields` over those of its trainingInput, None to leave one out."""
        source = {
            "scaleTier": "BASIC",
            "region": "here",
            "pythonModule": "trainer.task",
            "packageUris": [self.package],
            "args": list(args),
            "jobDir": self.job_dir,
            **fields,
        }
        return {
            "jobId": "one",
            "trainingInput": {name: value for name, value in source.items() if value is not None},
        }

    def train(self, *args: str, fresh: bool = False, **fields: Any) -> TrainingOutput:
        self.seen = Recorder()
        return batchpredict.train(self.job(*args, **fields), fresh=fresh, observer=self.seen)

    def runs(self, trial: str = "") -> list[dict[str, Any]]:
        """What replicas have written at their start."""
        try:
            with open(os.path.join(self.job_dir, trial, "runs.jsonl")) as file:
                return [json.loads(line) for line in file]
        except FileNotFoundError:
            return []


def custom(**counts: int) -> dict[str, Any]:
    """The fields of a tier CUSTOM: `workers`, `servers`."""
    fields: dict[str, Any] = {"scaleTier": "CUSTOM", "masterType": "standard"}
    if counts.get("workers"):
        fields |= {"workerType": "standard", "workerCount": counts["workers"]}
    if counts.get("servers"):
        fields |= {"parameterServerType": "standard", "parameterServerCount": counts["servers"]}
    return fields


def search(trials: int, parallel: int = 1, **more: Any) -> dict[str, Any]:
    """hyperparameters over x in [-1, 1], of which the square is to be small."""
    return {
        "goal": "MINIMIZE",
        "hyperparameterMetricTag": "loss",
        "maxTrials": trials,
        "maxParallelTrials": parallel,
        "params": [{"parameterName": "x", "type": "DOUBLE", "minValue": -1, "maxValue": 1}],
        **more,
    }


def eventually(holds: Callable[[], Any], seconds: float = 60.0) -> Any:
    """What `holds` gives as soon as it is true."""
    deadline = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.05)
    return found


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and is not waited for does not."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
