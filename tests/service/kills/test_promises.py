"""The checks of a history: they take one that keeps the promises, and refuse one that breaks any of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from service.kills import promises
from service.kills_support import Call, Look
from service.store_support import new_job

from batchpredict.job import State
from batchpredict.ledger.manifest import Manifest, PartFile
from batchpredict.service.queue.lifecycle import Standing
from batchpredict.service.store import Change, StoredJob

START = datetime(2030, 1, 1, tzinfo=timezone.utc)
EPOCH = START.timestamp()


def at(second: float) -> datetime:
    return START + timedelta(seconds=second)


def change(second: float, before: str, after: str, generation: int) -> Change:
    return Change("p", "j", generation, State(before) if before else None, State(after), at(second))


def look(second: float, state: str, **fields: str) -> Look:
    return Look(EPOCH + second, EPOCH + second + 0.1, {"jobId": "j", "state": state, **fields})


CHANGES = [
    change(0, "", "QUEUED", 0),
    change(1, "QUEUED", "PREPARING", 1),
    change(2, "PREPARING", "RUNNING", 1),
    change(9, "RUNNING", "QUEUED", 1),
    change(11, "QUEUED", "PREPARING", 2),
    change(12, "PREPARING", "RUNNING", 2),
    change(15, "RUNNING", "SUCCEEDED", 2),
]
LOOKS = [look(0.5, "QUEUED"), look(3, "RUNNING"), look(10, "QUEUED"), look(13, "RUNNING"), look(16, "SUCCEEDED")]
JOB = StoredJob(
    new_job("j"), 1, at(0), "etag", Standing(State.SUCCEEDED, at(15), 2, start_time=at(2), end_time=at(15))
)


def without(number: int) -> list[Change]:
    return CHANGES[:number] + CHANGES[number + 1 :]


def other(number: int, **fields: object) -> list[Change]:
    return [replace(one, **fields) if at == number else one for at, one in enumerate(CHANGES)]  # type: ignore[arg-type]


def test_a_path_through_the_table_is_taken():
    promises.check_path(CHANGES, LOOKS, JOB)


@pytest.mark.parametrize(
    ("what", "changes", "looks"),
    [
        ("no history", [], []),
        ("a state is missing", without(2), []),
        ("the first state is missing", without(0), []),
        ("the last state is another", without(6), []),
        ("time runs backwards", other(4, at=at(8)), []),
        ("a lease is given twice", other(4, generation=1), []),
        ("a lease is left out", [*CHANGES[:4], *(replace(one, generation=3) for one in CHANGES[4:])], []),
        ("an older lease is written under", other(6, generation=1), []),
        ("a state was seen that never was", CHANGES, [*LOOKS[:2], look(4, "CANCELLING")]),
        ("states were seen in another order", CHANGES, [LOOKS[-1], LOOKS[0]]),
        (
            "a time has changed",
            CHANGES,
            [look(3, "RUNNING", startTime="1"), look(13, "RUNNING", startTime="2")],
        ),
    ],
)
def test_another_path_is_refused(what, changes, looks):
    with pytest.raises(AssertionError):
        promises.check_path(changes, looks, JOB)


def test_a_job_that_ends_before_it_starts_is_refused():
    with pytest.raises(AssertionError, match="another order"):
        promises.check_path(CHANGES, [], replace(JOB, standing=replace(JOB.standing, end_time=at(1))))


def create(status: int, job: str = "j") -> Call:
    return Call("create", job, EPOCH, EPOCH + 1, status)


@pytest.mark.parametrize(
    ("statuses", "there"),
    [
        ([200], ["j"]),
        ([0, 200], ["j"]),
        ([0, 409], ["j"]),
        ([503, 409], ["j"]),
        ([0], []),
        ([0], ["j"]),
        ([400], []),
    ],
)
def test_creates_that_took_effect_once_are_taken(statuses, there):
    promises.check_calls([create(status) for status in statuses], there)


@pytest.mark.parametrize(
    ("statuses", "there", "reason"),
    [
        ([200], [], "lost"),
        ([0, 409], [], "lost"),
        ([200, 200], ["j"], "created twice"),
        ([409], ["j"], "before it was created"),
        ([409, 0], ["j"], "before it was created"),
        ([400], ["j"], "out of nothing"),
        ([200], ["j", "k"], "out of nothing"),
        ([200], ["j", "j"], "more than once"),
        ([500], [], "nobody expects"),
    ],
)
def test_creates_that_are_lost_or_doubled_are_refused(statuses, there, reason):
    with pytest.raises(AssertionError, match=reason):
        promises.check_calls([create(status) for status in statuses], there)


CANCEL = Call("cancel", "j", EPOCH + 3, EPOCH + 4, 200)
CANCELLED = [*CHANGES[:3], change(3.5, "RUNNING", "CANCELLING", 1), change(6, "CANCELLING", "CANCELLED", 1)]


def test_cancels_that_hold_are_taken():
    promises.check_cancels([CANCEL], CANCELLED, [look(3.2, "RUNNING"), look(5, "CANCELLING")])
    promises.check_cancels([replace(CANCEL, status=0)], CHANGES, LOOKS)


@pytest.mark.parametrize(
    ("changes", "looks", "reason"),
    [
        (CHANGES, [], "is lost"),
        ([*CHANGES[:3], change(4.5, "RUNNING", "CANCELLING", 1)], [], "after the answer"),
        ([*CANCELLED[:4], change(5, "CANCELLING", "QUEUED", 1)], [], "goes on"),
        (CANCELLED, [look(5, "RUNNING")], "goes on"),
    ],
)
def test_cancels_that_are_forgotten_are_refused(changes, looks, reason):
    with pytest.raises(AssertionError, match=reason):
        promises.check_cancels([CANCEL], changes, looks)


def run(generation: int, guard: int, began: float, ended: float | None = None) -> list[dict[str, object]]:
    """A process group that was given the job at `began`; killed without a word if it has no end."""

    def line(what: str, moment: float, name: str) -> dict[str, object]:
        return {"what": what, "run": name, "guard": guard, "pid": 1, "clock": moment, "at": EPOCH + moment}

    lines = [line("start", 0, f"mark/{guard}"), line("job", began, f"p/j/{generation}")]
    return lines + ([line("end", ended, f"p/j/{generation}")] if ended is not None else [])


def test_runs_one_after_the_other_are_taken():
    times = promises.check_runs([*run(1, 7, 1.5, 8), *run(2, 8, 11.5)], {"mark/7": 7.9, "mark/8": 15})
    assert times == {"p/j": {1: EPOCH + 1.5, 2: EPOCH + 11.5}}
    promises.check_leases(CHANGES, times["p/j"])


@pytest.mark.parametrize(
    ("lines", "alive", "reason"),
    [
        ([*run(1, 7, 1.5, 12), *run(2, 8, 11.5)], {}, "was alive 0.50 s after"),
        ([*run(1, 7, 1.5), *run(2, 8, 11.5)], {"mark/7": 12}, "was alive 0.50 s after"),
        ([*run(1, 7, 1.5, 8), *run(1, 8, 11.5)], {}, "run twice"),
    ],
)
def test_runs_at_the_same_time_are_refused(lines, alive, reason):
    with pytest.raises(AssertionError, match=reason):
        promises.check_runs(lines, alive)


@pytest.mark.parametrize(
    ("runs", "reason"),
    [
        ({1: EPOCH + 1.5}, "nothing ran"),
        ({1: EPOCH + 1.5, 2: EPOCH + 14}, "before it ran"),
        ({1: EPOCH + 11.6, 2: EPOCH + 11.5}, "older lease ran later"),
    ],
)
def test_what_is_written_without_the_run_is_refused(runs, reason):
    with pytest.raises(AssertionError, match=reason):
        promises.check_leases(CHANGES, runs)


def part(split: int, predictions: int, errors: int, worker: str) -> Manifest:
    return Manifest(
        fingerprint="0" * 16,
        split=split,
        forced_start=None,
        worker=worker,
        start_time=0.0,
        end_time=1.0,
        node_seconds=1.0,
        columns=(),
        results=PartFile("part", 1),
        errors=None,
        segments=(),
        predictions=predictions,
        error_count=errors,
        error_stats=(),
        batch_calls=1,
        batch_rows=1,
        batch_min=1,
        batch_max=1,
        call_seconds=0.0,
        load_seconds=0.0,
    )


def test_counts_are_the_sum_of_the_manifests():
    # The second split was done again, from the border that it should have had.
    parts = [part(0, 3, 1, "a"), part(1, 9, 9, "a"), part(1, 4, 0, "b")]
    assert promises.check_counts("j", {"predictionCount": "7", "errorCount": "1"}, parts) == 2
    with pytest.raises(AssertionError, match="its manifests"):
        promises.check_counts("j", {"predictionCount": "8", "errorCount": "1"}, parts)
