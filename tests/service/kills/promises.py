"""What must hold of a history (DESIGN §8). Each function raises AssertionError for the first thing that does not.

Those that say what jobs, runs and clients did are pure: what was seen goes in.
"""

from __future__ import annotations

import glob
import itertools
import os
import stat
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import support
from service.kills_support import PROJECT, Call, Look, Service

from batchpredict.job import TRANSITIONS, State
from batchpredict.ledger.manifest import Manifest
from batchpredict.ledger.staging import Staging
from batchpredict.service.store import Change, StoredJob

_CANCELLED = frozenset({"CANCELLING", "CANCELLED", "SUCCEEDED"})


def check_calls(calls: Sequence[Call], there: Iterable[str]) -> None:
    """No create that was acknowledged is lost, none takes effect twice; every answer is one that is known.

    Args:
      there: the ids of all jobs at the end.
    """
    for call in calls:
        assert call.status in (0, 200, 400, 409, 503), f"an answer that nobody expects: {call}"
    answers: dict[str, list[int]] = defaultdict(list)
    for call in calls:
        if call.what == "create":
            answers[call.job].append(call.status)
    for job_id, said in answers.items():
        assert said.count(200) <= 1, f"{job_id} was created twice: {said}"
        unheard = 0 in said[: said.index(409)] or 503 in said[: said.index(409)] if 409 in said else True
        assert unheard, f"{job_id} was there before it was created: {said}"
    known = {job_id for job_id, said in answers.items() if {200, 409} & {*said}}
    unknown = {job_id for job_id, said in answers.items() if {0, 503} & {*said}}
    found = Counter(there)
    assert known <= found.keys(), f"acknowledged and lost: {known - found.keys()}"
    assert found.keys() <= known | unknown, f"out of nothing: {found.keys() - known - unknown}"
    assert max(found.values(), default=0) <= 1, f"more than once: {found.most_common(1)}"


def check_path(changes: Sequence[Change], looks: Sequence[Look], job: StoredJob) -> None:
    """The states are a path through the table, times never run backwards, and what was seen was so.

    A generation is given by the change to PREPARING, each once, and all that follows is of the one that was given
    last: what a worker says under an older one is never written.
    """
    job_id = job.job_id
    assert changes, f"{job_id} has no history"
    assert (changes[0].before, changes[0].after) == (None, State.QUEUED), (job_id, changes[0])
    assert changes[-1].after is job.standing.state, (job_id, changes[-1], job.standing.state)
    for change, following in itertools.pairwise(changes):
        assert change.after == following.before, (job_id, changes)
        assert following.after in TRANSITIONS[change.after], (job_id, changes)
        assert change.at <= following.at, f"{job_id}: time runs backwards: {changes}"
    generation = 0
    for change in changes:
        if change.after is State.PREPARING:
            generation += 1
            assert change.generation == generation, f"{job_id}: a generation was given twice or left out"
        else:
            assert change.generation == generation, f"{job_id}: written under an older generation: {change}"
    assert job.standing.generation == generation, f"{job_id} ends under another generation: {job.standing}"
    path = iter([change.after.value for change in changes])
    states = [look.job["state"] for look in looks]
    for state, _ in itertools.groupby(states):
        assert state in path, f"{job_id} was seen {states}, which its history does not have in this order"
    for name in ("createTime", "startTime", "endTime"):
        values = [look.job[name] for look in looks if name in look.job]
        assert len(set(values)) <= 1, f"{job_id}: {name} has changed: {set(values)}"
    times = [job.created, job.standing.start_time, job.standing.end_time]
    known = [one for one in times if one is not None]
    assert sorted(known) == known, f"{job_id}: created, started and ended in another order: {known}"


def check_cancels(calls: Sequence[Call], changes: Sequence[Change], looks: Sequence[Look]) -> None:
    """Of one job: a cancel that was acknowledged is written by then, and holds; only success may overtake it."""
    for call in calls:
        if call.what != "cancel" or call.status != 200:
            continue
        written = [change for change in changes if change.after.value in ("CANCELLING", "CANCELLED")]
        assert written, f"a cancel is lost: {call}"
        assert written[0].at.timestamp() <= call.ended, f"{written[0]} was written after the answer: {call}"
        after = {look.job["state"] for look in looks if look.began > call.ended}
        after |= {change.after.value for change in changes[changes.index(written[0]) :]}
        assert after <= _CANCELLED, f"{call.job} goes on after its cancel: {after}"


