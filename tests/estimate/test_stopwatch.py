"""Where the time of an attempt goes, and what of it was waiting for a core."""

from __future__ import annotations

import pytest

from batchpredict.estimate.sampled import Stages
from batchpredict.estimate.stopwatch import Stopwatch, Waited


class Clock:
    """A clock that is set by hand, and the waiting that it counts."""

    def __init__(self) -> None:
        self.now = 100.0
        self.waited = 7.0

    def work(self, seconds: float, *, waiting: float = 0.0) -> None:
        self.now += seconds + waiting
        self.waited += waiting


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def stopwatch(clock) -> Stopwatch:
    return Stopwatch(lambda: clock.now, lambda: clock.waited)


def test_parts_what_lies_between_them_and_what_lies_around_the_loop(clock, stopwatch):
    read = stopwatch.timed("read", clock.work)
    model = stopwatch.timed("model", clock.work)
    clock.work(0.5)
    read(2.0)
    clock.work(0.25)
    model(3.0)
    read(1.0)
    clock.work(0.125)
    stopwatch.lap()
    clock.work(4.0)
    assert stopwatch.stages(10.875) == Stages(read=3, model=3, other=0.375, commit=4.5)


def test_waiting_for_a_core_belongs_to_no_part(clock, stopwatch):
    stopwatch.timed("decode", clock.work)(1.0, waiting=5.0)
    clock.work(2.0, waiting=3.0)
    stopwatch.lap()
    stages = stopwatch.stages(11.0)
    assert stages == Stages(decode=1, other=2, waited=8)
    assert (stages.own, stages.loop) == (3, 11)


def test_what_fails_has_taken_its_time_too(clock, stopwatch):
    def fail() -> None:
        clock.work(2.0)
        raise ValueError("refused")

    with pytest.raises(ValueError, match="refused"):
        stopwatch.timed("model", fail)()
    assert stopwatch.stages(2.0) == Stages(model=2)


def test_an_attempt_begins_anew(clock, stopwatch):
    stopwatch.timed("write", clock.work)(1.0)
    stopwatch.begin()
    assert stopwatch.stages(3.0) == Stages(commit=3)
    stopwatch.timed("write", clock.work)(2.0)
    assert stopwatch.stages(2.0) == Stages(write=2)


def test_the_system_tells_how_long_a_thread_has_waited():
    waited = Waited()
    before = waited()
    assert before >= 0
    assert waited() >= before
