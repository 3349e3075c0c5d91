"""How the driver and the plan take many files, and many splits."""

from __future__ import annotations

import os

import measure
import ours
from bench import MODELS, Bench
from measure import BenchmarkFailed, median
from report import Row, Table, Target, mebibytes

_MEMORY = Target(1.2, at_least=False)
_FLAT = Target(1.2, at_least=False)

_FEW, _SOME, _MANY = 1_000, 10_000, 100_000
_REPEATS = 3


def scale(bench: Bench) -> Table:
    """Promise: the driver's memory does not grow with the number of files, nor the time to plan one of them."""
    table = Table("The driver at 1,000 and at 100,000 files of a record each")
    drivers = {}
    for count in (_FEW, _MANY):
        bench.say(f"a job of {count} tiny files")
        with bench.output() as output:
            finished = measure.run(
                "ours", {"job": _job(bench, count, output), "workers": bench.cores, "cores": None}
            )
            if finished.said["predictions"] != count:
                raise BenchmarkFailed(f"{finished.said['predictions']} predictions of {count}")
            drivers[count] = finished.said["driver_bytes"]
    few, many = drivers[_FEW], drivers[_MANY]
    table.rows.append(Row("peak memory of the driver", mebibytes(many), mebibytes(few), many / few, _MEMORY))
    micros = {}
    for count in (_SOME, _MANY):
        bench.say(f"plan of {count} tiny files")
        micros[count] = _plan(bench, count) / count * 1e6
    row = Row(
        f"plan, per file; compared with {_SOME:,} files",
        f"{micros[_MANY]:.1f} us",
        f"{micros[_SOME]:.1f} us",
        micros[_MANY] / micros[_SOME],
        _FLAT,
    )
    table.rows.append(row)
    return table


def _plan(bench: Bench, count: int) -> float:
    """Seconds to plan so many files; the median of a few."""
    seconds = []
    for _ in range(_REPEATS):
        with bench.output() as output:
            finished = measure.run("ours_plan", {"job": _job(bench, count, output)})
            if finished.said["files"] != count:
                raise BenchmarkFailed(f"{finished.said['files']} files of {count}")
            seconds.append(finished.said["seconds"])
    return median(seconds)


def _job(bench: Bench, count: int, output: str) -> dict[str, object]:
    folder = bench.store.inputs("TEXT", count, count).folder
    return ours.job("TEXT", [os.path.join(folder, "*")], output, MODELS["fast"], 64)