def check_runs(lines: Iterable[Mapping[str, Any]], alive: Mapping[str, float]) -> dict[str, dict[int, float]]:
    """At any moment at most one lease of a job is live: no two process groups of it are there at once.

    Args:
      lines: of the workers' history: starts of process groups, which job each was given, and their ends.
      alive: as in `History`.

    Returns:
      For each job when (seconds since the epoch) it was given to a process, by the generation of the lease.
    """
    starts: dict[tuple[int, int], str] = {}
    intervals: dict[str, list[tuple[float, float, str]]] = defaultdict(list)
    given: dict[tuple[int, int], tuple[str, float]] = {}
    ends: dict[tuple[int, int], float] = {}
    times: dict[str, dict[int, float]] = defaultdict(dict)
    for line in lines:
        key = line["guard"], line["pid"]
        if line["what"] == "start":
            starts[key] = line["run"]
        elif line["what"] == "job":
            given[key] = line["run"], line["clock"]
            job, _, generation = line["run"].rpartition("/")
            times[job][int(generation)] = line["at"]
        else:
            ends[key] = line["clock"]
    for key, (run, began) in given.items():
        last = max(ends.get(key, began), alive.get(starts[key], began))
        intervals[run.rpartition("/")[0]].append((began, last, run))
    for runs in intervals.values():
        runs.sort()
        for (_, end, one), (start, _, other) in itertools.pairwise(runs):
            assert end <= start, f"{one} was alive {end - start:.2f} s after {other} began"
    names = [run for run, _ in given.values()]
    assert len(names) == len(set(names)), "a lease was run twice"
    return times


def check_leases(changes: Sequence[Change], runs: Mapping[int, float]) -> None:
    """Of one job: that it runs and that it succeeded is said under a lease whose process had been given it.

    Args:
      runs: when it was given to a process, by the generation of the lease.
    """
    assert sorted(runs.values()) == [runs[number] for number in sorted(runs)], f"an older lease ran later: {runs}"
    for change in changes:
        if change.after in (State.RUNNING, State.SUCCEEDED):
            began = runs.get(change.generation)
            assert began is not None, f"nothing ran under that lease: {change}"
            assert began <= change.at.timestamp(), f"written before it ran, at {began}: {change}"


def check_counts(job_id: str, output: Mapping[str, Any], manifests: Iterable[Manifest]) -> int:
    """Counts are the sum of the manifests; gives how many processes had a hand in the job."""
    # Of a split that was done again from another border, the last.
    splits = {manifest.split: manifest for manifest in manifests}
    predictions = sum(manifest.predictions for manifest in splits.values())
    errors = sum(manifest.error_count for manifest in splits.values())
    told = support.counts(dict(output))
    assert told == (predictions, errors), f"{job_id} says {told}, its manifests {predictions, errors}"
    return len({manifest.worker for manifest in splits.values()})


def manifests_in(output: str) -> list[Manifest]:
    """Those of the one job that writes, or wrote, into an output folder."""
    places = glob.glob(os.path.join(output, "_batchpredict", "*", "manifests"))
    stagings = [Staging(output, os.path.basename(os.path.dirname(place))) for place in places]
    return [one for staging in stagings for one in staging.read_all(support.committed(staging))]


def check_left(service: Service) -> None:
    """No process, socket or temporary folder is left when all jobs are over."""
    assert service.marked() == []
    assert os.listdir(os.path.join(service.state, "workers")) == []
    left = [name for name in os.listdir(service.temporary) if not name.startswith("batchpredict-gpus-")]
    assert left == [], f"temporary files are left: {left}"
    places = [os.path.join(path, name) for path, _, names in os.walk(service.folder) for name in names]
    sockets = [place for place in places if stat.S_ISSOCK(os.lstat(place).st_mode)]
    assert sockets == [], f"sockets are left: {sockets}"


def run_of(job_id: str) -> str:
    """A job's name in the workers' history."""
    return f"{PROJECT}/{job_id}"
