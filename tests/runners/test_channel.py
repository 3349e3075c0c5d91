"""The contract of a channel, in memory, in a local folder, and on object stores."""

from __future__ import annotations

import threading

import pytest

from batchpredict import storage
from batchpredict.errors import BudgetSpent, InvalidJob, NoInput, Violation
from batchpredict.runners import Channel


@pytest.fixture(
    params=[
        "in memory",
        "local",
        pytest.param("gcs", marks=pytest.mark.gcs),
        pytest.param("s3", marks=pytest.mark.s3),
    ]
)
def channel(request, tmp_path) -> Channel:
    if request.param == "in memory":
        return Channel.in_memory()
    if request.param == "local":
        return Channel.new(str(tmp_path / "not" / "there" / "yet"))
    return Channel.new(request.getfixturevalue(request.param).folder())


def test_nothing_is_said_at_first(channel):
    assert not channel.begun()
    assert not channel.stopped()
    assert channel.failure() is None
    assert channel.told("plan") is None


def test_what_one_end_says_the_other_hears(channel):
    other = Channel(channel.url)
    channel.begin()
    assert other.begun()
    other.stop()
    assert channel.stopped()
    channel.tell("plan", {"fingerprint": "f00d"})
    assert other.told("plan") == {"fingerprint": "f00d"}


def test_a_failure_arrives_as_what_it_was(channel):
    channel.fail(NoInput("inputPaths: 'x' matches no file"))
    found = Channel(channel.url).failure()
    assert type(found) is NoInput
    assert str(found) == "inputPaths: 'x' matches no file"


def test_an_invalid_job_keeps_its_violations(channel):
    channel.fail(InvalidJob([Violation("prediction_input.uri", "no"), Violation("job.labels", "neither")]))
    found = Channel(channel.url).failure()
    assert isinstance(found, InvalidJob)
    assert [violation.field for violation in found.violations] == ["prediction_input.uri", "job.labels"]


def test_the_first_reason_stands(channel):
    channel.fail(BudgetSpent("one"))
    channel.fail(NoInput("two"))
    assert str(channel.failure()) == "one"


def test_of_many_that_speak_at_once_one_is_heard_whole(channel):
    threads = [threading.Thread(target=channel.tell, args=("plan", {"n": number})) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    document = channel.told("plan")
    assert document is not None
    assert document["n"] in range(8)


def test_two_channels_of_a_folder_do_not_hear_each_other(channel):
    other = Channel.new(storage.parent(channel.url))
    assert other.name != channel.name
    channel.stop()
    assert not other.stopped()


def test_a_channel_that_is_forgotten_leaves_nothing(channel):
    channel.begin()
    channel.tell("plan", {})
    channel.fail(NoInput("no"))
    other = Channel(channel.url)
    other.forget()
    assert [name for name in storage.list_names(storage.parent(channel.url)) if channel.name in name] == []
    channel.forget()


@pytest.fixture
def double():
    store = storage.Double()
    with store.mounted():
        yield store


def test_a_store_that_fails_for_a_moment_costs_a_moment(double):
    channel = Channel.new(double.folder())
    double.fail("create_if_absent", OSError("1"))
    channel.fail(NoInput("no"))
    double.fail("read_bytes", OSError("2"))
    assert str(channel.failure()) == "no"
    double.fail("info", OSError("3"))
    assert not channel.begun()


def test_a_store_that_is_gone_is_said_in_the_end(double):
    channel = Channel.new(double.folder())
    double.fail("read_bytes", *[ConnectionError("gone")] * 20)
    with pytest.raises(ConnectionError):
        channel.told("plan")
    assert len(double.calls) < 10


def test_that_nothing_was_said_is_not_asked_again(double):
    channel = Channel.new(double.folder())
    assert channel.failure() is None
    assert len(double.calls) == 1
