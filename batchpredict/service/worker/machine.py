"""What a worker does about what happens: a machine without a clock, a database or a process.

`step` takes how a worker stands, one event and the time, and gives how it stands then and what is to be done.
The shell (`loop`) does it and comes back with what happened. A job goes this way here:

    Claimed ──> StartProcess ──> Began, Reported … ──> Ended ──> Died ──> TellEnd ──> Settled
                     │                                            ↑
                     ├─ its lease is lost ──> Kill ───────────────┤   (then nothing is told)
                     └─ cancel, shutdown ──> AskToStop ──> Kill ──┘

What the machine sees to:

* Nothing is said of a job's end before every process of it is gone. So whoever is given the job next runs it alone.
* A lease is only held as long as the store has confirmed: what it does not confirm, the process group does not
  outlive (`Extend`), whether or not this worker still gets to do anything.
* A lease that the store says is ours and that we know nothing of was given in an answer that got lost: it is given
  back, or the job would wait for ever.
* A cancel and a shutdown ask first and kill after `stop_seconds`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

from batchpredict.job import State as JobState
from batchpredict.service.queue.fairness import Room, Usage
from batchpredict.service.store.interface import StoredJob
from batchpredict.service.worker import events as e
from batchpredict.service.worker.events import Event, Instruction, Outcome, Run


@dataclass(frozen=True)
class Rules:
    """What a worker has, and its times in seconds.

    Attributes:
      jobs, workers: room for jobs, and for their worker processes.
      lease: of a job, without renewal.
      margin: before the end of a lease, in which the processes of a job are ended.
      renew: between two renewals. A cancel is found by one.
      poll: between two looks for jobs, as long as there is room.
      stop_seconds: that a job process has to stop when it is asked to, before it is killed.
      spare: keep a process ready.
    """

    jobs: int
    workers: int
    lease: float = 15.0
    margin: float = 2.0
    renew: float = 1.0
    poll: float = 0.25
    stop_seconds: float = 5.0
    spare: bool = True

    @classmethod
    def of(cls, jobs: int, workers: int, lease: float, *, spare: bool = True) -> Rules:
        """Times that fit a lease."""
        return cls(jobs, workers, lease, margin=min(2.0, lease / 5), renew=min(1.0, lease / 3), spare=spare)


# A spare that died at once must not be started again at once, for ever.
_SPARE_WAIT = 5.0


class Why(Enum):
    """Why a process is to end."""

    CANCEL = "it was cancelled"
    SHUTDOWN = "the worker shuts down"
    LOST = "its lease was lost"


@dataclass(frozen=True)
class Hold:
    """A job that this worker has.

    Attributes:
      job: as it was claimed.
      began: its pipeline runs.
      committed: the last count; None before the first report of this run.
      outcome: what its process has said of its end.
      why: it was asked to stop, and for what.
      kill_at: when it is killed if it is still there; None for not.
      gone: no process is left, and the end is being told.
    """

    job: StoredJob
    began: bool = False
    committed: int | None = None
    outcome: Outcome | None = None
    why: Why | None = None
    kill_at: float | None = None
    gone: bool = False

    @property
    def workers(self) -> int:
        lease = self.job.standing.lease
        return lease.workers if lease else 1


@dataclass(frozen=True)
class State:
    """How a worker stands.

    Attributes:
      holds: by run.
      claiming, renewing: the store was asked and has not answered.
      unknown: leases that the store says are ours, which the round of claims that is under way may explain.
      next_…: when it is time for it.
      has_spare: a process is ready, or becomes so.
      leaving: it was told to shut down.
      halted: there is nothing left to do.
    """

    rules: Rules
    holds: Mapping[Run, Hold] = field(default_factory=dict)
    claiming: bool = False
    unknown: frozenset[Run] = frozenset()
    renewing: bool = False
    next_claim: float = 0.0
    next_renew: float = 0.0
    next_expire: float = 0.0
    next_report: float = 0.0
    next_spare: float = 0.0
    has_spare: bool = False
    leaving: bool = False
    halted: bool = False

    @property
    def room(self) -> Room:
        used = Usage(len(self.holds), sum(hold.workers for hold in self.holds.values()))
        return Room(self.rules.jobs, self.rules.workers, used)


Step = tuple[State, list[Instruction]]


def step(state: State, event: Event, now: float) -> Step:
    """What follows from an event; nothing once it has halted."""
    if state.halted:
        return state, []
    todo: list[Instruction] = []
    if isinstance(event, e.Tick):
        pass
    elif isinstance(event, e.Claimed):
        state, todo = _claimed(state, event)
    elif isinstance(event, e.Renewed):
        state, todo = _renewed(state, event, now)
    elif isinstance(event, e.NotRenewed):
        state, todo = replace(state, renewing=False), []
    elif isinstance(event, e.SpareDied):
        state, todo = replace(state, has_spare=False, next_spare=now + _SPARE_WAIT), []
    elif isinstance(event, e.Shutdown):
        state, todo = _shutdown(state, now)
    else:
        state, todo = _of_run(state, event, now)
    return _due(state, todo, now)


def _claimed(state: State, event: e.Claimed) -> Step:
    state = replace(state, claiming=False)
    todo: list[Instruction] = []
    for job in event.jobs:
        run = Run.of(job)
        if state.leaving or any(other.key == run.key for other in state.holds):
            # In the second case processes of an earlier lease of it are still about to end.
            state = _with(state, run, Hold(job, why=Why.SHUTDOWN, gone=True))
            todo.append(e.TellEnd(run, "release"))
            continue
        state = replace(_with(state, run, Hold(job)), has_spare=False, next_claim=0.0)
        todo.append(e.StartProcess(run, job, held_until(state.rules, event.asked)))
    todo += _given_back(state.unknown - state.holds.keys())
    return replace(state, unknown=frozenset()), todo


def _renewed(state: State, event: e.Renewed, now: float) -> Step:
    state = replace(state, renewing=False)
    todo: list[Instruction] = []
    confirmed = {
        Run(*key, standing.lease.generation): standing
        for key, standing in event.standings.items()
        if standing.lease is not None
    }
    for run in event.runs & state.holds.keys():
        hold = state.holds[run]
        if hold.gone or hold.why is Why.LOST:
            continue
        standing = confirmed.get(run)
        if standing is None:
            state = _with(state, run, replace(hold, why=Why.LOST, kill_at=now + state.rules.stop_seconds))
            todo.append(e.Kill(run))
            continue
        todo.append(e.Extend(run, held_until(state.rules, event.asked)))
        if standing.state is JobState.CANCELLING and hold.why is not Why.CANCEL:
            state, asked = _stop(state, run, Why.CANCEL, now)
            todo += asked
    unknown = frozenset(confirmed.keys() - event.runs - state.holds.keys())
    if state.claiming:
        return replace(state, unknown=state.unknown | unknown), todo
    return state, todo + _given_back(unknown)


def _given_back(runs: frozenset[Run]) -> list[Instruction]:
    return [e.TellEnd(run, "release") for run in sorted(runs, key=lambda run: (run.key, run.generation))]


def _shutdown(state: State, now: float) -> Step:
    state = replace(state, leaving=True)
    todo: list[Instruction] = []
    for run, hold in state.holds.items():
        if hold.why is None and not hold.gone:
            state, asked = _stop(state, run, Why.SHUTDOWN, now)
            todo += asked
    return state, todo


def _stop(state: State, run: Run, why: Why, now: float) -> Step:
    """Ask a process to stop, unless it was asked before: then it is only another reason."""
    hold = state.holds[run]
    if hold.why is not None:
        return _with(state, run, replace(hold, why=why)), []
    kill_at = now + state.rules.stop_seconds if hold.kill_at is None else hold.kill_at
    return _with(state, run, replace(hold, why=why, kill_at=kill_at)), [e.AskToStop(run, why.value)]


def _of_run(state: State, event: e.Began | e.Reported | e.Ended | e.Died | e.Settled, now: float) -> Step:
    run = event.run
    hold = state.holds.get(run)
    if hold is None:
        return state, []
    if isinstance(event, e.Settled):
        rest = {other: kept for other, kept in state.holds.items() if other != run}
        return replace(state, holds=rest, next_claim=0.0), []
    if hold.gone:
        return state, []
    if isinstance(event, e.Died):
        return _died(state, run, hold, event.how)
    if hold.why is Why.LOST:
        return state, []
    if isinstance(event, e.Ended):
        kill_at = now + state.rules.stop_seconds if hold.kill_at is None else hold.kill_at
        return _with(state, run, replace(hold, outcome=hold.outcome or event.outcome, kill_at=kill_at)), []
    todo: list[Instruction] = [] if hold.began else [e.TellBegin(run)]
    hold = replace(hold, began=True)
    if isinstance(event, e.Reported):
        advanced = hold.committed is not None and event.committed > hold.committed
        todo.append(e.TellReport(run, advanced, event.output, event.progress))
        hold = replace(hold, committed=max(event.committed, hold.committed or 0))
    return _with(state, run, hold), todo


def _died(state: State, run: Run, hold: Hold, how: str) -> Step:
    if hold.why is Why.LOST:
        rest = {other: kept for other, kept in state.holds.items() if other != run}
        return replace(state, holds=rest, next_claim=0.0), [e.Forget(run)]
    state = _with(state, run, replace(hold, gone=True, kill_at=None))
    todo: list[Instruction] = []
    if isinstance(hold.outcome, e.Done):
        if not hold.began:
            todo.append(e.TellBegin(run))
        todo.append(e.TellEnd(run, "succeed", output=hold.outcome.output))
    elif hold.why is Why.CANCEL:
        todo.append(e.TellEnd(run, "stop"))
    elif isinstance(hold.outcome, e.Refused):
        todo.append(e.TellEnd(run, "fail", hold.outcome.message, error=hold.outcome.error))
    elif hold.why is Why.SHUTDOWN:
        todo.append(e.TellEnd(run, "release"))
    else:
        todo.append(e.TellEnd(run, "lose", how))
    return state, todo


def _due(state: State, todo: list[Instruction], now: float) -> Step:
    """With everything whose time has come."""
    rules = state.rules
    for run, hold in state.holds.items():
        if hold.kill_at is not None and now >= hold.kill_at:
            state = _with(state, run, replace(hold, kill_at=now + rules.stop_seconds))
            todo.append(e.Kill(run))
    if not state.renewing and now >= state.next_renew:
        # Without jobs only to find those that are held without our knowing.
        wait = rules.renew if state.holds else rules.lease / 3
        state = replace(state, renewing=True, next_renew=now + wait)
        todo.append(e.RenewLeases(frozenset(state.holds)))
    if now >= state.next_report:
        state = replace(state, next_report=now + rules.lease / 3)
        todo.append(e.ReportWorker(len(state.holds)))
    if now >= state.next_expire:
        state = replace(state, next_expire=now + rules.lease / 5)
        todo.append(e.ExpireLeases())
    if state.leaving:
        if not state.holds and not state.claiming and not state.halted:
            state = replace(state, halted=True)
            todo.append(e.Halt())
        return state, todo
    free = len(state.holds) < rules.jobs and state.room.used.workers < rules.workers
    if free and not state.claiming and now >= state.next_claim:
        state = replace(state, claiming=True, next_claim=now + rules.poll)
        todo.append(e.AskForJobs(state.room, frozenset(run.key for run in state.holds)))
    # Imports take a core for seconds, which a job that is being started needs more.
    calm = all(hold.began for hold in state.holds.values())
    if rules.spare and calm and not state.has_spare and now >= state.next_spare:
        state = replace(state, has_spare=True)
        todo.append(e.KeepSpare())
    return state, todo


def held_until(rules: Rules, asked: float) -> float:
    """Until when a lease that was given or renewed is surely held: the store counts from later than `asked`."""
    return asked + rules.lease - rules.margin


def _with(state: State, run: Run, hold: Hold) -> State:
    return replace(state, holds={**state.holds, run: hold})
