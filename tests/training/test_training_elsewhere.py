"""Training jobs whose replicas are hosted by the workers of a runner."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from typing import Any

import pytest
import support
from recorder import Recorder
from training.training_support import alive, custom, eventually, search

import batchpredict
from batchpredict.errors import InvalidJob, JobFailed

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")


@pytest.fixture(
    params=[pytest.param("prism", marks=pytest.mark.prism), pytest.param("flink", marks=pytest.mark.flink)]
)
def runner(request) -> dict[str, Any]:
    """What `train` is told of a runner that has two slots."""
    if request.param == "prism":
        server = request.getfixturevalue("prism_server")
        return {"runner": "PrismRunner", "runner_flags": [f"--job_endpoint={server.endpoint}"]}
    return of(request.getfixturevalue("flink_cluster"))


def of(cluster) -> dict[str, Any]:
    name, *flags = cluster.flags
    return {"runner": name.partition("=")[2], "runner_flags": [*flags, "--parallelism=2"]}


class Interrupting(Recorder):
    """Stops the job, as a Ctrl-C does, once two replicas run."""

    def progress(self, snapshot) -> None:
        super().progress(snapshot)
        if snapshot.running == 2:
            raise KeyboardInterrupt


@pytest.mark.rare_on_flink
def test_a_cluster_of_two(runner, jobs):
    observer = Recorder()
    # For some seconds: what a replica says of itself is a second old when it is written, and is looked for each
    # second.
    job = jobs.job("--steps", "50", "--pause", "0.1", **custom(workers=1))
    output = batchpredict.train(job, observer=observer, **runner)
    assert output.consumed_ml_units
    runs = jobs.runs()
    assert sorted(run["config"]["task"]["type"] for run in runs) == ["chief", "worker"]
    assert len({str(run["config"]["cluster"]) for run in runs}) == 1
    assert "worker-replica-0: worker-0 goes on from 0" in observer.messages
    assert max(snapshot.running for snapshot in observer.snapshots) == 2
    # It is finished already, and says so again.
    assert batchpredict.train(job, **runner) == output
    assert len(jobs.runs()) == 2


def test_a_failure_is_told_in_one_sentence(runner, jobs):
    with pytest.raises(JobFailed) as error:
        batchpredict.train(jobs.job("--raise", "no such column"), **runner)
    assert str(error.value).startswith("The replica master 0 exited with a non-zero status of 1.")
    assert str(error.value).endswith("ValueError: no such column")


def test_a_cancel_ends_every_replica(runner, jobs):
    job = jobs.job("--steps", "1000", "--pause", "0.1", **custom(workers=1))
    with pytest.raises(KeyboardInterrupt):
        batchpredict.train(job, observer=Interrupting(), **runner)
    eventually(lambda: not any(alive(run["pid"]) for run in jobs.runs()), 10)


def test_a_search(runner, jobs):
    output = batchpredict.train(jobs.job(hyperparameters=search(6, parallel=2)), **runner)
    assert output.completed_trial_count == 6
    for number in range(1, 7):
        assert len(jobs.runs(str(number))) == 1


@pytest.mark.flink
def test_without_a_job_dir_they_could_not_meet(jobs, flink_cluster):
    with pytest.raises(InvalidJob, match=r"training_input\.job_dir"):
        batchpredict.train(jobs.job(jobDir=None), **of(flink_cluster))


@pytest.mark.flink
def test_a_machine_that_is_lost_is_a_new_generation_and_the_trainer_goes_on(jobs, flink_cluster):
    job = jobs.job("--steps", "300", "--pause", "0.1", **custom(workers=1))
    came: list[object] = []

    def train() -> None:
        try:
            came.append(batchpredict.train(job, **of(flink_cluster)))
        except BaseException as error:
            came.append(error)

    thread = threading.Thread(target=train)
    thread.start()
    eventually(lambda: os.path.exists(os.path.join(jobs.job_dir, "saved-worker-0")), 120)
    flink_cluster.task_managers[1].kill()
    flink_cluster.pools[1].kill()
    flink_cluster.start_pool(1)
    flink_cluster.pools[1].wait_ready()
    flink_cluster.start_task_manager(1)
    thread.join(250)
    assert not thread.is_alive()
    (output,) = came
    assert isinstance(output, batchpredict.TrainingOutput), output
    masters = [run for run in jobs.runs() if run["config"]["task"]["type"] == "chief"]
    assert masters[-1]["step"] > 0
    with open(os.path.join(jobs.job_dir, "saved-chief-0")) as file:
        assert file.read() == "300"
    assert not any(alive(run["pid"]) for run in jobs.runs())


@pytest.mark.flink
def test_the_pipeline_as_a_script(jobs, flink_cluster, tmp_path):
    path = support.write_json(tmp_path / "job.json", jobs.job("--steps", "2"))
    command = [sys.executable, os.path.join(support.ROOT, "pipelines", "train.py"), f"--job={path}"]
    done = subprocess.run(
        [*command, *flink_cluster.flags], capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["consumedMLUnits"] > 0
    assert "train.py: master-replica-0: chief-0 goes on from 0" in done.stderr


def test_the_pipeline_as_a_script_in_this_process(jobs, tmp_path):
    path = support.write_json(tmp_path / "job.json", jobs.job("--steps", "1000"))
    command = [sys.executable, os.path.join(support.ROOT, "pipelines", "train.py"), f"--job={path}"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        eventually(lambda: os.path.exists(os.path.join(jobs.job_dir, "saved-chief-0")), 60)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=15)
    assert process.returncode == 143
    assert "train.py: stopped; what the trainer has saved in its jobDir is kept" in err
    assert not any(alive(run["pid"]) for run in jobs.runs())
