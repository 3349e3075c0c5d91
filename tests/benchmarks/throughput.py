"""Records a second in the steady state: ours, the best bare loop, and Beam record by record."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from functools import cache, partial
from typing import TypeVar

import measure
import references
from bench import MODELS, Bench, expect
from data import Inputs
from references import Loop, Order
from report import Row, Table, Target, speed

_Way = TypeVar("_Way")

FORMATS = ("TF_RECORD", "TEXT")
BATCHES = (64, 1024)

_BARE = Target(0.9, at_least=True)
_ROW_BY_ROW = Target(6, at_least=True)
_SCALING = Target(1.8, at_least=True)
_MODELS = Target(1.3, at_least=False)


def bare(bench: Bench) -> Table:
    """Promise: at least 0.9 of the best loop without Beam."""
    table = Table(f"Steady state: ours with {bench.cores} workers, and the best loop without Beam")
    for data_format in FORMATS:
        for batch in BATCHES:
            rates = _finalists(bench, data_format, batch, table)
            found = _ours(bench, data_format, batch, bench.cores, None)
            what = f"{data_format}, batch {batch}"
            best, winner = _best(rates)
            table.rows.append(Row(what, speed(found), f"{speed(best)} ({winner})", found / best, _BARE))
            for loop, rate in rates.items():
                if loop is not winner:
                    table.rows.append(Row(what, speed(found), f"{speed(rate)} ({loop})", found / rate))
    for data_format in FORMATS:
        best, loop = _best_slow(bench, data_format)
        found = _slow(bench, data_format)
        what = f"{data_format}, batch 64, model of 5 ms a call"
        table.rows.append(Row(what, speed(found), f"{speed(best)} ({loop})", found / best, _BARE))
    return table


def row_by_row(bench: Bench) -> Table:
    """Promise: at least 6 times Beam with a record per element."""
    table = Table("Steady state: ours, and Beam record by record on the same runner")
    for data_format in FORMATS:
        rates = {}
        for workers, mode in _beam_ways(bench.cores):
            name = f"{mode}, {workers}"
            bench.say(f"Beam record by record, {data_format}, {name}")
            rates[name] = _beam(bench, data_format, workers, mode)
            table.notes.append(f"{data_format}, {name}: {speed(rates[name])}")
        best, name = _best(rates)
        found = _ours(bench, data_format, 64, bench.cores, None)
        row = Row(f"{data_format}, batch 64", speed(found), f"{speed(best)} ({name})", found / best, _ROW_BY_ROW)
        table.rows.append(row)
    return table


def scaling(bench: Bench) -> Table:
    """Promise: two workers are at least 1.8 times one, a core each."""
    table = Table("Steady state: two workers on two cores, and one worker on one core")
    table.notes.append("The whole job of one worker is kept on one core, that of two workers on two.")
    for data_format in FORMATS:
        for batch in BATCHES:
            one = _ours(bench, data_format, batch, 1, 1)
            two = _ours(bench, data_format, batch, 2, None if bench.cores == 2 else 2)
            row = Row(f"{data_format}, batch {batch}", speed(two), speed(one), two / one, _SCALING)
            table.rows.append(row)
    return table


def models(bench: Bench) -> Table:
    """Promise: a record costs in the model at most 1.3 times what it costs in the fastest call of a function."""
    table = Table("The model alone, one thread: our call, and a function that runs several batches a crossing")
    for signature in ("dense", "serving_default"):
        for batch in BATCHES:
            bench.say(f"calls of {signature}, batch {batch}")
            order = {"path": MODELS["fast"], "signature": signature, "batch": batch}
            found = measure.run("model_calls", order).said
            what = f"{signature}, batch {batch}"
            ours, chain = found["ours"], found["chain"]
            table.rows.append(Row(what, _microseconds(ours), _microseconds(chain), ours / chain, _MODELS))
            table.notes.append(f"{what}: a function called batch by batch takes {_microseconds(found['function'])}")
    return table


def _microseconds(each: float) -> str:
    return f"{each:.3f} us a record"


def _best(rates: Mapping[_Way, float]) -> tuple[float, _Way]:
    """The fastest way; if one of them could not be measured, that one, as it might be the fastest."""
    way = max(rates, key=lambda way: math.inf if math.isnan(rates[way]) else rates[way])
    return rates[way], way


@cache
def _ours(bench: Bench, data_format: str, batch: int, workers: int, cores: int | None) -> float:
    def seconds(records: int) -> float:
        inputs = bench.inputs(data_format, records)
        with bench.output() as output:
            return bench.run_ours(inputs, output, batch=batch, workers=workers, cores=cores).seconds

    bench.say(f"ours, {data_format}, batch {batch}, {workers} workers")
    return measure.rate(seconds, *_sizes(bench), bench.repeats)


def _sizes(bench: Bench) -> tuple[int, int]:
    """A start takes 5 s, give or take half a second; what lies between the two jobs should take as long."""
    return bench.records // 5, 3 * bench.records


def _finalists(bench: Bench, data_format: str, batch: int, table: Table) -> dict[Loop, float]:
    """The best loop after a short run of each, of those that encode row by row and of those that do not."""
    inputs = bench.inputs(data_format, bench.records // 5)
    trial = {}
    for loop in references.ways(data_format, bench.cores):
        trial[loop] = inputs.records / _bare(bench, loop, inputs, batch).said["loop_seconds"]
        bench.say(f"bare loop, {data_format}, batch {batch}: {loop}: {speed(trial[loop])}")
    found = "; ".join(f"{loop}: {speed(rate)}" for loop, rate in trial.items())
    table.notes.append(f"{data_format}, batch {batch}, short trials: {found}")
    rates = {}
    for whole in (False, True):
        loop = max((loop for loop in trial if loop.whole is whole), key=lambda loop: trial[loop])
        bench.say(f"bare loop in full, {data_format}, batch {batch}: {loop}")
        seconds = partial(_bare_seconds, bench, loop, data_format, batch, "fast")
        rates[loop] = measure.rate(seconds, *_sizes(bench), bench.repeats)
    return rates


def _bare_seconds(bench: Bench, loop: Loop, data_format: str, batch: int, model: str, records: int) -> float:
    return _bare(bench, loop, bench.inputs(data_format, records), batch, model).seconds


def _bare(bench: Bench, loop: Loop, inputs: Inputs, batch: int, model: str = "fast") -> measure.Finished:
    with bench.output() as output:
        target = os.path.join(output, "results")
        order = Order(loop, inputs.data_format, inputs.files, target, MODELS[model], batch)
        finished = measure.run("references", references.argument(order))
    expect(inputs, finished.said["predictions"])
    return finished


def _slow_sizes(bench: Bench) -> tuple[int, int]:
    return bench.records // 50, bench.records // 5


def _slow(bench: Bench, data_format: str) -> float:
    def seconds(records: int) -> float:
        with bench.output() as output:
            return bench.run_ours(bench.inputs(data_format, records), output, model="slow").seconds

    bench.say(f"ours, {data_format}, slow model")
    return measure.rate(seconds, *_slow_sizes(bench), 1)


def _best_slow(bench: Bench, data_format: str) -> tuple[float, Loop]:
    """With a slow model it matters that all cores are busy, which a process for each sees to."""
    rates = {}
    for loop in references.ways(data_format, bench.cores):
        if loop.processes > 1 and not loop.whole:
            bench.say(f"bare loop, {data_format}, slow model: {loop}")
            seconds = partial(_bare_seconds, bench, loop, data_format, 64, "slow")
            rates[loop] = measure.rate(seconds, *_slow_sizes(bench), 1)
    return _best(rates)


def _beam_ways(cores: int) -> list[tuple[int, str]]:
    """Workers of the runner, and of which kind they are."""
    return [(1, "in_memory"), (cores, "multi_threading"), (cores, "multi_processing")]


def _beam(bench: Bench, data_format: str, workers: int, mode: str) -> float:
    def seconds(records: int) -> float:
        inputs = bench.inputs(data_format, records)
        with bench.output() as output:
            order = {
                "data_format": data_format,
                "pattern": os.path.join(inputs.folder, "*"),
                "output": os.path.join(output, "results"),
                "model": MODELS["fast"],
                "batch": 64,
                "workers": workers,
                "mode": mode,
            }
            finished = measure.run("references_beam", order)
            expect(inputs, sum(_lines(os.path.join(output, name)) for name in os.listdir(output)))
        return finished.seconds

    return measure.rate(seconds, bench.records // 100, bench.records // 10, 1)


def _lines(path: str) -> int:
    with open(path, "rb") as file:
        return sum(1 for _ in file)
