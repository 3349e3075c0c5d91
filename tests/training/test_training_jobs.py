"""Training jobs without trials, in this process."""

from __future__ import annotations

import os

import pytest
import support
from training.training_support import alive, custom

import batchpredict
from batchpredict.errors import InvalidJob, JobFailed


def test_one_master(jobs):
    output = jobs.train("--steps", "2")
    assert output.consumed_ml_units > 0
    assert output.is_hyperparameter_tuning_job is None
    (run,) = jobs.runs()
    assert run["arguments"] == ["--steps", "2", "--job-dir", jobs.job_dir]
    assert run["config"]["task"] == {"type": "chief", "index": 0}
    assert run["config"]["environment"] == "cloud"
    assert run["config"]["job"]["pythonModule"] == "trainer.task"
    assert "master-replica-0: chief-0 goes on from 0" in jobs.seen.messages
    assert not os.path.samefile(run["cwd"] if os.path.exists(run["cwd"]) else "/", os.getcwd())


def test_without_a_job_dir_nothing_is_left(jobs, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    os.mkdir(tmp_path / "tmp")
    jobs.train("--job-dir", str(tmp_path / "mine"), jobDir=None)
    assert os.path.exists(tmp_path / "mine" / "runs.jsonl")
    assert os.listdir(tmp_path / "tmp") == []


def test_a_finished_job_is_not_trained_again_but_with_fresh(jobs):
    first = jobs.train()
    assert jobs.train() == first
    assert len(jobs.runs()) == 1
    assert "the job was finished already; nothing was trained (--fresh trains again)" in jobs.seen.messages
    jobs.train(fresh=True)
    assert len(jobs.runs()) == 2
    jobs.train("--steps", "4")
    assert len(jobs.runs()) == 3, "other arguments are another job"


def test_a_whole_cluster_sees_itself_the_same(jobs):
    jobs.train("--steps", "6", **custom(workers=2, servers=1))
    runs = jobs.runs()
    assert sorted(f"{run['config']['task']['type']}-{run['config']['task']['index']}" for run in runs) == [
        "chief-0",
        "ps-0",
        "worker-0",
        "worker-1",
    ]
    assert len({str(run["config"]["cluster"]) for run in runs}) == 1
    assert {role: len(places) for role, places in runs[0]["config"]["cluster"].items()} == {
        "chief": 1,
        "worker": 2,
        "ps": 1,
    }
    assert not any(alive(run["pid"]) for run in runs), "the parameter server ends when the others are done"


@pytest.mark.parametrize(
    "fields", [custom(workers=2), custom(workers=2, servers=1)], ids=["collectives", "servers"]
)
@pytest.mark.long
def test_a_worker_that_is_killed_goes_on_from_what_it_saved(jobs, fields):
    jobs.train("--steps", "60", "--pause", "0.1", "--die-once", "worker-1", **fields)
    runs = [run for run in jobs.runs() if run["config"]["task"] == {"type": "worker", "index": 1}]
    assert len(runs) == 2
    assert runs[1]["step"] >= 30
    with open(os.path.join(jobs.job_dir, "saved-worker-1")) as file:
        # A worker of a cluster with servers is ended when the master has.
        assert file.read() == "60" or "parameterServerCount" in fields


class TestFailures:
    def fails(self, jobs, *args, **fields):
        with pytest.raises(JobFailed) as error:
            jobs.train(*args, **fields)
        return str(error.value)

    def test_an_exit_status(self, jobs):
        said = self.fails(jobs, "--exit", "7")
        assert said.startswith(
            "The replica master 0 exited with a non-zero status of 7. Termination reason: Error."
        )

    def test_an_exception(self, jobs):
        said = self.fails(jobs, "--raise", "no such column")
        assert said.startswith(
            "The replica master 0 exited with a non-zero status of 1. Termination reason: Error. Traceback"
        )
        assert said.endswith("ValueError: no such column")

    def test_of_a_worker(self, jobs):
        said = self.fails(jobs, "--unknown-flag", **custom(workers=1))
        assert "exited with a non-zero status of 2. Termination reason: Error." in said
        assert "unrecognized arguments: --unknown-flag" in said

    def test_a_module_that_is_not_there(self, jobs):
        said = self.fails(jobs, pythonModule="trainer.tusk")
        assert "The replica master 0 exited with a non-zero status of 1." in said
        assert "No module named trainer.tusk" in said

    def test_a_package_that_is_not_there(self, jobs, tmp_path):
        said = self.fails(jobs, packageUris=[f"{tmp_path}/none.tar.gz"])
        assert said == f"packageUris: there is no package '{tmp_path}/none.tar.gz'"

    def test_a_package_that_cannot_be_installed(self, jobs, tmp_path):
        (tmp_path / "bad.tar.gz").write_bytes(b"no archive")
        said = self.fails(jobs, packageUris=[f"{tmp_path}/bad.tar.gz"])
        assert "bad.tar.gz" in said

    def test_a_job_dir_that_is_a_file(self, jobs, tmp_path):
        (tmp_path / "file").write_text("")
        said = self.fails(jobs, jobDir=f"{tmp_path}/file")
        assert said.startswith(f"jobDir: '{tmp_path}/file' cannot be used")

    def test_too_long(self, jobs):
        said = self.fails(jobs, "--steps", "1000", scheduling={"maxRunningTime": "2s"})
        assert said == "The job has run longer than scheduling.maxRunningTime allows: 2 seconds."
        assert not any(alive(run["pid"]) for run in jobs.runs())

    def test_then_it_is_tried_again_when_it_is_asked_for_again(self, jobs, tmp_path):
        broken = self.fails(jobs, "--steps", "10", "--pause", "0.01", "--exit", "1")
        assert self.fails(jobs, "--steps", "10", "--pause", "0.01", "--exit", "1") == broken
        assert [run["step"] for run in jobs.runs()] == [0, 10]

    def test_a_prediction_job_is_none(self, jobs):
        with pytest.raises(InvalidJob, match="this is not a training job"):
            batchpredict.train(support.job("model", "in/*", "out"))
