"""What it takes to launch a training job on this machine, beside running its program by hand.

    python tests/benchmarks/launching.py [--rounds 10] [--gangs 20]

Three figures, each with its mark:

* a job of tier BASIC by `batchpredict train` on the in-process runner, over `python -m trainer.task`: both are
  processes of their own, measured in turn, each until it is gone;
* 1 master, 2 workers and 1 parameter server on this machine: from the first claim of a role to the last start;
* 1 + 19 + 11 replicas of a trivial program, as PREMIUM_1 has them: from the first claim to the first start, when
  all have found each other, in every one of the rounds; no role is taken twice.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence

from measure import ROOT
from report import Row, Table, Target, machine

sys.path.insert(0, os.path.join(ROOT, "tests"))
sys.path.insert(0, ROOT)

from training.gang.local import LocalLauncher
from training.gang.schedules import Cluster

from batchpredict.training.cluster import Role
from batchpredict.training.gang import Ending, FolderRendezvous, Gang

OVERHEAD_SECONDS = 1.0
STARTED_SECONDS = 2.0
TOGETHER_SECONDS = 5.0

_PACKAGE = os.path.join(ROOT, "tests", "training", "plain", "trainer")
# A parameter server runs until it is ended.
_PROGRAM = "import os, time\nif os.environ['REPLICA'].startswith('ps'): time.sleep(600)"
_SMALL = {Role.MASTER: 1, Role.WORKER: 2, Role.PS: 1}
_LARGE = {Role.MASTER: 1, Role.WORKER: 19, Role.PS: 11}


def overhead(rounds: int) -> list[Row]:
    """Seconds that the job takes beyond its program, by the clock and of processors: those are the same on a
    machine that has other things to do."""
    job, program = [], []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(rounds):
            program.append(_seconds(_by_hand(f"{folder}/hand-{number}"), os.path.dirname(_PACKAGE)))
            job.append(_seconds(_by_command(f"{folder}/job-{number}"), folder))
    return [_beyond(job, program, at) for at in range(2)]


def _beyond(job: Sequence[tuple[float, float]], program: Sequence[tuple[float, float]], at: int) -> Row:
    longer = [one[at] - other[at] for one, other in zip(job, program, strict=True)]
    of_job, of_program = (statistics.median(one[at] for one in found) for found in (job, program))
    median = statistics.median(longer)
    return Row(
        "BASIC over `python -m trainer.task`" + (", seconds of processors" if at else ""),
        f"{median:.2f} s ({min(longer):.2f} to {max(longer):.2f})",
        f"{of_job:.2f} s and {of_program:.2f} s",
        median / OVERHEAD_SECONDS,
        Target(1.0, at_least=False),
    )


def _by_hand(job_dir: str) -> list[str]:
    return [sys.executable, "-m", "trainer.task", "--steps", "1", "--job-dir", job_dir]


def _by_command(job_dir: str) -> list[str]:
    command = [sys.executable, "-m", "batchpredict", "train", "--module-name", "trainer.task"]
    return [*command, "--package-path", _PACKAGE, "--job-dir", job_dir, "--", "--steps", "1"]


def _seconds(command: Sequence[str], cwd: str) -> tuple[float, float]:
    """By the clock, and of processors."""
    env = {**os.environ, "PYTHONPATH": ROOT}
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} has failed:\n{done.stderr[-2000:]}")
    seconds = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime


def gangs(what: str, shape: dict[Role, int], rounds: int, bound: float, pick: Callable[..., float]) -> Row:
    """Seconds from the first claim of a gang to a start; the worst of all rounds.

    Args:
      pick: which start, of all of them: `min` or `max`.
    """
    found = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            found.append(_gang(folder, shape, pick))
    return Row(
        what,
        f"{max(found):.2f} s at most, {statistics.median(found):.2f} s mostly",
        f"{bound:g} s, in {sum(one <= bound for one in found)} of {rounds}",
        max(found) / bound,
        Target(1.0, at_least=False),
    )


def _gang(folder: str, shape: dict[Role, int], pick: Callable[..., float]) -> float:
    launcher = LocalLauncher(folder, _PROGRAM)
    cluster = Cluster.of(shape)
    outcome = Gang(FolderRendezvous(f"{folder}/gang"), cluster, "here", None, launcher).run()
    if outcome is None or outcome.ending is not Ending.SUCCEEDED:
        raise SystemExit(f"a gang has come to {outcome}")
    started = launcher.started()
    if sorted(name for name, *_ in started) != sorted(one.name for one in cluster.replicas):
        raise SystemExit(f"roles were not taken once each: {started}")
    claims = [os.stat(entry.path).st_mtime for entry in os.scandir(f"{folder}/gang") if ".claim." in entry.name]
    return pick(at for *_, at in started) - min(claims)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10, help="of the job, and of the small gang")
    parser.add_argument("--gangs", type=int, default=20, help="rounds of the large gang")
    options = parser.parse_args()
    print(machine(os.cpu_count() or 1))
    load = os.getloadavg()[0]
    table = Table("Launching a training job")
    table.rows += overhead(options.rounds)
    table.rows.append(
        gangs("1 + 2 + 1: the first claim to the last start", _SMALL, options.rounds, STARTED_SECONDS, max)
    )
    table.rows.append(
        gangs("1 + 19 + 11: the first claim to the first start", _LARGE, options.gangs, TOGETHER_SECONDS, min)
    )
    table.notes.append(f"load before: {load:.1f}, after: {os.getloadavg()[0]:.1f} of {os.cpu_count()} cores")
    print(table.markdown())
    print(json.dumps({row.what: row.ratio for row in table.rows}))


if __name__ == "__main__":
    main()
