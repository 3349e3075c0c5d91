"""Whether `batchpredict plan` is right: plans jobs of a minute or two, runs them, and compares.

    python tests/benchmarks/estimates.py [--only text,slow] [--scale 1.0] [--json out.json]

Each job is planned and run by the command, one after the other, on all cores. Prints a Markdown table; the target
is a time within a factor of 1.3. The load beside it is the average of the last minute of the plan, and of the job:
two workers make two of it, and what is more comes from others, which take their share of the cores.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psutil
from bench import MODELS
from data import Store
from measure import BenchmarkFailed, chosen, environment
from ours import SIGNATURES
from report import Row, Table, Target, machine

from batchpredict.workers import cores

_RIGHT = Target(1.3, at_least=False)
_UNIT = 1_000_000
_SMALL_UNIT = 20_000
_LOOK_SECONDS = 0.25


@dataclass(frozen=True)
class Case:
    """A job.

    Attributes:
      data_format: of its files.
      model: "fast" or "slow".
      batch: its batchSize.
      unit: records of one file.
      files: how many of them; one file under as many names.
      packed: they are compressed.
      bad: one record in so many fails; 0 for none.
    """

    data_format: str
    model: str
    batch: int
    unit: int
    files: int
    packed: bool = False
    bad: int = 0


CASES = {
    "text": Case("TEXT", "fast", 64, _UNIT, 60),
    "tfrecord": Case("TF_RECORD", "fast", 64, _UNIT, 80),
    "one": Case("TF_RECORD", "fast", 1, 100_000, 30),
    "slow": Case("TF_RECORD", "slow", 64, _SMALL_UNIT, 80),
    "slow-one": Case("TEXT", "slow", 1, _SMALL_UNIT, 4),
    "gzip": Case("TEXT", "fast", 64, _UNIT, 30, packed=True),
    "bad": Case("TEXT", "fast", 64, 200_000, 60, bad=500),
}
"""By name; of about a minute on two cores each."""


@dataclass(frozen=True)
class Compared:
    """What was said of a job, and what it came to; `waited`: the share of its workers' time without a core."""

    said: dict[str, Any]
    output: dict[str, Any]
    seconds: float
    output_bytes: int
    plan_load: float
    job_load: float
    waited: float


def main() -> int:
    """Returns 1 if a job could not be compared."""
    options = _options()
    print(f"Machine: {machine(cores())}\n", flush=True)
    table = Table("Time of a job, as planned and as it was")
    found: dict[str, Any] = {}
    failed = False
    for name in options.only:
        print(f"{time.strftime('%H:%M:%S')} {name}", file=sys.stderr, flush=True)
        try:
            compared = compare(CASES[name], options.data, options.scale)
        except BenchmarkFailed as error:
            failed = True
            table.notes.append(f"{name}: could not be measured: {error}")
            continue
        table.rows.append(row(name, CASES[name], compared))
        table.notes.append(f"{name}: {notes(compared)}")
        found[name] = {"plan": compared.said, "output": compared.output, "seconds": compared.seconds}
        print(Table("so far", table.rows[-1:], table.notes[-1:]).markdown(), file=sys.stderr, flush=True)
    print(table.markdown(), flush=True)
    if options.json:
        with open(options.json, "w") as file:
            json.dump(found, file, indent=1)
    return int(failed)


def row(name: str, case: Case, compared: Compared) -> Row:
    """The line of the table: the ratio is how far off, in either direction."""
    (forecast,) = compared.said["forecasts"]
    elapsed = forecast["elapsedSeconds"]
    ratio = elapsed["estimate"] / compared.seconds
    what = f"{name}: {case.data_format}{' gzip' if case.packed else ''}, {case.model} model, batch {case.batch}"
    said = f"{elapsed['estimate']:.0f} s ({elapsed['low']:.0f} to {elapsed['high']:.0f})"
    return Row(what, said, f"{compared.seconds:.0f} s", max(ratio, 1 / ratio), _RIGHT)


def notes(compared: Compared) -> str:
    """What else was said, and what it came to."""
    said, output = compared.said, compared.output
    records = int(output["predictionCount"]) + int(output["errorCount"])
    pairs = (
        ("records", said["input"]["records"], records),
        ("errors", said["errors"]["records"], int(output["errorCount"])),
        ("output bytes", said["output"]["bytes"], compared.output_bytes),
        ("node hours", said["forecasts"][0]["nodeHours"], output["nodeHours"]),
    )
    told = "; ".join(
        f"{name} {one['estimate']:,.6g} ({one['low']:,.6g} to {one['high']:,.6g}), in fact {fact:,.6g}"
        for name, one, fact in pairs
    )
    spared = net(compared)
    told += f"; without the waiting of workers for a core {spared[0]:.0f} s, in fact {spared[1]:.0f} s"
    loads = f"load {compared.plan_load:.1f} while it was planned, {compared.job_load:.1f} while it ran"
    return f"{told}; planned in {said['estimateSeconds']:.0f} s; {loads}"


