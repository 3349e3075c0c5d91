"""Every promise but those of the steady state: start, memory, many files, one large file, resuming, processes."""

from __future__ import annotations

import tempfile
import time
from collections import Counter

import measure
from bench import MODELS, Bench, expect, manifest_paths, manifests, planned_splits
from data import Inputs
from measure import BenchmarkFailed, median
from report import Row, Table, Target, mebibytes, speed

_START = Target(1.25, at_least=False)
_MEMORY = Target(1.1, at_least=False)
_FILES = Target(1.5, at_least=False)
_WORKERS = Target(2, at_least=True)
_RESUME = Target(0.15, at_least=False)

_START_RECORDS = 100
_START_REPEATS = 5
_FILES_REPEATS = 3
_RECORDS_A_FILE = 20
_LARGE_FILE = 10**9
_KILLED_AT = 0.9
_POLL_SECONDS = 0.01


def start(bench: Bench) -> Table:
    """Promise: a job of 100 records takes at most 1.25 times what TensorFlow and the model need."""
    inputs = bench.store.inputs("TEXT", _START_RECORDS, 1)
    least, own = [], []
    for number in range(_START_REPEATS):
        bench.say(f"start {number + 1} of {_START_REPEATS}")
        order = {"model": MODELS["fast"], "records": _START_RECORDS}
        least.append(measure.run("references_start", order).seconds)
        with bench.output() as output:
            own.append(bench.run_ours(inputs, output).seconds)
    title = f"A job of {_START_RECORDS} records, and a bare load of TensorFlow and the model in a child process"
    table = Table(title)
    found, bound = median(own), median(least)
    table.rows.append(Row("median, whole process", f"{found:.2f} s", f"{bound:.2f} s", found / bound, _START))
    table.notes.append(f"ours: {_seconds(own)}; least: {_seconds(least)}")
    return table


