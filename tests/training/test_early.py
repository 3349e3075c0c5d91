"""A job in this process begins before its pipeline is made."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest
import support
from training.training_support import alive, eventually

from batchpredict.errors import JobFailed
from batchpredict.training import driver

# A machine that is very busy takes longer for it than its head start.
PROGRAM = """
import json, sys
import batchpredict
from batchpredict.training import driver
driver._HEAD_START = 60.0
output = batchpredict.train(json.loads(sys.argv[1]))
print(output.consumed_ml_units > 0, "apache_beam" in sys.modules)
"""


def test_a_short_job_does_not_wait_for_beam(jobs):
    command = [sys.executable, "-c", PROGRAM, json.dumps(jobs.job("--steps", "1"))]
    env = {**os.environ, "PYTHONPATH": support.ROOT}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "True False\n"


def test_a_longer_one_is_taken_over_by_its_pipeline(jobs, monkeypatch):
    monkeypatch.setattr(driver, "_HEAD_START", 0.2)
    jobs.train("--steps", "30", "--pause", "0.1")
    assert len(jobs.runs()) == 1
    assert jobs.seen.snapshots[-1].running == 0


def test_a_stop_in_the_head_start_ends_every_replica(jobs):
    path = support.write_json(f"{jobs.folder}/job.json", jobs.job("--steps", "1000"))
    command = [sys.executable, "-m", "batchpredict", "train", "--job", str(path)]
    env = {**os.environ, "PYTHONPATH": support.ROOT}
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        eventually(jobs.runs, 60)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=20)
    assert process.returncode == 143
    assert "stopped; what the trainer has saved in its jobDir is kept" in err
    assert not any(alive(run["pid"]) for run in jobs.runs())


@pytest.mark.parametrize("head_start", [0.0, 30.0])
def test_a_failure_is_the_same_before_and_in_the_pipeline(jobs, monkeypatch, head_start):
    monkeypatch.setattr(driver, "_HEAD_START", head_start)
    with pytest.raises(JobFailed) as error:
        jobs.train("--steps", "2", "--raise", "no such column")
    assert str(error.value).endswith("ValueError: no such column")
    assert "master-replica-0: chief-0 goes on from 0" in jobs.seen.messages
