"""The pool of worker processes: who is used, what is tried again, and what ends it all."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from batchpredict.errors import BudgetSpent, JobCancelled, JobFailed, ModelUnusable, WorkerLost
from batchpredict.formats.records import Segment
from batchpredict.formats.splits import Split
from batchpredict.job import ErrorBudget
from batchpredict.ledger.budget import Tally
from batchpredict.ledger.manifest import Manifest, PartFile
from batchpredict.scoring.place import Place, Range
from batchpredict.scoring.task import Task
from batchpredict.workers.pool import Allowance, WorkerPool
from batchpredict.workers.process import Died
from batchpredict.workers.protocol import Progress, Setup, Warned
from batchpredict.workers.slots import MachineSlots
from batchpredict.workers.supervision import ProcessEnd

SETUP = Setup("{}", "f00d", 1)
CRASHED = ProcessEnd(-signal.SIGABRT)


def task(index: int) -> Task:
    return Task(Split(index, (Segment("in.json", 0, 100, 100, True),)))


def manifest(split: int, predictions: int = 10, errors: int = 0) -> Manifest:
    return Manifest(
        "f00d", split, None, "w", 0.0, 0.0, 0.0, ("y",), PartFile("p", 0), None, (), predictions, errors,
        (("bad", errors),) if errors else (), 0, 0, 0, 0, 0.0, 0.0,
    )  # fmt: skip


class Worker:
    """A worker process that does as a test says; `run` of it is a step of a test's own."""

    def __init__(self, run: Callable[..., Manifest | None]) -> None:
        self._run = run
        self.closed = False
        self.killed = threading.Event()

    def run(self, task: Task, on_progress: Any, on_warning: Any) -> Manifest | None:
        assert not self.closed, "a worker that is gone is used"
        return self._run(self, task, on_progress, on_warning)

    def kill(self) -> None:
        self.killed.set()

    def close(self) -> None:
        self.kill()
        self.closed = True


class Machine:
    """Starts workers that share what they do; keeps them all."""

    def __init__(self, run: Callable[..., Manifest | None]) -> None:
        self.workers: list[Worker] = []
        self._run = run

    def __call__(self, setup: Setup) -> Worker:
        assert setup == SETUP
        self.workers.append(Worker(self._run))
        return self.workers[-1]


@pytest.fixture
def pool() -> Iterator[Any]:
    pools: list[WorkerPool] = []

    def make(run: Callable[..., Manifest | None], size: int = 1, **options: Any) -> tuple[WorkerPool, Machine]:
        machine = Machine(run)
        pools.append(WorkerPool(SETUP, size, spawn=machine, **options))
        return pools[-1], machine

    yield make
    for one in pools:
        one.close()


def done(worker: Worker, task: Task, on_progress: Any, on_warning: Any) -> Manifest | None:
    return manifest(task.split.index)


def dies(*ends: Died | None) -> Callable[..., Manifest | None]:
    """Attempts that end so, one after the other, whoever makes them; None and all that follow are well."""
    left = iter(ends)

    def run(worker: Worker, task: Task, on_progress: Any, on_warning: Any) -> Manifest | None:
        death = next(left, None)
        if death is not None:
            raise death
        return done(worker, task, on_progress, on_warning)

    return run


