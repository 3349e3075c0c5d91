"""Who is to blame for a dead worker: the machine until the same record has been at hand three times."""

from __future__ import annotations

import signal
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchpredict.errors import WorkerLost
from batchpredict.formats.records import Segment
from batchpredict.formats.splits import Split
from batchpredict.scoring.place import Place, Range
from batchpredict.scoring.task import Task
from batchpredict.workers.supervision import GiveUp, Instruction, ProcessEnd, ProcessStarts, SplitDeaths, TryAgain

TASK = Task(Split(4, (Segment("in.json", 0, 100, 100),)))
CRASHED = ProcessEnd(-signal.SIGABRT)


def rows(first: int, last: int, segment: int = 0) -> Range:
    return Range(Place(segment, first), Place(segment, last))


class Deaths:
    """The deaths over one split, and a supervisor that does as it is told."""

    def __init__(self) -> None:
        self._known = SplitDeaths()

    def after_death(self, task: Task, calling: Range | None, end: ProcessEnd) -> Task:
        self._known, instruction = self._known.after_death(task, calling, end)
        if isinstance(instruction, GiveUp):
            raise WorkerLost(instruction.reason)
        return instruction.task


class Model:
    """A model that dies of some records, called in batches of 10 and as the task says."""

    def __init__(self, deadly: set[int], count: int = 100) -> None:
        self.deadly = deadly
        self.count = count

    def dies_over(self, task: Task) -> Range | None:
        """The records that were with the model when the attempt died; None if it came to its end."""
        alive = [row for row in range(self.count) if Place(0, row) not in task.crashing]
        for start in range(0, len(alive), 10):
            batch = alive[start : start + 10]
            alone = any(suspect.holds(Place(0, row)) for suspect in task.suspects for row in batch)
            for call in [[row] for row in batch] if alone else [batch]:
                if self.deadly.intersection(call):
                    return rows(call[0], call[-1])
        return None


class TestRecords:
    def test_the_first_death_is_held_against_nobody(self) -> None:
        task = Deaths().after_death(TASK, rows(10, 19), CRASHED)
        assert task.careful
        assert task.suspects == ()
        assert task.crashing == ()
        assert task.split == TASK.split

    def test_a_second_death_over_the_same_records_makes_them_suspects(self) -> None:
        deaths = Deaths()
        task = deaths.after_death(TASK, rows(0, 63), CRASHED)
        task = deaths.after_death(task, rows(10, 19), CRASHED)
        assert task.suspects == (rows(10, 19),)
        assert task.crashing == ()

    def test_kills_from_outside_count_only_when_they_are_no_chance(self) -> None:
        deaths = Deaths()
        sigkill = ProcessEnd(-signal.SIGKILL)
        task = deaths.after_death(TASK, rows(10, 19), sigkill)
        task = deaths.after_death(task, rows(10, 19), sigkill)
        for _ in range(2):
            task = deaths.after_death(task, rows(12, 12), sigkill)
            assert task.crashing == ()
        task = deaths.after_death(task, rows(12, 12), sigkill)
        assert task.crashing == (Place(0, 12),)

    def test_a_suspect_that_kills_alone_is_crashing(self) -> None:
        deaths = Deaths()
        task = deaths.after_death(TASK, rows(10, 19), CRASHED)
        task = deaths.after_death(task, rows(10, 19), CRASHED)
        task = deaths.after_death(task, rows(13, 13), CRASHED)
        assert task.crashing == (Place(0, 13),)
        assert task.suspects == (rows(10, 19),), "a further one among them should cost one death, not three"
        assert task.crash_message == (
            "The model crashed its process: it was killed by SIGABRT when it was given this record alone."
        )

    def test_a_record_that_was_called_alone_from_the_start_needs_three_deaths_too(self) -> None:
        deaths = Deaths()
        task = deaths.after_death(TASK, rows(13, 13), CRASHED)
        task = deaths.after_death(task, rows(13, 13), CRASHED)
        assert task.crashing == ()
        assert deaths.after_death(task, rows(13, 13), CRASHED).crashing == (Place(0, 13),)

    def test_kills_in_different_places_are_no_record_s_doing(self) -> None:
        deaths = Deaths()
        task = TASK
        for start in range(0, 290, 10):
            task = deaths.after_death(task, rows(start, start), CRASHED)
        assert task.suspects == ()
        assert task.crashing == ()

    def test_a_row_that_dies_alone_outside_of_the_suspects_is_not_crashing(self) -> None:
        deaths = Deaths()
        task = deaths.after_death(TASK, rows(10, 19), CRASHED)
        task = deaths.after_death(task, rows(10, 19), CRASHED)
        task = deaths.after_death(task, rows(40, 40), CRASHED)
        assert task.crashing == ()
        assert task.suspects == (rows(10, 19),)

    def test_suspects_that_die_together_are_only_called_alone_from_then_on(self) -> None:
        deaths = Deaths()
        task = deaths.after_death(TASK, rows(10, 19), CRASHED)
        task = deaths.after_death(task, rows(10, 19), CRASHED)
        assert task.alone == ()
        task = deaths.after_death(task, rows(10, 19), CRASHED)
        assert task.crashing == ()
        assert task.alone == (rows(10, 19),)

    def test_the_same_index_in_another_segment_is_another_record(self) -> None:
        deaths = Deaths()
        task = deaths.after_death(TASK, rows(10, 19, segment=0), CRASHED)
        task = deaths.after_death(task, rows(10, 19, segment=1), CRASHED)
        assert task.suspects == ()

    @pytest.mark.parametrize("deadly", [{13}, {0}, {99}, {13, 14}, {13, 57}, {0, 11, 22, 33, 44, 55, 66, 77, 88}])
    def test_a_split_ends_with_just_its_deadly_records_crashing(self, deadly: set[int]) -> None:
        model, deaths, task = Model(deadly), Deaths(), TASK
        count = 0
        while (calling := model.dies_over(task)) is not None:
            task = deaths.after_death(task, calling, CRASHED)
            count += 1
        assert {place.record for place in task.crashing} == deadly
        assert count <= 3 * len(deadly)