def net(compared: Compared) -> tuple[float, float]:
    """The seconds that were said and that it took, without those that workers waited for a core that others had.

    Not what an idle machine would take: caches and memory are shared too.
    """
    start = compared.said["fixedSeconds"]["start"]
    (forecast,) = compared.said["forecasts"]
    said = forecast["elapsedSeconds"]["estimate"] - start
    fact = max(compared.seconds - start, 0.0)
    return start + said * (1 - compared.said["speed"][0]["waitedShare"]), start + fact * (1 - compared.waited)


def compare(case: Case, folder: str, scale: float) -> Compared:
    """Plan a job and run it.

    Raises:
      BenchmarkFailed: one of the two fails.
    """
    source = inputs(case, folder, max(round(case.files * scale), 1))
    output = os.path.join(folder, "output")
    shutil.rmtree(output, ignore_errors=True)
    flags = [
        f"--model-dir={MODELS[case.model]}", f"--input-paths={source}/*", f"--data-format={case.data_format}",
        f"--output-path={output}", f"--batch-size={case.batch}", f"--signature-name={SIGNATURES[case.data_format]}",
        "--quiet",
    ]  # fmt: skip
    try:
        said, _, _ = run("plan", *flags, "--format=json")
        plan_load = os.getloadavg()[0]
        if os.path.exists(output):
            raise BenchmarkFailed("the plan has made the output folder")
        done, seconds, waited = run("predict", *flags)
        job_load = os.getloadavg()[0]
        names = [name for name in os.listdir(output) if name.startswith("prediction.results")]
        size = sum(os.path.getsize(os.path.join(output, name)) for name in names)
    finally:
        shutil.rmtree(output, ignore_errors=True)
    return Compared(said, done, seconds, size, plan_load, job_load, waited)


def run(*arguments: str) -> tuple[dict[str, Any], float, float]:
    """The JSON document that a command prints, the seconds that it takes, and the share of `Waits`."""
    started = time.monotonic()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = subprocess.Popen(
            [sys.executable, "-m", "batchpredict", *arguments], stdout=out, stderr=err, env=environment()
        )
        waits = Waits(process.pid)
        while process.poll() is None:
            waits.look()
            time.sleep(_LOOK_SECONDS)
        seconds = time.monotonic() - started
        for file in (out, err):
            file.seek(0)
        if process.returncode:
            raise BenchmarkFailed(f"{arguments[0]} ended with {process.returncode}: {err.read()[-500:]!r}")
        document: dict[str, Any] = json.load(out)
        return document, seconds, waits.share()


class Waits:
    """How long the worker processes of a command have waited for a core, and how long they had one (Linux)."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._last: dict[int, tuple[int, int]] = {}

    def look(self) -> None:
        with contextlib.suppress(psutil.NoSuchProcess):
            for child in psutil.Process(self._pid).children():
                with contextlib.suppress(OSError, ValueError), open(f"/proc/{child.pid}/schedstat") as file:
                    had, waited, _ = map(int, file.read().split())
                    self._last[child.pid] = had, waited

    def share(self) -> float:
        had, waited = (sum(one[at] for one in self._last.values()) for at in (0, 1))
        return waited / max(had + waited, 1)


def inputs(case: Case, folder: str, files: int) -> str:
    """A folder of so many files of a case, all links to one."""
    (plain,) = Store(os.path.join(folder, "inputs")).inputs(case.data_format, case.unit, 1).files
    name = "estimates-" + "-".join(map(str, (case.data_format, case.unit, files, int(case.packed), case.bad)))
    target = os.path.join(folder, name)
    shutil.rmtree(target, ignore_errors=True)
    os.makedirs(target)
    source = plain
    # Not beside the source: there the next run would take it for inputs.
    derived = os.path.join(folder, f"derived-{case.data_format}-{case.unit}")
    if case.bad:
        source = _made(f"{derived}-one-bad-of-{case.bad}", lambda path: _spoil(plain, path, case.bad))
    if case.packed:
        source = _made(f"{derived}.gz", lambda path: _pack(plain, path))
    for number in range(files):
        os.link(source, os.path.join(target, f"part-{number:05d}{'.gz' if case.packed else ''}"))
    return target


def _made(path: str, make: Callable[[str], None]) -> str:
    if not os.path.exists(path):
        make(f"{path}.unfinished")
        os.rename(f"{path}.unfinished", path)
    return path


def _pack(source: str, path: str) -> None:
    with open(source, "rb") as file, gzip.open(path, "wb", compresslevel=6) as packed:
        shutil.copyfileobj(file, packed, 1 << 20)


def _spoil(source: str, path: str, every: int) -> None:
    with open(source, "rb") as file, open(path, "wb") as target:
        source_of_chance = random.Random(every)
        for line in file:
            target.write(line if source_of_chance.random() * every >= 1 else b"spoilt\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", type=chosen(CASES, "case"), default=list(CASES), help=",".join(CASES))
    parser.add_argument("--scale", type=float, default=1.0, help="of the number of files")
    parser.add_argument(
        "--data",
        default=os.path.join(tempfile.gettempdir(), "batchpredict-bench"),
        help="folder in which inputs are kept and outputs come and go; 10 GB",
    )
    parser.add_argument("--json", help="file to write all that was found to")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