class TestProcesses:
    def test_one_that_is_free_is_used_again(self, pool: Any) -> None:
        workers, machine = pool(done)
        for index in range(5):
            assert workers.submit(task(index)).result() == manifest(index)
        assert len(machine.workers) == 1

    def test_are_started_as_they_are_needed_up_to_the_size(self, pool: Any) -> None:
        together = threading.Barrier(2)

        def run(worker: Worker, task: Task, *_: Any) -> Manifest | None:
            together.wait(10)
            return manifest(task.split.index)

        workers, machine = pool(run, size=2)
        for future in [workers.submit(task(index)) for index in range(6)]:
            future.result()
        assert len(machine.workers) == 2

    def test_may_be_started_beforehand_and_not_more_than_the_size(self, pool: Any) -> None:
        workers, machine = pool(done, size=2)
        workers.start(1)
        workers.start(5)
        assert len(machine.workers) == 2
        workers.submit(task(0)).result()
        assert len(machine.workers) == 2

    def test_of_several_pools_of_a_machine_are_no_more_than_its_slots(self, pool: Any, tmp_path: Any) -> None:
        """As where a cluster runs a process of steps for each core, and each has a pool for all of them."""

        def run(worker: Worker, task: Task, *_: Any) -> Manifest | None:
            time.sleep(0.05)
            return manifest(task.split.index)

        slots = MachineSlots(2, str(tmp_path))
        several = [pool(run, size=4, slots=slots) for _ in range(3)]
        futures = [workers.submit(task(index)) for workers, _ in several for index in range(8)]
        assert [future.result(30) for future in futures] == [manifest(index) for index in range(8)] * 3
        started = [len(machine.workers) for _, machine in several]
        assert min(started) == 1, "each pool gets on with one, whoever has the slots"
        assert sum(started) <= 2 + 2, started

    def test_give_their_slots_back(self, pool: Any, tmp_path: Any) -> None:
        slots = MachineSlots(1, str(tmp_path))
        workers, _ = pool(dies(Died(CRASHED, None, "", True)), size=1, slots=slots)
        assert workers.submit(task(0)).result() == manifest(0)
        workers.close()
        assert slots.claim() is not None

    def test_end_with_the_pool(self, pool: Any) -> None:
        workers, machine = pool(done, size=3)
        workers.start(3)
        workers.submit(task(0)).result()
        workers.close()
        assert all(worker.closed for worker in machine.workers)

    def test_that_cannot_be_started_fail_the_job(self) -> None:
        def spawn(setup: Setup) -> Worker:
            raise JobFailed("A worker process cannot be started: [Errno 12] Cannot allocate memory")

        workers = WorkerPool(SETUP, 1, spawn=spawn)
        with pytest.raises(JobFailed, match="cannot be started"):
            workers.submit(task(0)).result()
        assert isinstance(workers.failure, JobFailed)
        workers.close()

    def test_one_that_fails_in_a_way_that_nobody_thought_of_is_not_used_again(self, pool: Any) -> None:
        def run(worker: Worker, *_: Any) -> Manifest | None:
            raise ZeroDivisionError

        workers, machine = pool(run)
        with pytest.raises(ZeroDivisionError):
            workers.submit(task(0)).result()
        assert machine.workers[0].closed


class TestDeaths:
    def test_a_split_is_tried_again_by_another_process_and_the_user_is_told(self, pool: Any) -> None:
        said: list[str] = []
        calling = Range(Place(0, 3), Place(0, 5))
        workers, machine = pool(dies(Died(CRASHED, calling, "", True)), on_warning=said.append)
        assert workers.submit(task(7)).result() == manifest(7)
        assert [worker.closed for worker in machine.workers] == [True, False]
        assert said == ["a worker process was killed by SIGABRT; split 7 is tried again"]

    def test_the_next_attempt_is_what_supervision_says(self, pool: Any) -> None:
        tasks: list[Task] = []
        calling = Range(Place(0, 3), Place(0, 5))
        deaths = dies(*[Died(CRASHED, calling, "", True)] * 2)

        def run(worker: Worker, task: Task, *rest: Any) -> Manifest | None:
            tasks.append(task)
            return deaths(worker, task, *rest)

        workers, _ = pool(run)
        workers.submit(task(0)).result()
        assert [(one.careful, one.suspects) for one in tasks] == [(False, ()), (True, ()), (True, (calling,))]

    def test_three_that_never_get_ready_end_the_job_with_what_they_wrote(self, pool: Any) -> None:
        workers, machine = pool(dies(*[Died(CRASHED, None, "Illegal instruction", False)] * 9))
        with pytest.raises(WorkerLost, match=r"before it had loaded the model\. It had written: Illegal instr"):
            workers.submit(task(0)).result()
        assert len(machine.workers) == 3

    def test_it_takes_more_once_a_process_was_ready(self, pool: Any) -> None:
        workers, machine = pool(dies(None, *[Died(CRASHED, None, "", False)] * 9))
        workers.submit(task(0)).result()
        assert workers.submit(task(1)).result() == manifest(1)
        assert len(machine.workers) == 10

    def test_a_split_that_leads_nowhere_ends_the_job(self, pool: Any) -> None:
        workers, _ = pool(dies(*[Died(CRASHED, None, "", True)] * 50))
        with pytest.raises(WorkerLost, match="10 times over split 0, always outside the model"):
            workers.submit(task(0)).result()