class TestGivingUp:
    def test_ten_deaths_outside_of_the_model(self) -> None:
        deaths = Deaths()
        task = TASK
        for _ in range(9):
            task = deaths.after_death(task, None, CRASHED)
            assert task.careful
        with pytest.raises(WorkerLost) as caught:
            deaths.after_death(task, None, ProcessEnd(3))
        assert str(caught.value) == (
            "A worker process exited with status 3 10 times over split 4, always outside the model."
        )

    def test_only_in_a_row(self) -> None:
        deaths = Deaths()
        for start in range(5):
            for _ in range(9):
                deaths.after_death(TASK, None, CRASHED)
            deaths.after_death(TASK, rows(start, start), CRASHED)

    def test_a_hundred_records_that_crash_the_model(self) -> None:
        deaths = Deaths()
        task = deaths.after_death(TASK, rows(0, 200), CRASHED)
        task = deaths.after_death(task, rows(0, 200), CRASHED)
        for record in range(100):
            task = deaths.after_death(task, rows(record, record), CRASHED)
        assert len(task.crashing) == 100
        with pytest.raises(
            WorkerLost, match=r"^The model crashed its process on more than 100 records of split 4\.$"
        ):
            deaths.after_death(task, rows(100, 100), CRASHED)

    def test_thirty_deaths_that_led_nowhere(self) -> None:
        deaths = Deaths()
        for start in range(29):
            deaths.after_death(TASK, rows(start, start), CRASHED)
        with pytest.raises(WorkerLost) as caught:
            deaths.after_death(TASK, rows(90, 90), CRASHED)
        assert str(caught.value) == (
            "Worker processes died 30 times over split 4; the last one was killed by SIGABRT."
        )


class TestStarts:
    def run(self, ends: list[int | None]) -> list[str]:
        """What is said of starts that end one after the other; None is one that is ready."""
        starts, said = ProcessStarts(), []
        for status in ends:
            instruction: Instruction
            if status is None:
                starts = starts.after_ready()
                continue
            starts, instruction = starts.after_death(TASK, ProcessEnd(status), "Illegal instruction")
            said.append("again" if instruction == TryAgain(TASK) else str(instruction))
        return said

    def test_three_that_fail_are_enough(self) -> None:
        assert self.run([1, 1]) == ["again"] * 2
        assert self.run([1, 1, 1])[2:] == [
            str(GiveUp(
                "A worker process exited with status 1 before it had loaded the model. It had written: "
                "Illegal instruction"
            ))
        ]  # fmt: skip

    def test_where_others_were_ready_or_somebody_kills_it_takes_ten(self) -> None:
        assert self.run([None, *[1] * 9]) == ["again"] * 9
        assert self.run([-signal.SIGKILL] * 9) == ["again"] * 9
        assert self.run([None, *[1] * 10])[9] != "again"
        assert self.run([-signal.SIGKILL] * 10)[9] != "again"

    def test_only_in_a_row(self) -> None:
        assert self.run([1, 1, None] * 20) == ["again"] * 40


