"""A worker: the shell of threads, processes and clock around `machine`.

One thread holds the machine and is fed by a queue; it never waits for the store or for a process. Two more ask the
store, one for jobs and one for everything about leases, so that a store that hangs delays neither the machine nor
what the other asks. Each job has a thread that listens to its process (`running`) and one that tells the store
(`reporter`).
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from batchpredict.errors import BatchPredictError
from batchpredict.service.queue import lifecycle
from batchpredict.service.queue.fairness import Grant, choose
from batchpredict.service.store.interface import Store, StoredJob
from batchpredict.service.store.interface import Worker as WorkerReport
from batchpredict.service.worker import events as e
from batchpredict.service.worker import protocol
from batchpredict.service.worker.admission import admit
from batchpredict.service.worker.clock import clock
from batchpredict.service.worker.joblog import SERVICE
from batchpredict.service.worker.leftovers import WorkerFolder, machine_name
from batchpredict.service.worker.listening import Listening
from batchpredict.service.worker.machine import Rules, State, step
from batchpredict.service.worker.masking import Mask
from batchpredict.service.worker.options import WorkerOptions
from batchpredict.service.worker.reporter import Reporter, ending
from batchpredict.service.worker.running import JOB, JobProcess, Setting
from batchpredict.service.worker.watches.leader import WatchLeader

_log = logging.getLogger(__name__)

# Between two looks at the clock.
_TICK_SECONDS = 0.1
_SPARE_DELAY = 1.0
_HISTORY_BYTES = 10 << 20
# That the processes of watches have to end; they have nothing to bring to an end.
_LEADER_SECONDS = 6.0


class JobWorker:
    """Claims jobs and runs them, until it is told to stop.

    Args:
      store: of the service.
      options: what this worker has.

    Raises:
      OSError: its folder cannot be made.
    """

    def __init__(self, store: Store, options: WorkerOptions) -> None:
        self._store = store
        self._options = options
        self._mask = Mask.of(options.environ)
        self._folder = WorkerFolder(options.state)
        self.worker = self._folder.worker
        self._events: queue.SimpleQueue[e.Event] = queue.SimpleQueue()
        self._setting = Setting(
            options.environ,
            os.path.join(options.state, "history.jsonl"),
            options.runner,
            options.user,
            options.memory,
        )
        self._processes: dict[e.Run, JobProcess[protocol.Message]] = {}
        self._reporters: dict[e.Run, Reporter] = {}
        self._spare: tuple[JobProcess[protocol.Message], Listening] | None = None
        self._claims = ThreadPoolExecutor(1, thread_name_prefix="claims")
        self._leases = ThreadPoolExecutor(1, thread_name_prefix="leases")
        self._strays = ThreadPoolExecutor(1, thread_name_prefix="strays")
        self._leader = WatchLeader(store, options, self._folder, self._setting)
        self._thread: threading.Thread | None = None
        self._halted = threading.Event()

    def start(self) -> None:
        """Run in a thread of its own."""
        self._thread = threading.Thread(target=self.run, name="worker", daemon=True)
        self._thread.start()

    def stop(self, seconds: float | None = None) -> bool:
        """Give all jobs back and end. Safe to call from a signal handler with `seconds` of 0.

        Args:
          seconds: to wait for that; None for as long as it takes.

        Returns:
          Whether it has ended.
        """
        self._events.put(e.Shutdown())
        return self._halted.wait(seconds)

    def run(self) -> None:
        """Run in this thread until `stop` is called."""
        try:
            self._leases.submit(self._guarded, self._take_over)
            self._trim_history()
            self._leader.start()
            self._steps()
        finally:
            self._leader.stop(_LEADER_SECONDS)
            for executor in (self._claims, self._leases, self._strays):
                executor.shutdown(wait=False, cancel_futures=True)
            self._end_processes()
            self._folder.close()
            self._halted.set()

    def _steps(self) -> None:
        options = self._options
        rules = Rules.of(options.jobs, options.workers, options.lease, spare=options.spare)
        # After a restart there may be jobs that wait; they come first.
        state = State(rules, next_spare=clock() + _SPARE_DELAY)
        while not state.halted:
            event: e.Event = e.Tick()
            with contextlib.suppress(queue.Empty):
                event = self._events.get(timeout=_TICK_SECONDS)
            state, instructions = step(state, event, clock())
            for instruction in instructions:
                self._do(instruction)

    def _end_processes(self) -> None:
        """End whatever is left, also where the machine has failed."""
        left = [*self._processes.values(), *([self._spare[0]] if self._spare else [])]
        for process in left:
            process.kill()
        for process in left:
            process.wait(10)

    # What the machine wants done ------------------------------------------------------------------------------

    def _do(self, instruction: e.Instruction) -> None:
        if isinstance(instruction, e.AskForJobs):
            self._claims.submit(self._guarded, self._claim, instruction)
        elif isinstance(instruction, e.RenewLeases):
            self._leases.submit(self._guarded, self._renew, instruction.runs)
        elif isinstance(instruction, e.ExpireLeases):
            self._leases.submit(self._guarded, self._store.expire)
        elif isinstance(instruction, e.ReportWorker):
            self._leases.submit(self._guarded, self._report, instruction.jobs)
        elif isinstance(instruction, e.KeepSpare):
            self._keep_spare()
        elif isinstance(instruction, e.StartProcess):
            self._start(instruction)
        elif isinstance(instruction, e.Extend):
            self._of(instruction.run, lambda process: process.extend(instruction.until))
        elif isinstance(instruction, e.AskToStop):
            self._reporters[instruction.run].log("INFO", SERVICE, f"Job is being stopped: {instruction.why}.")
            self._of(instruction.run, JobProcess.stop)
        elif isinstance(instruction, e.Kill):
            self._of(instruction.run, JobProcess.kill)
        elif isinstance(instruction, (e.TellBegin, e.TellReport, e.TellEnd, e.Forget)):
            self._tell(instruction)

    def _of(self, run: e.Run, what: Callable[[JobProcess[protocol.Message]], None]) -> None:
        process = self._processes.get(run)
        if process is not None:
            what(process)

    def _tell(self, told: e.TellBegin | e.TellReport | e.TellEnd | e.Forget) -> None:
        reporter = self._reporters.get(told.run)
        if reporter is not None:
            reporter.tell(told)
        elif isinstance(told, e.TellEnd):
            self._strays.submit(self._guarded, self._end_stray, told)
        if isinstance(told, (e.TellEnd, e.Forget)):
            self._reporters.pop(told.run, None)
            self._processes.pop(told.run, None)

    def _start(self, start: e.StartProcess) -> None:
        run, job = start.run, start.job
        reporter = Reporter(self._store, job, self._mask, lambda run: self._events.put(e.Settled(run)))
        self._reporters[run] = reporter
        reporter.start()
        spare, self._spare = self._spare, None
        try:
            process, listening = spare if spare and not spare[0].wait(0) else self._spawn(early=False)
        except (OSError, ValueError) as error:
            self._events.put(e.Died(run, f"it could not be started: {error}"))
            return
        self._processes[run] = process
        listening.attach(run, reporter)
        order = protocol.Order(
            job=dict(job.new.document),
            pinned=dict(job.new.pinned),
            workers=job.standing.lease.workers if job.standing.lease else job.new.workers,
            runner=self._options.runner,
            flags=list(self._options.runner_flags),
            roots=list(self._options.roots),
            excluded=list(self._options.excluded),
        )
        threading.Thread(target=self._give, args=(process, run, order, start.until), daemon=True).start()

    def _give(self, process: JobProcess[protocol.Message], run: e.Run, order: protocol.Order, until: float) -> None:
        try:
            order = admit(self._store, self._options.rendezvous, run, order)
        except Exception as error:
            # Its hosts could not meet. It is heard of as a process that died, and the job is tried again.
            _log.warning("the job %s/%s cannot be given to its process: %s", run.project, run.job_id, error)
            process.kill()
            return
        process.give(order, f"{run.project}/{run.job_id}/{run.generation}", until)

    def _keep_spare(self) -> None:
        if self._spare is not None and not self._spare[0].wait(0):
            # The one whose death was heard of had been given a job meanwhile.
            return
        try:
            self._spare = self._spawn(early=True)
        except (OSError, ValueError) as error:
            _log.warning("no process can be kept ready: %s", error)
            self._events.put(e.SpareDied())

    def _spawn(self, *, early: bool) -> tuple[JobProcess[protocol.Message], Listening]:
        mark, folder = self._folder.new_run()
        listening = Listening(self._events.put)
        return JobProcess(JOB, self._setting, mark, folder, listening, early=early), listening

    # What asks the store, each in a thread of its own ---------------------------------------------------------

    def _guarded(self, function: Callable[..., object], *arguments: object) -> None:
        try:
            function(*arguments)
        except BatchPredictError as error:
            _log.warning("the store does not answer: %s", error)
        except Exception:
            _log.exception("a step of the worker failed")

    def _claim(self, ask: e.AskForJobs) -> None:
        asked = clock()
        claimed: list[StoredJob] = []
        try:
            waiting = [one for one in self._store.waiting() if (one.project, one.job_id) not in ask.held]
            if not waiting:
                return
            lease = timedelta(seconds=self._options.lease)
            for grant in choose(waiting, self._store.usage(), ask.room, self._options.limits):
                asked = min(asked, clock())
                self._guarded(self._take, grant, lease, claimed)
        finally:
            self._events.put(e.Claimed(tuple(claimed), asked))

    def _take(self, grant: Grant, lease: timedelta, claimed: list[StoredJob]) -> None:
        job = self._store.claim(
            grant.job.project, grant.job.job_id, self.worker, lease, grant.workers, self._options.limits
        )
        if job is not None:
            claimed.append(job)

    def _renew(self, runs: frozenset[e.Run]) -> None:
        asked = clock()
        try:
            standings = self._store.renew(self.worker, timedelta(seconds=self._options.lease))
        except BaseException:
            self._events.put(e.NotRenewed())
            raise
        self._events.put(e.Renewed(standings, runs, asked))

    def _report(self, jobs: int) -> None:
        self._store.report_worker(
            WorkerReport(self.worker, machine_name(), self._options.workers, jobs, self._store.now())
        )

    def _end_stray(self, end: e.TellEnd) -> None:
        try:
            with contextlib.suppress(lifecycle.LeaseLost):
                self._store.tell(*end.run.key, ending(end, self._mask))
        finally:
            self._events.put(e.Settled(end.run))

    def _take_over(self) -> None:
        """Give back what dead workers of this machine held; nothing of theirs runs any more."""
        for dead in self._folder.bury_dead():
            self._leader.give_back(dead)
            for (project, job_id), standing in self._store.renew(dead, timedelta(seconds=1)).items():
                if standing.lease is not None:
                    event = lifecycle.Lose(standing.lease.generation, f"the worker {dead} was killed")
                    with contextlib.suppress(lifecycle.LeaseLost):
                        self._store.tell(project, job_id, event)

    def _trim_history(self) -> None:
        path = self._setting.history
        with contextlib.suppress(OSError):
            if os.stat(path).st_size > _HISTORY_BYTES:
                os.replace(path, f"{path}.1")
