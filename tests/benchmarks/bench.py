"""What every section needs: inputs, a place for outputs, and ways to run a job that check what it counted."""

from __future__ import annotations

import contextlib
import glob
import json
import os
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import measure
import ours
from data import Inputs, Store
from measure import ROOT, BenchmarkFailed, Finished

MODELS = {
    "fast": os.path.join(ROOT, "testdata", "models", "examples16"),
    "slow": os.path.join(ROOT, "testdata", "models", "stateful_free_slow"),
}


@dataclass(frozen=True)
class Bench:
    """One run of the benchmarks.

    Attributes:
      folder: where inputs are kept and outputs come and go.
      records: the size that all sizes derive from.
      repeats: how often a figure of ours is measured.
      cores: cores to use; also the workers of a job.
    """

    folder: str
    records: int
    repeats: int
    cores: int

    @cached_property
    def store(self) -> Store:
        return Store(os.path.join(self.folder, "inputs"))

    def say(self, text: str) -> None:
        print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)

    def inputs(self, data_format: str, records: int) -> Inputs:
        """Inputs in one file per core, so that processes of a bare loop can share them."""
        return self.store.inputs(data_format, records, self.cores)

    @contextlib.contextmanager
    def output(self) -> Iterator[str]:
        """An output folder that is gone afterwards."""
        path = os.path.join(self.folder, "output")
        shutil.rmtree(path, ignore_errors=True)
        os.makedirs(path)
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)

    def run_ours(
        self,
        inputs: Inputs,
        output: str,
        *,
        batch: int = 64,
        model: str = "fast",
        workers: int | None = None,
        cores: int | None = None,
        watch_memory: bool = False,
    ) -> Finished:
        """One job of ours in a process of its own.

        Raises:
          BenchmarkFailed: it failed, or has another count than the inputs.
        """
        order = self.order(inputs, output, batch=batch, model=model, workers=workers, cores=cores)
        finished = measure.run("ours", order, watch_memory=watch_memory)
        expect(inputs, finished.said["predictions"], finished.said["errors"])
        return finished

    def order(
        self,
        inputs: Inputs,
        output: str,
        *,
        batch: int = 64,
        model: str = "fast",
        workers: int | None = None,
        cores: int | None = None,
    ) -> dict[str, Any]:
        job = ours.job(inputs.data_format, [os.path.join(inputs.folder, "*")], output, MODELS[model], batch)
        return {"job": job, "workers": workers or self.cores, "cores": cores}


def expect(inputs: Inputs, predictions: int, errors: int = 0) -> None:
    """Raises BenchmarkFailed unless a run has scored every record of its inputs."""
    if (predictions, errors) != (inputs.records, 0):
        raise BenchmarkFailed(f"{predictions} predictions and {errors} errors of {inputs.records} records")


def manifest_paths(output: str) -> list[str]:
    return sorted(glob.glob(os.path.join(output, "_batchpredict", "*", "manifests", "*.json")))


def manifests(output: str) -> dict[str, dict[str, Any]]:
    """The manifests in an output folder, by path."""
    found = {}
    for path in manifest_paths(output):
        with open(path, "rb") as file:
            found[path] = json.load(file)
    return found


def planned_splits(output: str) -> int | None:
    """Splits of the job in an output folder, once they are planned."""
    for path in glob.glob(os.path.join(output, "_batchpredict", "*", "plan.json")):
        with open(path, "rb") as file:
            return int(json.load(file)["splits"])
    return None