class Schedule:
    """A model and a machine that kill processes as they like, replayed without any.

    Args:
      crashing: records that always crash the model.
      together: pairs of records that do so in one call.
      bad_luck: what happens at a call, one after the other: an exit status for a death that is nobody's fault.
    """

    def __init__(self, crashing: set[int], together: set[tuple[int, int]], bad_luck: list[int | None]) -> None:
        self._crashing, self._together = crashing, together
        self._luck = iter(bad_luck)
        self.count = 40

    def attempt(self, task: Task) -> tuple[Range | None, ProcessEnd] | None:
        """How an attempt ended: the records that were with the model, and the end; None if it was well."""
        if (status := next(self._luck, None)) is not None:
            return None, ProcessEnd(status)
        alive = [row for row in range(self.count) if Place(0, row) not in task.crashing]
        for start in range(0, len(alive), 10):
            for call in self._calls(alive[start : start + 10], task):
                status = next(self._luck, None)
                crashes = self._crashing.intersection(call) or any({*pair} <= {*call} for pair in self._together)
                if crashes or status is not None:
                    return rows(call[0], call[-1]), CRASHED if crashes else ProcessEnd(status or 0)
        return None

    def _calls(self, batch: list[int], task: Task) -> list[list[int]]:
        def among(ranges: tuple[Range, ...]) -> list[int]:
            return [row for row in batch if any(one.holds(Place(0, row)) for one in ranges)]

        if among(task.alone):
            return [[row] for row in batch]
        return [*([row] for row in among(task.suspects)), batch]


RECORDS = st.integers(0, 39)


@given(
    st.sets(RECORDS, max_size=8),
    st.sets(st.tuples(RECORDS, RECORDS).filter(lambda pair: pair[0] != pair[1]), max_size=3),
    st.lists(st.none() | st.sampled_from([-signal.SIGKILL, -signal.SIGTERM, 1]), max_size=60),
)
def test_any_schedule_of_deaths_ends_and_blames_no_record_that_did_not_crash(
    crashing: set[int], together: set[tuple[int, int]], bad_luck: list[int | None]
) -> None:
    schedule = Schedule(crashing, together, bad_luck)
    state, task, deaths = SplitDeaths(), TASK, 0
    lone: Counter[tuple[int, bool]] = Counter()
    while (death := schedule.attempt(task)) is not None:
        calling, end = death
        deaths += 1
        assert deaths <= 10 * 30 + 3 * schedule.count, "a split must come to its end"
        if calling is not None and calling.first == calling.last:
            lone[calling.first.record, end.killed] += 1
        before = state, task
        state, instruction = state.after_death(task, calling, end)
        assert before[0].after_death(before[1], calling, end) == (state, instruction), "the same again"
        if isinstance(instruction, GiveUp):
            break
        task = instruction.task
    blamed = {place.record for place in task.crashing}
    # What is held against a record is a crash of its lone call, or three kills of it that cannot be chance.
    assert blamed <= {record for (record, killed), count in lone.items() if not killed or count >= 3}
    if death is None:
        assert crashing <= blamed
    if not bad_luck:
        assert blamed == crashing


@pytest.mark.parametrize(
    ("returncode", "cause"),
    [
        (0, "exited with status 0"),
        (3, "exited with status 3"),
        (-signal.SIGKILL, "was killed by SIGKILL"),
        (-250, "was killed by signal 250"),
    ],
)
def test_how_a_process_ended(returncode: int, cause: str) -> None:
    assert str(ProcessEnd(returncode)) == cause


def test_ranges_include_both_ends() -> None:
    assert rows(3, 5).holds(Place(0, 3))
    assert rows(3, 5).holds(Place(0, 5))
    assert not rows(3, 5).holds(Place(0, 6))
    assert rows(3, 5).meets(rows(5, 9))
    assert rows(5, 9).meets(rows(3, 5))
    assert not rows(3, 5).meets(rows(6, 9))
