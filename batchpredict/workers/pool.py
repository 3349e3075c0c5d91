"""The worker processes of one job on one machine, and the threads that look after them.

Each split is attended to by a thread, which has it scored by a free process and, when that dies, decides with
`supervision` what to try next. Processes are started as they are needed, so a job of one split pays for one
import of TensorFlow.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Protocol

from batchpredict.errors import BatchPredictError, BudgetSpent, DeviceFailed, JobCancelled, WorkerLost
from batchpredict.job import ErrorBudget
from batchpredict.ledger import Manifest, Tally, check_early
from batchpredict.scoring import Task
from batchpredict.workers.process import Died, WorkerProcess
from batchpredict.workers.protocol import Progress, Setup, Warned
from batchpredict.workers.slots import MachineSlots, Slot
from batchpredict.workers.supervision import GiveUp, Instruction, ProcessStarts, SplitDeaths

# Between two looks whether the machine has a slot: its holder is another process, which tells nobody.
_SLOT_SECONDS = 0.5
# Fresh processes that a split gets after its device has failed. Two, as the first may still meet a device that the
# failure of some other process has left unusable for a moment.
_DEVICE_RETRIES = 2


class Worker(Protocol):
    """A worker process as its supervisor sees it: see `WorkerProcess`."""

    def run(
        self, task: Task, on_progress: Callable[[Progress], None], on_warning: Callable[[Warned], None]
    ) -> Manifest | None:
        """Have one split scored. None if another attempt had committed it first.

        Raises:
          Died: the process ended before it answered.
          BatchPredictError: what ends the job; also one that a callback has raised.
        """
        ...

    def kill(self) -> None:
        """End the process; whoever waits for its answer gets `Died`."""
        ...

    def close(self) -> None:
        """End the process and let go of everything."""
        ...


@dataclass(frozen=True)
class Allowance:
    """The error budget of a job, with what it needs to be judged while the job runs.

    Attributes:
      budget: None for no limit.
      total_bytes: input bytes of the job.
      before: what earlier runs of the job had committed.
    """

    budget: ErrorBudget | None = None
    total_bytes: int = 0
    before: Tally = field(default_factory=Tally)


class WorkerPool:
    """Up to `size` worker processes. Safe to use from any thread.

    Args:
      setup: what each process must know.
      size: most processes at a time.
      allowance: the error budget; when it is spent the pool fails.
      on_warning: told what the job's user should hear now; from any of the pool's threads.
      exact_cuts: files are never cut at guessed borders.
      slots: of the machine, which each process after the first one needs; None where no other pool works for the
        same pipeline on this machine.
      spawn: starts a worker process.
    """

    def __init__(
        self,
        setup: Setup,
        size: int,
        *,
        allowance: Allowance | None = None,
        on_warning: Callable[[str], None] | None = None,
        exact_cuts: bool = True,
        slots: MachineSlots | None = None,
        spawn: Callable[[Setup], Worker] = WorkerProcess,
    ) -> None:
        self._setup = setup
        self._spawn = spawn
        self._size = size
        self._allowance = allowance or Allowance()
        self._on_warning = on_warning or _ignore
        self._lock = threading.Lock()
        self._given_back = threading.Condition(self._lock)
        self._slots = slots
        self._held: dict[Worker, Slot] = {}
        self._idle: list[Worker] = []
        self._busy: set[Worker] = set()
        self._under_way: dict[int, Progress] = {}
        self._committed = self._allowance.before
        self._first_error: str | None = None
        self._failure: BatchPredictError | None = None
        self._starts = ProcessStarts()
        self._exact_cuts = exact_cuts
        self._warned: set[str] = set()
        self._threads = ThreadPoolExecutor(size, thread_name_prefix="split")

    def start(self, count: int) -> None:
        """Start processes now, so that they load the model while the job is being set up."""
        with self._lock:
            while len(self._idle) < min(count, self._size):
                self._idle.append(self._spawn(self._setup))

    def adopt(self, process: WorkerProcess) -> None:
        """Take a process that was started before its job was known, and give it the job."""
        process.assign(self._setup)
        with self._lock:
            self._idle.append(process)

    def submit(self, task: Task) -> Future[Manifest | None]:
        """Have a split scored. The result is its manifest, or None if another attempt had committed it.

        The future raises JobFailed or InvalidJob for what ends the whole job, JobCancelled after `cancel`; so
        does this method once the job has ended that way.
        """
        try:
            return self._threads.submit(self._attend, task)
        except RuntimeError:
            # The pool has ended; why it did is what the caller wants to hear.
            self._raise_failure()
            raise

    def under_way(self) -> Tally:
        """What the splits that are being scored at this moment have come to."""
        with self._lock:
            running = list(self._under_way.values())
        return sum((Tally(one.predictions, one.errors, one.bytes_read) for one in running), Tally())

    @property
    def failure(self) -> BatchPredictError | None:
        """What ended the pool, if anything did."""
        return self._failure

    def cancel(self, reason: BatchPredictError | None = None) -> None:
        """End every process now. Splits under way are not committed; all futures raise `reason`."""
        with self._lock:
            if self._failure is None:
                self._failure = reason or JobCancelled("The job was cancelled.")
            for process in (*self._idle, *self._busy):
                process.kill()
            self._given_back.notify_all()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def close(self) -> None:
        """Wait for what was submitted, then end the processes."""
        self._threads.shutdown(wait=True)
        with self._lock:
            idle, self._idle = self._idle, []
        for process in idle:
            process.close()
            self._release(process)

    def _attend(self, task: Task) -> Manifest | None:
        deaths = SplitDeaths()
        device_failures = 0
        while True:
            try:
                process = self._take()
            except BatchPredictError as error:
                raise self._fail(error) from error
            try:
                manifest = self._run(process, task)
            except Died as death:
                self._drop(process)
                self._raise_failure()
                self._on_warning(f"a worker process {death.end}; split {task.split.index} is tried again")
                deaths, task = self._after(death, task, deaths)
            except DeviceFailed as error:
                self._drop(process)
                self._raise_failure()
                device_failures += 1
                if device_failures > _DEVICE_RETRIES:
                    raise self._fail(error) from error
                self._on_warning(f"{error} Split {task.split.index} is tried again in a fresh process.")
            except BaseException as error:
                self._drop(process)
                if isinstance(error, BatchPredictError):
                    raise self._fail(error) from error
                raise
            else:
                self._give_back(process)
                self._book(task, manifest)
                return manifest

    def _run(self, process: Worker, task: Task) -> Manifest | None:
        split = task.split.index
        limited = replace(task, error_limit=self._errors_left() if self._final(task) else None)
        try:
            return process.run(limited, lambda progress: self._progress(task, progress), self._warn)
        finally:
            with self._lock:
                self._under_way.pop(split, None)

    def _after(self, death: Died, task: Task, deaths: SplitDeaths) -> tuple[SplitDeaths, Task]:
        instruction: Instruction
        with self._lock:
            if death.ready:
                self._starts = self._starts.after_ready()
                deaths, instruction = deaths.after_death(task, death.calling, death.end)
            else:
                self._starts, instruction = self._starts.after_death(task, death.end, death.tail)
        if isinstance(instruction, GiveUp):
            raise self._fail(WorkerLost(instruction.reason))
        return deaths, instruction.task

    def _take(self) -> Worker:
        """A process that is free, or a new one; waited for while the machine has no slot for one more."""
        with self._lock:
            while True:
                self._raise_failure()
                process = self._idle.pop() if self._idle else self._started()
                if process is not None:
                    self._busy.add(process)
                    return process
                self._given_back.wait(_SLOT_SECONDS)

    def _started(self) -> Worker | None:
        """A new process; None if there is one already and the machine has no slot for another."""
        slot = None if self._slots is None else self._slots.claim()
        if slot is None and self._slots is not None and self._busy:
            return None
        try:
            process = self._spawn(self._setup)
        except BaseException:
            if slot is not None:
                slot.release()
            raise
        if slot is not None:
            self._held[process] = slot
        return process

    def _release(self, process: Worker) -> None:
        slot = self._held.pop(process, None)
        if slot is not None:
            slot.release()

    def _give_back(self, process: Worker) -> None:
        with self._lock:
            self._starts = self._starts.after_ready()
            self._busy.discard(process)
            self._idle.append(process)
            self._given_back.notify()

    def _drop(self, process: Worker) -> None:
        process.close()
        with self._lock:
            self._busy.discard(process)
            self._release(process)
            self._given_back.notify()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _fail(self, error: BatchPredictError) -> BatchPredictError:
        """End the pool for a reason; the first reason stands."""
        self.cancel(error)
        assert self._failure is not None
        return self._failure

    def _warn(self, warning: Warned) -> None:
        """Pass a warning on, unless a process has given one of its kind already, with other particulars perhaps."""
        with self._lock:
            known = warning.kind in self._warned
            self._warned.add(warning.kind)
        if not known:
            self._on_warning(warning.message)

    def _errors_left(self) -> int | None:
        budget = self._allowance.budget
        if budget is None or budget.is_percentage:
            return None
        with self._lock:
            return max(int(budget.limit) - self._committed.errors, 0)

    def _final(self, task: Task) -> bool:
        """Whether the errors of an attempt may be held against the job.

        A TFRecord file is cut at guessed borders, and a wrong guess finds errors that are none. They are counted
        when the job is published, once the ends of its splits have been chained.
        """
        return self._exact_cuts or task.certain

    def _progress(self, task: Task, progress: Progress) -> None:
        if not self._final(task):
            progress = replace(progress, errors=0, first_error=None)
        with self._lock:
            self._under_way[task.split.index] = progress
            self._first_error = self._first_error or progress.first_error
        self._check_budget()

    def _book(self, task: Task, manifest: Manifest | None) -> None:
        # A split that is read again has been counted once.
        if manifest is None or task.forced_start is not None:
            return
        errors = manifest.error_count if self._final(task) else 0
        with self._lock:
            self._committed += Tally(manifest.predictions, errors, manifest.bytes_read)
            if errors and manifest.error_stats:
                self._first_error = self._first_error or manifest.error_stats[0][0]
        self._check_budget()

    def _check_budget(self) -> None:
        so_far = self._committed + self.under_way()
        try:
            check_early(self._allowance.budget, so_far, self._allowance.total_bytes, self._first_error)
        except BudgetSpent as error:
            raise self._fail(error) from error


def _ignore(message: str) -> None:
    del message
