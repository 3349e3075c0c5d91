"""What a worker decides: the machine alone, without a process, a store or a clock."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from service.worker_support import BEGINNING, claimed

from batchpredict.job import State as JobState
from batchpredict.service.queue.lifecycle import Standing
from batchpredict.service.worker import events as e
from batchpredict.service.worker.events import Run
from batchpredict.service.worker.machine import Rules, State, step

RULES = Rules(jobs=2, workers=4, lease=15.0, margin=2.0, renew=1.0, poll=0.25, stop_seconds=5.0, spare=False)
JOB = claimed()
RUN = Run.of(JOB)


class Played:
    """A machine that is played events, and remembers what was to be done."""

    def __init__(self, rules: Rules = RULES) -> None:
        self.state = State(rules)
        self.now = 100.0
        self.todo: list[e.Instruction] = []

    def play(self, event: e.Event, after: float = 0.0) -> list[e.Instruction]:
        self.now += after
        self.state, todo = step(self.state, event, self.now)
        self.todo += todo
        return todo

    def claim(self, *jobs, asked: float | None = None) -> list[e.Instruction]:
        return self.play(e.Claimed(jobs or (JOB,), self.now if asked is None else asked))

    def renew(self, *standings: Standing, runs: frozenset[Run] | None = None) -> list[e.Instruction]:
        found = {("p", f"j{n}" if n else "j"): standing for n, standing in enumerate(standings)}
        return self.play(e.Renewed(found, frozenset(self.state.holds) if runs is None else runs, self.now))

    def of(self, *kinds: type) -> list[e.Instruction]:
        """Those of these kinds, of all that was to be done."""
        return [one for one in self.todo if isinstance(one, kinds)]


def standing(state: JobState = JobState.RUNNING, generation: int = 1) -> Standing:
    assert JOB.standing.lease is not None
    lease = replace(JOB.standing.lease, generation=generation, until=BEGINNING + timedelta(seconds=30))
    return Standing(state, BEGINNING, generation, lease)


@pytest.fixture
def played() -> Played:
    machine = Played()
    machine.play(e.Tick())
    return machine


class TestAJobThatGoesWell:
    def test_it_is_started_for_as_long_as_its_lease_is_sure(self, played):
        played.claim(asked=99.0)
        assert played.of(e.StartProcess) == [e.StartProcess(RUN, JOB, 99.0 + 15.0 - 2.0)]

    def test_its_life_is_told_in_order(self, played):
        played.claim()
        played.play(e.Began(RUN))
        played.play(e.Reported(RUN, 3, {"predictionCount": "5"}, {"done": 1}))
        played.play(e.Ended(RUN, e.Done({"predictionCount": "9"})))
        assert not played.of(e.TellEnd)
        played.play(e.Died(RUN, "it ended with status 0"))
        assert played.of(e.TellBegin, e.TellReport, e.TellEnd) == [
            e.TellBegin(RUN),
            e.TellReport(RUN, False, {"predictionCount": "5"}, {"done": 1}),
            e.TellEnd(RUN, "succeed", output={"predictionCount": "9"}),
        ]
        assert RUN in played.state.holds
        played.play(e.Settled(RUN))
        assert not played.state.holds

    def test_what_was_done_before_it_began_has_begun(self, played):
        played.claim()
        played.play(e.Ended(RUN, e.Done()))
        played.play(e.Died(RUN, ""))
        assert played.of(e.TellBegin, e.TellEnd) == [e.TellBegin(RUN), e.TellEnd(RUN, "succeed", output={})]

    def test_only_what_was_committed_since_the_first_report_is_an_advance(self, played):
        played.claim()
        for committed in (4, 4, 5, 5, 3, 6):
            played.play(e.Reported(RUN, committed))
        assert [one.advanced for one in played.of(e.TellReport)] == [False, False, True, False, False, True]

    def test_a_process_that_does_not_end_after_its_last_word_is_killed(self, played):
        played.claim()
        played.play(e.Ended(RUN, e.Done()))
        assert not [one for one in played.play(e.Tick(), after=4.9) if isinstance(one, e.Kill)]
        assert e.Kill(RUN) in played.play(e.Tick(), after=0.2)
        assert e.Kill(RUN) in played.play(e.Tick(), after=5.1)
        played.play(e.Died(RUN, "it was killed"))
        assert played.of(e.TellEnd) == [e.TellEnd(RUN, "succeed", output={})]


class TestAJobThatDoesNot:
    def test_a_failure_of_its_own_is_told(self, played):
        played.claim()
        played.play(e.Ended(RUN, e.Refused("no such model")))
        played.play(e.Died(RUN, ""))
        assert played.of(e.TellEnd) == [e.TellEnd(RUN, "fail", "no such model")]

    def test_a_death_without_a_word_is_a_loss(self, played):
        played.claim()
        played.play(e.Died(RUN, "it was ended by SIGKILL"))
        assert played.of(e.TellEnd) == [e.TellEnd(RUN, "lose", "it was ended by SIGKILL")]

    def test_so_is_a_stop_that_nobody_asked_for(self, played):
        played.claim()
        played.play(e.Ended(RUN, e.Stopped()))
        played.play(e.Died(RUN, "it ended with status 0"))
        assert played.of(e.TellEnd) == [e.TellEnd(RUN, "lose", "it ended with status 0")]

    def test_the_first_of_two_last_words_stands(self, played):
        played.claim()
        played.play(e.Ended(RUN, e.Refused("why")))
        played.play(e.Ended(RUN, e.Done()))
        played.play(e.Died(RUN, ""))
        assert played.of(e.TellEnd) == [e.TellEnd(RUN, "fail", "why")]


class TestACancel:
    def test_it_is_found_by_a_renewal_and_asks_once(self, played):
        played.claim()
        played.renew(standing(JobState.CANCELLING))
        played.renew(standing(JobState.CANCELLING))
        assert played.of(e.AskToStop) == [e.AskToStop(RUN, "it was cancelled")]
        assert not played.of(e.Kill)

    def test_who_does_not_stop_is_killed(self, played):
        played.claim()
        played.renew(standing(JobState.CANCELLING))
        assert e.Kill(RUN) in played.play(e.Tick(), after=5.0)
        played.play(e.Died(RUN, "it was killed"))
        assert played.of(e.TellEnd) == [e.TellEnd(RUN, "stop")]

    @pytest.mark.parametrize("outcome", [e.Stopped(), e.Refused("a worker died")], ids=["stopped", "failed"])
    def test_it_holds_whatever_the_process_says_of_its_end(self, outcome, played):
        played.claim()
        played.renew(standing(JobState.CANCELLING))
        played.play(e.Ended(RUN, outcome))
        played.play(e.Died(RUN, ""))
        assert played.of(e.TellEnd) == [e.TellEnd(RUN, "stop")]

    def test_one_that_comes_too_late_leaves_a_success(self, played):
        played.claim()
        played.play(e.Began(RUN))
        played.renew(standing(JobState.CANCELLING))
        played.play(e.Ended(RUN, e.Done({"a": 1})))
        played.play(e.Died(RUN, ""))
        assert played.of(e.TellEnd) == [e.TellEnd(RUN, "succeed", output={"a": 1})]


class TestLeases:
    def test_a_renewal_moves_the_end_from_when_it_was_asked_for(self, played):
        played.claim()
        played.play(e.Renewed({RUN.key: standing()}, frozenset([RUN]), 107.0))
        assert played.of(e.Extend) == [e.Extend(RUN, 107.0 + 13.0)]

    @pytest.mark.parametrize("found", [{}, {RUN.key: standing(generation=2)}], ids=["gone", "another generation"])
    def test_a_lost_lease_kills_at_once_and_nothing_more_is_told(self, found, played):
        played.claim()
        played.play(e.Began(RUN))
        assert e.Kill(RUN) in played.play(e.Renewed(found, frozenset([RUN]), played.now))
        played.todo.clear()
        played.play(e.Reported(RUN, 9))
        played.play(e.Ended(RUN, e.Done()))
        played.play(e.Died(RUN, "it was killed"))
        assert played.of(e.TellReport, e.TellEnd) == []
        assert played.of(e.Forget) == [e.Forget(RUN)]
        assert not played.state.holds

    def test_a_job_that_was_claimed_after_the_question_is_not_lost(self, played):
        played.claim()
        played.renew(runs=frozenset())
        assert not played.of(e.Kill)

    def test_a_job_whose_end_is_being_told_is_not_lost(self, played):
        played.claim()
        played.play(e.Died(RUN, "x"))
        played.renew(runs=frozenset([RUN]))
        assert not played.of(e.Kill, e.Forget)

    def test_a_lease_that_nobody_knows_of_is_given_back(self, played):
        played.play(e.Claimed((), played.now))
        played.renew(standing(), runs=frozenset())
        assert played.of(e.TellEnd) == [e.TellEnd(RUN, "release")]

    def test_but_not_before_the_claims_that_are_on_their_way_have_come(self, played):
        assert played.state.claiming
        played.renew(standing(), runs=frozenset())
        assert not played.of(e.TellEnd)
        played.play(e.Claimed((), played.now))
        assert played.of(e.TellEnd) == [e.TellEnd(RUN, "release")]

    def test_and_not_if_it_is_among_them(self, played):
        played.renew(standing(), runs=frozenset())
        played.claim()
        played.renew(standing())
        assert not played.of(e.TellEnd)

    def test_a_job_is_not_started_beside_its_own_dying_process(self, played):
        played.claim()
        played.renew(runs=frozenset([RUN]))
        second = claimed(generation=2)
        played.claim(second)
        assert [one.run for one in played.of(e.StartProcess)] == [RUN]
        assert played.of(e.TellEnd) == [e.TellEnd(Run.of(second), "release")]

    def test_renewals_go_on_while_one_hangs_not_and_after_one_failed(self, played):
        first = len(played.of(e.RenewLeases))
        played.claim()
        played.play(e.Tick(), after=20.0)
        assert len(played.of(e.RenewLeases)) == first
        played.play(e.NotRenewed())
        assert len(played.of(e.RenewLeases)) == first + 1


class TestRoom:
    def test_it_asks_while_there_is_room_and_once_at_a_time(self, played):
        assert len(played.of(e.AskForJobs)) == 1
        played.play(e.Tick(), after=10.0)
        assert len(played.of(e.AskForJobs)) == 1
        played.play(e.Claimed((), played.now))
        assert len(played.of(e.AskForJobs)) == 2

    def test_what_is_held_takes_room(self, played):
        played.claim(claimed(workers=3))
        second = played.of(e.AskForJobs)[-1]
        assert isinstance(second, e.AskForJobs)
        assert (second.room.used.jobs, second.room.used.workers) == (1, 3)

    @pytest.mark.parametrize(
        "jobs", [[claimed("a"), claimed("b")], [claimed("a", workers=4)]], ids=["jobs", "workers"]
    )
    def test_a_full_worker_does_not_ask(self, jobs, played):
        played.claim(*jobs)
        played.todo.clear()
        played.play(e.Tick(), after=10.0)
        assert not played.of(e.AskForJobs)
        played.play(e.Died(Run.of(jobs[0]), "x"))
        played.play(e.Settled(Run.of(jobs[0])))
        assert played.of(e.AskForJobs)


class TestSpare:
    def test_one_is_kept_and_replaced_when_it_is_used_and_the_job_runs(self):
        played = Played(replace(RULES, spare=True))
        played.play(e.Tick())
        assert len(played.of(e.KeepSpare)) == 1
        played.claim()
        played.play(e.Tick(), after=1.0)
        assert len(played.of(e.KeepSpare)) == 1
        played.play(e.Began(RUN))
        assert len(played.of(e.KeepSpare)) == 2
        played.play(e.Tick(), after=100.0)
        assert len(played.of(e.KeepSpare)) == 2

    def test_one_that_dies_is_replaced_after_a_while(self):
        played = Played(replace(RULES, spare=True))
        played.play(e.Tick())
        played.play(e.SpareDied())
        assert len(played.of(e.KeepSpare)) == 1
        played.play(e.Tick(), after=5.1)
        assert len(played.of(e.KeepSpare)) == 2


class TestShutdown:
    def test_jobs_are_asked_to_stop_and_given_back(self, played):
        played.claim()
        played.play(e.Shutdown())
        assert played.of(e.AskToStop) == [e.AskToStop(RUN, "the worker shuts down")]
        assert not played.of(e.Halt)
        played.play(e.Ended(RUN, e.Stopped()))
        played.play(e.Died(RUN, ""))
        assert played.of(e.TellEnd) == [e.TellEnd(RUN, "release")]
        played.play(e.Claimed((), played.now))
        played.play(e.Settled(RUN))
        assert len(played.of(e.Halt)) == 1
        assert played.state.halted

    def test_what_was_on_its_way_is_given_back_unstarted(self, played):
        played.play(e.Shutdown())
        assert not played.of(e.Halt)
        played.claim()
        assert not played.of(e.StartProcess)
        assert played.of(e.TellEnd) == [e.TellEnd(RUN, "release")]
        played.play(e.Settled(RUN))
        assert played.of(e.Halt)

    def test_nothing_is_claimed_any_more(self, played):
        played.play(e.Claimed((), played.now))
        played.todo.clear()
        played.claim()
        played.todo.clear()
        played.play(e.Shutdown())
        played.play(e.Tick(), after=10.0)
        assert not played.of(e.AskForJobs, e.KeepSpare)

    def test_a_job_that_is_cancelled_meanwhile_is_stopped_not_given_back(self, played):
        played.claim()
        played.play(e.Shutdown())
        played.renew(standing(JobState.CANCELLING))
        played.play(e.Died(RUN, ""))
        assert len(played.of(e.AskToStop)) == 1
        assert played.of(e.TellEnd) == [e.TellEnd(RUN, "stop")]

    def test_a_job_that_has_just_succeeded_has(self, played):
        played.claim()
        played.play(e.Began(RUN))
        played.play(e.Ended(RUN, e.Done()))
        played.play(e.Shutdown())
        played.play(e.Died(RUN, ""))
        assert played.of(e.TellEnd) == [e.TellEnd(RUN, "succeed", output={})]
