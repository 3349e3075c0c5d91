"""`batchpredict train` as a process: what it prints, and what becomes of a job whose command is stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import Any

import pytest
from training.training_support import PLAIN, alive, eventually, search


@pytest.fixture
def start(jobs):
    started = []

    def start(*flags: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "batchpredict", "train", *flags]
        pipe = subprocess.PIPE
        process = subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, cwd=jobs.folder)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def flags(*args: str) -> list[str]:
    return ["--module-name", "trainer.task", "--package-path", PLAIN, "--job-dir", "out", "--", *args]


def file_of(jobs, job: dict[str, Any]) -> str:
    path = os.path.join(jobs.folder, "job.json")
    with open(path, "w") as file:
        json.dump(job, file)
    return path


def test_flags_and_what_is_printed(start, jobs):
    process = start(*flags("--steps", "2"))
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert json.loads(out)["consumedMLUnits"] > 0
    assert "master-replica-0: chief-0 goes on from 0" in err
    (run,) = jobs.runs()
    assert run["arguments"] == ["--steps", "2", "--job-dir", jobs.job_dir]


def test_a_config_of_gcloud(start, jobs):
    with open(os.path.join(jobs.folder, "config.yaml"), "w") as file:
        file.write("trainingInput:\n  scaleTier: CUSTOM\n  masterType: n1-standard-4\n  args: [--steps, '1']\n")
    process = start("--config", "config.yaml", *flags())
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert json.loads(out)["consumedMLUnits"] > 0
    (run,) = jobs.runs()
    assert run["config"]["job"]["masterType"] == "n1-standard-4"


def test_a_job_that_has_succeeded_is_not_run_again_where_its_file_says_the_job_dir(start, jobs):
    path = file_of(jobs, jobs.job("--steps", "1"))
    for said in ("goes on from 0", "the job was finished already; nothing was trained"):
        process = start("--job", path, "--package-path", PLAIN)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        assert said in err
    assert len(jobs.runs()) == 1


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--job-dir", "out"], "--module-name: Required"),
        (["--scale-tier", "BASIC_TPU", *flags()], "--scale-tier: "),
        (["--scale-tier", "CUSTOM", *flags()], "--master-machine-type: Required when scale_tier is CUSTOM."),
        (["--worker-count", "2", *flags()], "--worker-count: Can only be used when scale_tier is CUSTOM"),
        (["--config", "none.yaml", *flags()], "--config: there is no file 'none.yaml'"),
        (["--packge-path", "x"], "there is no flag '--packge-path'; did you mean '--package-path'?"),
        (["--package-path", "none", "--module-name", "a.b"], "--package-path: none is not a folder."),
    ],
)
def test_a_wrong_call(given, said, start):
    process = start(*given)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (2, ""), err
    assert said in err


@pytest.mark.long
def test_ctrl_c_ends_every_replica_and_the_same_command_goes_on(start, jobs):
    command = flags("--steps", "100", "--pause", "0.1")
    first = start(*command)
    eventually(lambda: os.path.exists(os.path.join(jobs.job_dir, "saved-chief-0")))
    first.send_signal(signal.SIGINT)
    out, err = first.communicate(timeout=15)
    assert (first.returncode, out) == (130, "")
    assert "stopped; what the trainer has saved in its jobDir is kept. Run the same command again" in err
    assert not any(alive(run["pid"]) for run in jobs.runs())
    second = start(*command)
    out, err = second.communicate(timeout=120)
    assert second.returncode == 0, err
    assert len(jobs.runs()) == 2
    assert jobs.runs()[1]["step"] > 0


@pytest.mark.long
def test_no_trial_that_ended_is_run_again_after_a_kill(start, jobs):
    path = file_of(jobs, jobs.job("--pause", "0.3", hyperparameters=search(6, parallel=2)))
    first = start("--job", path)
    eventually(lambda: jobs.runs("4"))
    first.kill()
    first.communicate()
    pids = [run["pid"] for number in range(1, 7) for run in jobs.runs(str(number))]
    eventually(lambda: not any(map(alive, pids)), 10)
    ended = [number for number in range(1, 7) if _ended(jobs, number)]
    assert ended
    second = start("--job", path)
    out, err = second.communicate(timeout=200)
    assert second.returncode == 0, err
    assert json.loads(out)["completedTrialCount"] == "6"
    assert f"resuming: {len(ended)} of 6 trials have ended already" in err
    for number in ended:
        assert len(jobs.runs(str(number))) == 1


def _ended(jobs, number: int) -> bool:
    found = []
    for folder, _, names in os.walk(os.path.join(jobs.job_dir, "_batchpredict")):
        found += [os.path.join(folder, name) for name in names if name == f"{number:05d}.ended.json"]
    return bool(found)
