"""What every step owes to whoever waits, where the channel's store is not to be had for a while."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from batchpredict import storage
from batchpredict.errors import JobFailed, NoInput
from batchpredict.runners import Channel, Step

MANY = [ConnectionError("gone")] * 50


@pytest.fixture
def double() -> Iterator[storage.Double]:
    store = storage.Double()
    with store.mounted():
        yield store


@pytest.fixture
def step(double) -> Step:
    step = Step()
    step.channel = Channel.new(double.folder())
    return step


def test_a_bundle_begins_where_nobody_can_say_whether_the_work_has_failed(double, step):
    def gone(operation: str, url: str) -> None:
        raise ConnectionError("gone")

    double.before = gone
    step.start_bundle()
    assert not step.stopped()


def test_who_cannot_be_asked_has_not_said_stop(double, step):
    step.channel.stop()
    double.fail("info", OSError("for a moment"))
    assert not step.stopped()
    assert step.stopped()


def test_a_failure_is_found_past_an_error_that_passes(double, step):
    step.channel.fail(NoInput("inputPaths: 'x' matches no file"))
    double.fail("read_bytes", OSError("for a moment"))
    with pytest.raises(JobFailed, match="matches no file"):
        step.start_bundle()


def test_the_reason_of_a_failure_is_raised_where_it_cannot_be_told(double, step):
    double.fail("create_if_absent", *MANY)
    with pytest.raises(NoInput, match="none"), step.reporting():
        raise NoInput("none")
