"""The thread that waits for a pipeline."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from batchpredict.errors import JobCancelled
from batchpredict.runners.pipeline import Pipeline


class Result:
    """A PipelineResult of a pipeline that ends when it is told to."""

    def __init__(self) -> None:
        self.end = threading.Event()

    def wait_until_finish(self) -> str:
        self.end.wait()
        return "DONE"


@pytest.fixture
def interruptible() -> Iterator[None]:
    """A Ctrl-C is a KeyboardInterrupt, whatever a command that ran in this process before has made of it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before or signal.default_int_handler)


@pytest.mark.usefixtures("interruptible")
def test_a_ctrl_c_while_somebody_waits_is_not_the_end_of_the_pipeline():
    result = Result()
    pipeline = Pipeline(lambda last_moment: result)
    pipeline.start()
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))

    def wait() -> None:
        # Not before somebody expects the signal, however slow this machine is.
        timer.start()
        pipeline.wait(30)

    with pytest.raises(KeyboardInterrupt):
        wait()
    assert pipeline.is_alive()
    result.end.set()
    pipeline.wait(10)
    assert (pipeline.is_alive(), pipeline.state, pipeline.error) == (False, "DONE", None)
    timer.join()


def test_a_pipeline_that_was_given_up_is_not_handed_over():
    def launch(last_moment) -> Result:
        last_moment()
        raise AssertionError("it was handed over")

    pipeline = Pipeline(launch)
    pipeline.give_up()
    pipeline.start()
    pipeline.wait(10)
    assert not pipeline.handed_over
    assert isinstance(pipeline.error, JobCancelled)
