"""A job on an object store whose every answer takes a while, against the same job on local files.

A real store computes elsewhere. The one here takes more of the processor for a byte than the job does, so the
machine is shared out: the last core is the store's, and the job has the others, also when its files are local.
"""

from __future__ import annotations

import contextlib
import os
import sys

import measure
import ours
from bench import MODELS, Bench, expect
from data import Inputs
from measure import ROOT, BenchmarkFailed
from report import Row, Table, Target, speed

_OVERLAP = Target(0.8, at_least=True)
_LATENCY_SECONDS = 0.05
_SMALL = 100


def remote(bench: Bench) -> Table:
    """Promise: with 50 ms added to every request, a job on a store keeps 0.8 of its local speed."""
    sys.path.append(os.path.join(ROOT, "tests"))
    from stores.gcs import binary, serving

    from batchpredict import storage

    if binary() is None:
        raise BenchmarkFailed("no server for gs:// is installed; tests/stores/install gcs installs one")
    everything = os.sched_getaffinity(0)
    if len(everything) < 2:
        raise BenchmarkFailed("the store and the job need a core each")
    last = max(everything)
    others = len(everything) - 1
    table = Table(f"A job of {others} workers on gs:// (a server on a core of its own), and on local files")
    inputs = {records: bench.inputs("TF_RECORD", records) for records in (_SMALL, bench.records)}
    local = _rate(bench, inputs, {records: one.folder for records, one in inputs.items()}, None, others)
    with contextlib.ExitStack() as stack:
        os.sched_setaffinity(0, {last})
        try:
            store = stack.enter_context(serving("bench"))
        finally:
            os.sched_setaffinity(0, everything)
        base = store.folder()
        folders = {}
        for records, one in inputs.items():
            folders[records] = f"{base}/{records}"
            for path in one.files:
                with open(path, "rb") as file:
                    storage.replace_bytes(f"{folders[records]}/{os.path.basename(path)}", file.read())
        for latency in (0.0, _LATENCY_SECONDS):
            store.proxy.latency = latency
            found = _rate(bench, inputs, folders, f"{base}/out-{latency}", others)
            target = _OVERLAP if latency else None
            what = f"TFRecord, batch 64, {1000 * latency:.0f} ms added to a request"
            table.rows.append(Row(what, speed(found), speed(local), found / local, target))
    return table


def _rate(
    bench: Bench, inputs: dict[int, Inputs], folders: dict[int, str], output: str | None, cores: int
) -> float:
    """Records per second between the two sizes; with an output on the store, or below the benchmark's folder."""

    def seconds_of(records: int) -> float:
        bench.say(f"{records} records from {folders[records]}")
        with bench.output() as place:
            target = place if output is None else f"{output}/{records}-{next(_numbers)}"
            job = ours.job("TF_RECORD", [f"{folders[records]}/*"], target, MODELS["fast"], 64)
            finished = measure.run("ours", {"job": job, "workers": cores, "cores": cores})
            expect(inputs[records], finished.said["predictions"], finished.said["errors"])
            return finished.seconds

    return measure.rate(seconds_of, _SMALL, max(inputs), bench.repeats)


_numbers = iter(range(10**9))
