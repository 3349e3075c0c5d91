"""A job elsewhere, as whoever waits for it sees it: when no worker begins, and when the server is lost."""

from __future__ import annotations

import tempfile

import pytest
import support
from recorder import Recorder

from batchpredict.errors import JobCancelled, NoInput, RunnerFailed
from batchpredict.prediction.request import PLAN, Request
from batchpredict.runners import Channel, pipeline
from batchpredict.runners.submitted import Cluster, Submitted


class Clock:
    """Time that passes only when it is asked for."""

    now = 1000.0

    def __call__(self) -> float:
        self.now += 0.001
        return self.now


class Pipeline(pipeline.Pipeline):
    """A pipeline that a runner has taken and never says anything of."""

    def __init__(self) -> None:
        super().__init__(lambda last_moment: None)
        self.handed_over_at = 1000.0
        self.cancelled = self.given_up = False
        self.told = ""

    @property
    def text(self) -> str:
        return self.told

    def start(self) -> None:
        pass

    def is_alive(self) -> bool:
        return not self.lost and self.error is None

    def wait(self, seconds: float) -> None:
        pass

    def give_up(self) -> None:
        self.given_up = True

    def cancel(self, seconds: float) -> None:
        self.cancelled = True


class Setting:
    """A job that has been submitted, and both ends of its submission."""

    def __init__(self, out: str, **place) -> None:
        document = support.job(support.model("double"), "in/*", out)
        channel = Channel(f"{out}/_batchpredict/submissions/one")
        self.clock = Clock()
        self.pipeline = Pipeline()
        self.observer = Recorder()
        self.worker = channel
        driver = support.work(document).elsewhere(channel, self.observer)
        self.job = Submitted(
            Cluster("Somewhere", **place), driver, channel, self.pipeline, self.observer, self.clock
        )

    def after(self, seconds: float) -> bool:
        """Whether the job has ended when so much time has passed."""
        self.clock.now += seconds
        return self.job.ended(0)


def test_no_worker_begins(out):
    one = Setting(out)
    assert not one.after(10)
    assert one.observer.warnings == []
    assert not one.after(20)
    assert not one.after(20)
    (warning,) = one.observer.warnings
    assert "no worker has begun for 30 s; Somewhere may have no free slot" in warning
    assert one.after(300)
    with pytest.raises(RunnerFailed, match=r"No worker has begun on Somewhere for 350 s: it has no free slot"):
        one.job.output()
    assert one.pipeline.cancelled


def test_no_worker_can_begin(out):
    one = Setting(out, silent=lambda: "there is no worker pool at localhost:50000")
    assert one.after(30)
    with pytest.raises(RunnerFailed, match="for 30 s: there is no worker pool at localhost:50000"):
        one.job.output()


def test_a_worker_that_has_begun_may_take_its_time(out):
    one = Setting(out)
    one.worker.begin()
    assert not one.after(30)
    assert not one.after(3000)
    assert one.observer.warnings == []


def test_a_failure_ends_the_job_whatever_the_runner_does_with_it(out):
    one = Setting(out, survives=True)
    one.worker.begin()
    one.worker.fail(NoInput("inputPaths: 'in/*' matches no file"))
    assert one.after(1)
    with pytest.raises(NoInput, match="matches no file"):
        one.job.output()
    one.job.close()
    assert one.worker.stopped(), "the runner may restart what has failed"


def test_the_server_is_lost_and_nothing_goes_on(out):
    one = Setting(out, survives=True)
    one.pipeline.lost = True
    assert not one.after(1)
    assert "the connection to Somewhere is lost; its cluster may go on" in one.observer.warnings[0]
    assert not one.after(50)
    assert one.after(20)
    with pytest.raises(RunnerFailed, match="run the same command again to go on"):
        one.job.output()
    assert len(one.observer.warnings) == 1


def test_the_server_is_lost_and_the_cluster_goes_on(tmp_path, out):
    from batchpredict.prediction.prepare import prepare
    from batchpredict.scoring.task import Task

    source = support.write(tmp_path / "in.json", map(str, range(30)))
    document = support.job(support.model("double"), source, out, splitBytes=30)
    one = Setting(out, survives=True)
    one.pipeline.lost = True
    prepared = prepare(Request(support.spec_of(document)))
    predict = support.predictor_of(prepared)
    one.worker.tell(PLAN, {"fingerprint": prepared.plan.fingerprint})
    assert not one.after(1)
    for split in prepared.todo():
        assert not one.after(50)
        predict(Task(split))
    assert not one.after(50)
    support.publish_prepared(prepared, predict)
    assert one.after(1)
    assert support.counts(one.job.output()) == (30, 0)


def test_a_runner_that_does_not_survive_its_server_is_not_waited_for(out):
    one = Setting(out)
    one.pipeline.lost = True
    assert one.after(0)
    with pytest.raises(RunnerFailed, match="The connection to Somewhere is lost"):
        one.job.output()


def test_a_cancel_that_is_not_certain_is_not_called_done(out):
    one = Setting(out, survives=True)
    assert "was told to stop and has not said that it did" in one.job.cancel()
    assert one.pipeline.given_up
    one.job.close()
    assert one.worker.stopped()


def test_a_cluster_that_is_asked_itself_makes_it_certain(out):
    one = Setting(out, survives=True, cancel=lambda: True)
    assert one.job.cancel() == "the job on Somewhere is cancelled"
    one.job.close()
    assert not one.worker.stopped()


def test_a_job_that_somebody_else_has_cancelled(out):
    one = Setting(out)
    one.pipeline.error = RuntimeError("Pipeline 1 failed in state CANCELLED")
    one.pipeline.state = "CANCELLED"
    assert one.after(0)
    with pytest.raises(JobCancelled, match="was cancelled on Somewhere"):
        one.job.output()


def test_what_a_runner_says_at_length_goes_to_a_file(tmp_path, out, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    one = Setting(out)
    one.pipeline.error = RuntimeError("long")
    one.pipeline.told = "java.lang.X: oh\n\tat a.b(C.java)\nCaused by: java.io.IOException: no space\n\tat d.E\n"
    assert one.after(0)
    with pytest.raises(RunnerFailed) as failure:
        one.job.output()
    text = str(failure.value)
    assert text.startswith("The pipeline failed on Somewhere: IOException: no space; all that it said is in ")
    with open(text.rpartition(" ")[2]) as file:
        assert "RuntimeError: long" in file.read()