class TestEnd:
    def test_the_first_reason_is_everybodys(self, pool: Any) -> None:
        def run(worker: Worker, task: Task, *_: Any) -> Manifest | None:
            if task.split.index == 1:
                raise ModelUnusable("no such signature")
            worker.killed.wait(10)
            raise Died(ProcessEnd(-signal.SIGKILL), None, "", True)

        workers, _ = pool(run, size=2)
        for future in [workers.submit(task(index)) for index in (0, 1)]:
            with pytest.raises(ModelUnusable, match="no such signature"):
                future.result()
        with pytest.raises(ModelUnusable):
            workers.submit(task(2))
        assert isinstance(workers.failure, ModelUnusable)

    def test_cancelling_ends_every_process(self, pool: Any) -> None:
        begun = threading.Event()

        def run(worker: Worker, *_: Any) -> Manifest | None:
            begun.set()
            worker.killed.wait(10)
            raise Died(ProcessEnd(-signal.SIGKILL), None, "", True)

        workers, machine = pool(run, size=2)
        workers.start(2)
        future = workers.submit(task(0))
        begun.wait(10)
        workers.cancel()
        with pytest.raises(JobCancelled):
            future.result()
        workers.cancel(JobFailed("too late"))
        assert isinstance(workers.failure, JobCancelled)
        assert all(worker.killed.is_set() for worker in machine.workers)


class TestBudget:
    def fails(self, budget: str, run: Callable[..., Manifest | None], pool: Any, **allowance: Any) -> str:
        workers, _ = pool(run, allowance=Allowance(ErrorBudget.read(budget), **allowance))
        for index in range(3):
            try:
                workers.submit(task(index)).result()
            except BudgetSpent as spent:
                return str(spent)
        raise AssertionError("the budget should have been spent")

    @pytest.mark.parametrize(
        ("budget", "before", "said"),
        [
            ("0", Tally(), "1 of the 501 records so far failed. For example: in.json at byte 7: bad"),
            ("5", Tally(100, 5, 10), "6 of the 606 records so far failed. For example: in.json at byte 7: bad"),
        ],
    )
    def test_its_numbers_are_of_all_records_that_were_read(
        self, budget: str, before: Tally, said: str, pool: Any
    ) -> None:
        """The model had not been called with any of this split."""

        def run(worker: Worker, task: Task, on_progress: Any, on_warning: Any) -> Manifest | None:
            on_progress(Progress(500, 1, 0, "in.json at byte 7: bad"))
            raise BudgetSpent("in.json at byte 7: bad")

        message = self.fails(budget, run, pool, before=before)
        assert message == f"More errors than maxErrors ({budget}) allows: {said}"

    def test_errors_of_splits_that_are_done_count(self, pool: Any) -> None:
        def run(worker: Worker, task: Task, *_: Any) -> Manifest | None:
            return manifest(task.split.index, 10, 2)

        assert "4 of the 24 records so far failed" in self.fails("3", run, pool)

    def test_a_split_knows_how_many_are_left(self, pool: Any) -> None:
        limits: list[int | None] = []

        def run(worker: Worker, task: Task, *_: Any) -> Manifest | None:
            limits.append(task.error_limit)
            return manifest(task.split.index, 10, 2)

        self.fails("5", run, pool, before=Tally(10, 1, 10))
        assert limits == [4, 2, 0]

    def test_errors_behind_a_guessed_border_are_not_held_against_the_job(self, pool: Any) -> None:
        guessed = Task(Split(0, (Segment("in.tfrecord", 50, 100, 100),)))

        def run(worker: Worker, task: Task, on_progress: Any, on_warning: Any) -> Manifest | None:
            assert task.error_limit is None
            on_progress(Progress(0, 50, 0, "x"))
            return manifest(0, 0, 50)

        workers, _ = pool(run, allowance=Allowance(ErrorBudget.read("0")), exact_cuts=False)
        assert workers.submit(guessed).result() == manifest(0, 0, 50)


def test_what_is_under_way_is_known_until_it_is_done(pool: Any) -> None:
    told, go_on = threading.Event(), threading.Event()

    def run(worker: Worker, task: Task, on_progress: Any, on_warning: Any) -> Manifest | None:
        on_progress(Progress(3, 1, 70, "x"))
        told.set()
        go_on.wait(10)
        return manifest(0)

    workers, _ = pool(run)
    future = workers.submit(task(0))
    told.wait(10)
    assert workers.under_way() == Tally(3, 1, 70)
    go_on.set()
    future.result()
    assert workers.under_way() == Tally()


def test_a_kind_of_warning_is_given_once(pool: Any) -> None:
    said: list[str] = []

    def run(worker: Worker, task: Task, on_progress: Any, on_warning: Any) -> Manifest | None:
        on_warning(Warned("all_refused", f"the model: it has refused everything {task.split.index}"))
        on_warning(Warned("too_large", f"the model: a call of it is too large {task.split.index}"))
        return manifest(task.split.index)

    workers, _ = pool(run, on_warning=said.append)
    for index in range(3):
        workers.submit(task(index)).result()
    assert said == ["the model: it has refused everything 0", "the model: a call of it is too large 0"]