def memory(bench: Bench) -> Table:
    """Promise: ten times the records take at most 1.1 times the memory."""
    table = Table("Peak resident memory of a job and of one with ten times its records")
    for data_format in ("TF_RECORD", "TEXT"):
        runs = []
        for records in (bench.records // 10, bench.records):
            bench.say(f"memory, {data_format}, {records} records")
            with bench.output() as output:
                runs.append(bench.run_ours(bench.inputs(data_format, records), output, watch_memory=True))
        small, large = runs
        for what, one, ten in (
            ("largest process", small.process_bytes, large.process_bytes),
            ("all processes", small.tree_bytes, large.tree_bytes),
        ):
            row = Row(f"{data_format}, {what}", mebibytes(ten), mebibytes(one), ten / one, _MEMORY)
            table.rows.append(row)
    table.notes.append(f"{bench.records // 10} and {bench.records} records, batch 64, looked at every 50 ms")
    return table


def files(bench: Bench) -> Table:
    """Promise: 10,000 small files take at most 1.5 times as long as one file."""
    records = bench.records // 10
    many = records // _RECORDS_A_FILE
    times: dict[int, list[float]] = {1: [], many: []}
    for number in range(_FILES_REPEATS):
        for count, found in times.items():
            bench.say(f"{count} files, {number + 1} of {_FILES_REPEATS}")
            with bench.output() as output:
                found.append(bench.run_ours(bench.store.inputs("TF_RECORD", records, count), output).seconds)
    one, spread = median(times[1]), median(times[many])
    table = Table(f"{records} records in {many} files, and in one")
    table.rows.append(Row("median, whole job", f"{spread:.2f} s", f"{one:.2f} s", spread / one, _FILES))
    table.notes.append(f"one file: {_seconds(times[1])}; {many} files: {_seconds(times[many])}")
    return table


def large(bench: Bench) -> Table:
    """Promise: one large file keeps two workers busy."""
    size = min(_LARGE_FILE, 500 * bench.records)
    inputs = bench.store.one_file(size, bench.records // 2)
    bench.say(f"one file of {inputs.bytes} bytes")
    with bench.output() as output:
        seconds = bench.run_ours(inputs, output, batch=1024, workers=2).seconds
        read: Counter[str] = Counter()
        for manifest in manifests(output).values():
            read[manifest["worker"]] += sum(one["end"] - one["start"] for one in manifest["segments"])
    if sum(read.values()) != inputs.bytes:
        raise BenchmarkFailed(f"the manifests have {sum(read.values())} bytes of {inputs.bytes}")
    shares = ", ".join(f"{part / inputs.bytes:.0%}" for part in sorted(read.values(), reverse=True))
    table = Table(f"One TFRecord file of {mebibytes(inputs.bytes)}, two workers")
    table.rows.append(Row("workers that read it", f"{shares} of its bytes", "", float(len(read)), _WORKERS))
    table.rows.append(Row("whole job", f"{seconds:.1f} s", f"{inputs.records} records"))
    return table


def resume(bench: Bench) -> Table:
    """Promise: what is left of a job that was killed at 90 % takes at most 15 % of the whole."""
    table = Table("A job that is killed when 90 % of its splits are committed, and run again")
    for model, records in (("fast", 3 * bench.records), ("slow", bench.records // 3)):
        table.rows.append(_resumed(bench, model, bench.inputs("TF_RECORD", records), table))
    table.notes.append("Both runs are counted less their loading of TensorFlow and the model, nothing else.")
    return table


def _resumed(bench: Bench, model: str, inputs: Inputs, table: Table) -> Row:
    bench.say(f"a whole job, {model} model")
    with bench.output() as output:
        seconds = bench.run_ours(inputs, output, model=model).seconds
        loading = _loading(output)
    bench.say("a job that is killed, and again")
    with bench.output() as output:
        committed = _kill_late(bench, inputs, output, model)
        splits = planned_splits(output)
        again = bench.run_ours(inputs, output, model=model).seconds
        loading_again = _loading(output, committed)
    table.notes.append(
        f"{model} model: {len(committed)} of {splits} splits were committed when it died; whole {seconds:.2f} s, "
        f"of which {loading:.2f} s loading; second run {again:.2f} s, of which {loading_again:.2f} s"
    )
    whole, rest = seconds - loading, again - loading_again
    what = f"second run, {inputs.records} records, {model} model"
    return Row(what, f"{rest:.2f} s", f"{whole:.2f} s (whole)", rest / whole, _RESUME)


def _loading(output: str, but: frozenset[str] = frozenset()) -> float:
    """Seconds that the slowest worker took to import TensorFlow and to load the model; they load side by side."""
    return max((one["load_seconds"] for path, one in manifests(output).items() if path not in but), default=0.0)


def _kill_late(bench: Bench, inputs: Inputs, output: str, model: str) -> frozenset[str]:
    """Kill a job and its workers when enough is committed. Returns the manifests that were there."""
    with tempfile.TemporaryFile() as quiet:
        process = measure.start("ours", bench.order(inputs, output, model=model), quiet, quiet)
        try:
            while process.poll() is None:
                splits = planned_splits(output)
                if splits and len(manifest_paths(output)) >= _KILLED_AT * splits:
                    break
                time.sleep(_POLL_SECONDS)
            else:
                raise BenchmarkFailed("the job ended before it could be killed; use more --records")
        finally:
            measure.kill_tree(process)
    return frozenset(manifest_paths(output))


def processes(bench: Bench) -> Table:
    """For information: the hot path in as many processes as cores, and in as many threads of one process."""
    table = Table(f"The hot path alone: {bench.cores} processes, and {bench.cores} threads of one process")
    for data_format in ("TF_RECORD", "TEXT"):
        inputs = bench.inputs(data_format, bench.records)
        rates = {}
        for kind in ("processes", "threads"):
            bench.say(f"hot path, {data_format}, {kind}")
            with bench.output() as output:
                finished = measure.run("concurrency", {**bench.order(inputs, output), "kind": kind})
            expect(inputs, finished.said["predictions"])
            rates[kind] = inputs.records / finished.said["seconds"]
        ratio = rates["processes"] / rates["threads"]
        row = Row(f"{data_format}, batch 64", speed(rates["processes"]), speed(rates["threads"]), ratio)
        table.rows.append(row)
    return table


def _seconds(values: list[float]) -> str:
    return ", ".join(f"{value:.2f}" for value in values) + " s"
