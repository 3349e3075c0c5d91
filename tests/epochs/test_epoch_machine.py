"""The machine of epochs by itself: what is taken, what is done next, and that nothing is lost in any order."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from batchpredict.epochs.files import Changed, Sighting, Verdict, judge
from batchpredict.epochs.machine import Look, PutAside, Rest, Revise, Try, backoff, decide, may_begin
from batchpredict.epochs.state import (
    Begun,
    Compacted,
    Event,
    Failed,
    FileList,
    Revised,
    Run,
    SetAside,
    State,
    Succeeded,
)

LIST = FileList("l", 1, 1)


def after(*events: Event) -> State:
    state = State()
    for event in events:
        state = state.after(event)
    return state


def begun(epoch: int) -> Begun:
    return Begun(epoch, LIST, "m", {})


def step(state: State, *, now=0.0, due=None, busy=(), next_look=0.0):
    return decide(state, now=now, due=due or {}, busy=busy, next_look=next_look, tries=2)


@pytest.mark.parametrize(
    ("taken", "seen_for", "age", "changed", "verdict"),
    [
        (True, 0.0, 0.0, Changed.FAIL, Verdict.KNOWN),
        (None, 0.0, 5.0, Changed.FAIL, Verdict.WAIT),
        (None, 0.0, 10.0, Changed.FAIL, Verdict.TAKE),
        (None, 10.0, 5.0, Changed.FAIL, Verdict.TAKE),
        (None, 9.0, None, Changed.FAIL, Verdict.WAIT),
        (None, 0.0, -100.0, Changed.FAIL, Verdict.WAIT),
        (None, 10.0, -100.0, Changed.FAIL, Verdict.TAKE),
        (False, 0.0, 5.0, Changed.RESCORE, Verdict.WAIT),
        (False, 0.0, 10.0, Changed.RESCORE, Verdict.RESCORE),
        (False, 0.0, 10.0, Changed.IGNORE, Verdict.IGNORE),
        (False, 0.0, 0.0, Changed.FAIL, Verdict.REFUSE),
    ],
)
def test_what_is_done_with_a_file(taken, seen_for, age, changed, verdict):
    assert judge(Sighting(taken, seen_for, age), settle=10.0, changed=changed) is verdict


def test_what_is_open_comes_before_what_is_new():
    assert step(State()) == Look()
    assert step(State(), next_look=5.0) == Rest(5.0)
    assert step(after(begun(1))) == Try(1)
    assert step(after(begun(1)), busy={1}) == Look()
    assert step(after(begun(1), begun(2))) == Try(1)
    assert step(after(begun(1), Succeeded(1, {}))) == Look()


def test_one_that_failed_by_itself_rests_while_others_go_on():
    failed = after(begun(1), Failed(1, "BudgetSpent", "no"))
    assert step(failed, due={1: 10.0}) == Look()
    assert step(failed, due={1: 10.0}, next_look=30.0) == Rest(10.0)
    assert step(failed, due={1: 10.0}, now=10.0) == Try(1)
    again = failed.after(Failed(1, "BudgetSpent", "no"))
    assert step(again, due={1: 10.0}) == PutAside(1)
    assert step(again.after(SetAside(1)), due={1: 10.0}) == Look()


def test_one_whose_files_are_not_what_they_were_is_revised_first():
    failed = after(begun(1), Failed(1, "NoInput", "changed"))
    assert step(failed) == Revise(1)
    revised = failed.after(Revised(1, FileList("other", 1, 1), "m"))
    assert step(revised) == Try(1)
    assert revised.claimed == {1: FileList("other", 1, 1)}
    assert failed.after(Revised(1, FileList("", 0, 0), "m")).claimed == {}


def test_in_an_outage_at_most_two_are_begun_and_none_is_set_aside():
    out = Failed(1, "RunnerFailed", "no cluster")
    state = after(begun(1), out)
    assert not may_begin(state, 2)
    assert step(state, due={1: 10.0}) == Rest(10.0)
    state = state.after(out)
    assert may_begin(state, 2)
    state = state.after(begun(2)).after(Failed(2, "ModelUnusable", "gone"))
    assert not may_begin(state, 2)
    for _ in range(10):
        state = state.after(out)
    assert step(state) == Try(1)
    assert may_begin(state.after(Succeeded(1, {})), 2)


def test_in_an_outage_it_rests_while_another_watcher_tries_although_a_look_would_be_due():
    state = after(begun(1), Failed(1, "RunnerFailed", "no cluster"))
    assert step(state, busy={1}, now=100.0, next_look=50.0) == Rest(math.inf)


def test_it_counts_against_an_epoch_when_another_one_has_succeeded():
    out = Failed(1, "RunnerFailed", "too large")
    state = after(begun(1), out, out, begun(2), Succeeded(2, {}), out)
    assert (state.outage, state.open[0].counted) == (0, 1)
    assert step(state.after(out)) == PutAside(1)


def test_an_epoch_that_was_set_aside_is_taken_up_with_what_is_said_then():
    state = after(begun(1), Failed(1, "BudgetSpent", "no"), SetAside(1), begun(2))
    state = state.after(Revised(1, LIST, "other", retry=True, source={"maxErrors": 9}))
    (first, second) = state.open
    assert (first.number, first.model, first.source, first.failures) == (1, "other", {"maxErrors": 9}, 0)
    assert second.number == 2
    assert state.aside == ()


def test_what_comes_too_late_changes_nothing():
    state = after(begun(1), Succeeded(1, {}))
    for event in (begun(1), begun(3), Failed(1, "E", ""), Succeeded(1, {}), SetAside(1), Revised(1, LIST, "m")):
        assert state.after(event) == state
    assert state.after(Revised(1, LIST, "m", retry=True)) == state


def test_rests_grow_and_are_bounded():
    assert [backoff(failures) for failures in (1, 2, 3, 6, 1000)] == [10.0, 20.0, 40.0, 300.0, 300.0]


@dataclass
class Watcher:
    """What one watcher knows: the log up to a place. What it holds of a listing dies with it."""

    known: int = 0
    state: State = field(default_factory=State)
    claim: tuple[int, str] | None = None


@dataclass
class Job:
    """A job of an epoch that a watcher, perhaps a dead one, has begun."""

    epoch: int
    list: str


NAMES = st.sampled_from("abcd")
WATCHERS = st.integers(0, 2)


class Epochs(RuleBasedStateMachine):
    """Files come, change and go; watchers look, claim, do, fail and die; each step of each at any time.

    Here the store is a dict, the log a list at whose end one event at a time is written, and a folder of results
    takes the first job that publishes.
    """

    jobs = Bundle("jobs")

    def __init__(self) -> None:
        super().__init__()
        self.files: dict[str, int] = {}
        self.versions = 0
        self.log: list[Event] = []
        self.lists: dict[str, dict[str, int]] = {}
        self.results: dict[int, dict[str, int]] = {}
        self.watchers = [Watcher() for _ in range(3)]
        self.now = 0.0

    # The world

    @rule(name=NAMES)
    def write(self, name):
        self.versions += 1
        self.files[name] = self.versions

    @rule(name=NAMES)
    def delete(self, name):
        self.files.pop(name, None)

    @rule(number=WATCHERS)
    def die(self, number):
        self.watchers[number] = Watcher()

    # Watchers

    @rule(number=WATCHERS)
    def read(self, number):
        watcher = self.watchers[number]
        for event in self.log[watcher.known :]:
            watcher.state = watcher.state.after(event)
        watcher.known = len(self.log)

    def append(self, watcher: Watcher, event: Event) -> bool:
        if watcher.known != len(self.log):
            return False
        self.log.append(event)
        watcher.state = watcher.state.after(event)
        watcher.known += 1
        return True

    @rule(number=WATCHERS, most=st.integers(1, 3))
    def look(self, number, most):
        watcher = self.watchers[number]
        taken: dict[str, int] = {}
        for _, one in sorted(watcher.state.claimed.items()):
            taken |= self.lists[one.name]
        for run in watcher.state.runs:
            taken = self.lists[run.name] | taken
        found: dict[str, int] = {}
        for name, version in sorted(self.files.items()):
            known = taken[name] == version if name in taken else None
            verdict = judge(Sighting(known, 0.0, 100.0), settle=1.0, changed=Changed.RESCORE)
            if verdict in (Verdict.TAKE, Verdict.RESCORE) and len(found) < most:
                found[name] = version
        if found:
            self.lists[f"list-{len(self.lists)}"] = found
            watcher.claim = (watcher.state.last, f"list-{len(self.lists) - 1}")

    @rule(number=WATCHERS)
    def claim(self, number):
        """Any time after the look, and tried again where what others wrote was no claim."""
        watcher = self.watchers[number]
        if watcher.claim is None or not may_begin(watcher.state, 2):
            return
        last, name = watcher.claim
        if watcher.state.last != last or self.append(
            watcher, Begun(last + 1, FileList(name, len(self.lists[name]), 0), "m", {})
        ):
            watcher.claim = None

    @rule(target=jobs, number=WATCHERS, pick=st.integers(0, 9))
    def begin(self, number, pick):
        state = self.watchers[number].state
        if not state.open:
            return Job(0, "")
        epoch = state.open[pick % len(state.open)]
        return Job(epoch.number, epoch.list.name)

    @rule(job=consumes(jobs), number=WATCHERS, error=st.sampled_from(["", "BudgetSpent", "RunnerFailed"]))
    def end(self, job, number, error):
        """A job comes to its end, and some watcher writes it down, or nobody does."""
        if not job.epoch:
            return
        watcher = self.watchers[number]
        wanted = self.lists[job.list]
        if any(self.files.get(name) != version for name, version in wanted.items()):
            error = error or "NoInput"
        if job.epoch in self.results:
            error = ""
        elif not error:
            self.results[job.epoch] = wanted
        event = Failed(job.epoch, error, "") if error else Succeeded(job.epoch, {})
        self.append(watcher, event)

    @rule(number=WATCHERS)
    def revise(self, number):
        watcher = self.watchers[number]
        decided = decide(watcher.state, now=0.0, due={}, busy=(), next_look=0.0, tries=2)
        if isinstance(decided, PutAside):
            self.append(watcher, SetAside(decided.epoch))
        elif isinstance(decided, Revise):
            self.revised(watcher, decided.epoch, retry=False)

    @rule(number=WATCHERS)
    def retry(self, number):
        watcher = self.watchers[number]
        for epoch in watcher.state.aside:
            self.revised(watcher, epoch.number, retry=True)

    def revised(self, watcher: Watcher, number: int, *, retry: bool) -> None:
        old = watcher.state.claimed[number]
        left = {name: version for name, version in self.lists[old.name].items() if self.files.get(name) == version}
        name = f"list-{len(self.lists)}"
        self.lists[name] = left
        self.append(watcher, Revised(number, FileList(name, len(left), 0), "m", retry=retry))

    @rule(number=WATCHERS)
    def compact(self, number):
        watcher = self.watchers[number]
        state = watcher.state
        if not state.taken:
            return
        merged: dict[str, int] = {}
        for run in state.runs:
            merged |= self.lists[run.name]
        for one in sorted(state.taken, key=lambda one: one.epoch):
            merged |= self.lists[one.list.name]
        name = f"list-{len(self.lists)}"
        self.lists[name] = merged
        kept = {
            field: getattr(state, field) for field in ("last", "open", "aside", "succeeded", "outage", "source")
        }
        self.append(watcher, Compacted(State(**kept, runs=(Run(name, len(merged)),), compacted=watcher.known)))

    # What must hold

    @invariant()
    def no_file_is_in_two_epochs(self):
        scored = [file for files in self.results.values() for file in files.items()]
        assert len(scored) == len(set(scored))

    def teardown(self):
        """When nothing comes any more and nothing fails, one watcher brings everything to its end."""
        watcher = Watcher()
        self.watchers.append(watcher)
        number = len(self.watchers) - 1
        for _ in range(200):
            self.read(number)
            if watcher.state.aside:
                self.retry(number)
                continue
            decided = decide(watcher.state, now=0.0, due={}, busy=(), next_look=0.0, tries=2)
            if isinstance(decided, (PutAside, Revise)):
                self.revise(number)
            elif isinstance(decided, Try):
                epoch = watcher.state.epoch(decided.epoch)
                assert epoch is not None
                self.end(Job(epoch.number, epoch.list.name), number, "")
            else:
                self.look(number, 3)
                if watcher.claim is None:
                    break
                self.claim(number)
        else:
            raise AssertionError("it does not come to its end")
        self.no_file_is_in_two_epochs()
        scored = {file for files in self.results.values() for file in files.items()}
        assert set(self.files.items()) <= scored


TestEpochs = Epochs.TestCase
TestEpochs.settings = settings(max_examples=40, stateful_step_count=50, deadline=None)
