"""Random lives of a worker: whatever happens in whatever order, these hold.

A small world answers what the machine asks for: a store with fenced leases as `queue.lifecycle` has them, and
processes that begin, report, end, die or hang. Nothing is real, so a thousand lives take seconds.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from service.worker_support import BEGINNING

from batchpredict.job import TERMINAL
from batchpredict.job import State as JobState
from batchpredict.service.queue import lifecycle
from batchpredict.service.store import NewJob, StoredJob
from batchpredict.service.worker import events as e
from batchpredict.service.worker.events import Run
from batchpredict.service.worker.machine import Rules, State, step
from batchpredict.service.worker.masking import Mask
from batchpredict.service.worker.reporter import ending

RULES = Rules(jobs=2, workers=4, lease=15.0, margin=2.0, renew=1.0, poll=0.25, stop_seconds=5.0, spare=False)
JOBS = ("a", "b", "c")


@dataclass
class Process:
    """A job process: alive until somebody ends it, or until its time is over."""

    until: float
    asked: bool = False


class World:
    """A store and processes, by the same clock."""

    def __init__(self) -> None:
        self.now = 0.0
        self.state = State(RULES)
        self.jobs = {name: lifecycle.queued(self.time()) for name in JOBS}
        self.processes: dict[Run, Process] = {}
        self.claims = 0
        self.renewals: list[e.RenewLeases] = []
        self.tells: list[e.TellBegin | e.TellReport | e.TellEnd] = []
        self.halted = False
        self.ends: Counter[Run] = Counter()

    def time(self):
        return BEGINNING + timedelta(seconds=self.now)

    def put(self, event: e.Event) -> None:
        self.state, todo = step(self.state, event, self.now)
        for one in todo:
            self.do(one)

    def do(self, one: e.Instruction) -> None:
        assert not self.halted, "nothing is done after the end"
        if isinstance(one, e.AskForJobs):
            assert one.room.used.jobs < one.room.jobs
            self.claims += 1
            assert self.claims == 1, "two rounds of claims at once"
        elif isinstance(one, e.RenewLeases):
            self.renewals.append(one)
            assert len(self.renewals) == 1, "two renewals at once"
        elif isinstance(one, e.StartProcess):
            assert not [run for run in self.processes if run.key == one.run.key], "two processes of a job"
            self.processes[one.run] = Process(one.until)
        elif isinstance(one, e.Extend):
            if one.run in self.processes:
                self.processes[one.run].until = one.until
        elif isinstance(one, e.AskToStop):
            assert not self.processes[one.run].asked, "asked twice"
            self.processes[one.run].asked = True
        elif isinstance(one, e.Kill):
            assert one.run in self.processes
        elif isinstance(one, (e.TellBegin, e.TellReport, e.TellEnd)):
            if isinstance(one, e.TellEnd):
                assert one.run not in self.processes, "its end is told before its process is gone"
                if one.run in self.state.holds or one.event != "release":
                    self.ends[one.run] += 1
                    assert self.ends[one.run] == 1, "two ends of a run"
            self.tells.append(one)
        elif isinstance(one, e.Forget):
            assert one.run not in self.processes
        elif isinstance(one, e.Halt):
            assert not self.processes
            self.halted = True

    def apply(self, name: str, event: lifecycle.Event) -> bool:
        """Whether the store took an event."""
        try:
            self.jobs[name] = lifecycle.step(self.jobs[name], event, self.time())
        except (lifecycle.LeaseLost, lifecycle.NotNow, lifecycle.Finished):
            return False
        return True

    # What can happen, one thing at a time -----------------------------------------------------------------

    def tick(self, seconds: float) -> None:
        self.now += seconds
        for run, process in list(self.processes.items()):
            if self.now >= process.until:
                self.die(run, "its lease was not renewed in time")
        for name, standing in self.jobs.items():
            if standing.lease is not None and self.time() >= standing.lease.until:
                # Nobody's process may still be there when somebody else may have the job.
                assert not [run for run in self.processes if run.job_id == name], "a process outlives its lease"
                self.apply(name, lifecycle.Expire())
        self.put(e.Tick())

    def answer_claims(self, heard: bool, taken: int) -> None:
        if not self.claims:
            return
        asked = self.now
        claimed: list[StoredJob] = []
        room = min(taken, RULES.jobs - len(self.state.holds))
        for name in JOBS:
            until = self.time() + timedelta(seconds=RULES.lease)
            if len(claimed) < room and self.apply(name, lifecycle.Claim("w", until, 2)):
                standing = self.jobs[name]
                claimed.append(StoredJob(NewJob("p", name, {}), 1, BEGINNING, "e", standing))
        self.claims = 0
        self.put(e.Claimed(tuple(claimed) if heard else (), asked))

    def answer_renewal(self, heard: bool) -> None:
        if not self.renewals:
            return
        asked = self.renewals.pop()
        found = {}
        for name, standing in self.jobs.items():
            if standing.lease is not None:
                until = self.time() + timedelta(seconds=RULES.lease)
                assert self.apply(name, lifecycle.Renew(standing.lease.generation, until))
                found[("p", name)] = self.jobs[name]
        self.put(e.Renewed(found, asked.runs, self.now) if heard else e.NotRenewed())

    def hear_tell(self) -> None:
        """The store hears the oldest thing that it has been told."""
        if not self.tells:
            return
        told = self.tells.pop(0)
        generation = told.run.generation
        if isinstance(told, e.TellBegin):
            self.apply(told.run.job_id, lifecycle.Begin(generation))
        elif isinstance(told, e.TellReport):
            self.apply(told.run.job_id, lifecycle.Advance(generation))
        else:
            self.apply(told.run.job_id, ending(told, Mask()))
            self.put(e.Settled(told.run))

    def process(self, number: int, what: str) -> None:
        if not self.processes:
            return
        run = sorted(self.processes, key=lambda run: run.job_id)[number % len(self.processes)]
        if what == "begin":
            self.put(e.Began(run))
        elif what == "report":
            self.put(e.Reported(run, number))
        elif what == "succeed":
            self.put(e.Ended(run, e.Done({"n": 1})))
        elif what == "fail":
            self.put(e.Ended(run, e.Refused("no")))
        elif what == "stop" and self.processes[run].asked:
            self.put(e.Ended(run, e.Stopped()))
        elif what == "die":
            self.die(run, "it was ended by SIGKILL")

    def die(self, run: Run, how: str) -> None:
        del self.processes[run]
        self.put(e.Died(run, how))

    def cancel(self, number: int) -> None:
        self.apply(JOBS[number % len(JOBS)], lifecycle.Cancel("by test"))

    def lose(self, number: int) -> None:
        """The store forgets a lease: it was restored from a copy, say."""
        name = JOBS[number % len(JOBS)]
        standing = self.jobs[name]
        if standing.lease is not None:
            self.apply(name, lifecycle.Lose(standing.lease.generation, "of a test"))

    def all_over(self) -> bool:
        ended = all(standing.state in TERMINAL for standing in self.jobs.values())
        return ended and not self.state.holds and not self.tells

    def settle(self) -> None:
        """Everything goes well from here on."""
        for _ in range(400):
            if self.halted:
                # A lease that it never heard of ends by itself.
                self.tick(2 * RULES.lease)
                return
            if not self.state.leaving and self.all_over():
                return
            self.answer_claims(True, 3)
            self.answer_renewal(True)
            self.hear_tell()
            for run in list(self.processes):
                if self.state.holds[run].kill_at is None:
                    self.put(e.Began(run))
                    self.put(e.Ended(run, e.Done()))
                self.die(run, "it ended with status 0")
            self.tick(1.0)


HAPPENINGS = st.one_of(
    st.tuples(st.just("tick"), st.sampled_from([0.1, 0.3, 1.0, 3.0, 5.0, 14.0])),
    st.tuples(st.just("answer_claims"), st.booleans(), st.integers(1, 3)),
    st.tuples(st.just("answer_renewal"), st.booleans()),
    st.tuples(st.just("hear_tell")),
    st.tuples(
        st.just("process"),
        st.integers(0, 5),
        st.sampled_from(["begin", "report", "succeed", "fail", "stop", "die"]),
    ),
    st.tuples(st.just("cancel"), st.integers(0, 2)),
    st.tuples(st.just("lose"), st.integers(0, 2)),
)


def lived(happenings: list[tuple[Any, ...]], *, shutdown: bool) -> World:
    world = World()
    world.tick(0.0)
    for name, *arguments in happenings:
        getattr(world, name)(*arguments)
    if shutdown:
        world.put(e.Shutdown())
    world.settle()
    return world


@given(st.lists(HAPPENINGS, max_size=60))
@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow])
def test_every_job_ends_whatever_happened_before(happenings):
    world = lived(happenings, shutdown=False)
    assert {name: standing.state for name, standing in world.jobs.items() if standing.state not in TERMINAL} == {}
    assert not world.state.holds
    assert not world.processes


@given(st.lists(HAPPENINGS, max_size=60))
@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow])
def test_a_shutdown_leaves_nothing_held_and_nothing_running(happenings):
    world = lived(happenings, shutdown=True)
    assert world.halted
    assert not world.processes
    assert [name for name, standing in world.jobs.items() if standing.lease is not None] == []
    assert {standing.state for standing in world.jobs.values()} <= {JobState.QUEUED, *TERMINAL}


@given(st.lists(HAPPENINGS, max_size=40))
@settings(max_examples=100)
def test_the_machine_is_a_function(happenings):
    """The same events give the same instructions, and a state that is kept is not changed by what follows."""
    world = World()
    world.tick(0.0)
    before = world.state
    kept = replace(before)
    for name, *arguments in happenings:
        getattr(world, name)(*arguments)
    assert before == kept
    assert step(before, e.Tick(), 5.0) == step(kept, e.Tick(), 5.0)
