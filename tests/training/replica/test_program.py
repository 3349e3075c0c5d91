from __future__ import annotations

import json
import os
import sys

from batchpredict.training.cluster import Replica
from batchpredict.training.replica import Program, environment, working_folder


def test_the_command_is_the_services() -> None:
    program = Program("trainer.task", ("--epochs", "3", "-v"), "gs://b/job/2")
    tuned = {"learning_rate": "0.43833827339355613", "units": "64", "optimizer": "a b"}
    assert program.command("/usr/bin/python", tuned) == [
        *("/usr/bin/python", "-m", "trainer.task", "--epochs", "3", "-v"),
        *("--learning_rate=0.43833827339355613", "--units=64", "--optimizer=a b"),
        *("--job-dir", "gs://b/job/2"),
    ]


def test_a_job_without_a_folder_is_not_told_of_one() -> None:
    assert Program("m").command("python", {}) == ["python", "-m", "m"]


def test_the_environment_is_made_for_the_child_alone() -> None:
    before = dict(os.environ)
    base = {"HOME": "/h", "PYTHONPATH": "/tree::/other", "TF_CONFIG": "another's", "CLOUD_ML_TRIAL_ID": "9"}
    found = environment(base, site="/job/site", tf_config={"task": {"index": 0}})
    assert found["HOME"] == "/h"
    assert found["PYTHONPATH"] == "/job/site:/tree:/other"
    assert json.loads(found["TF_CONFIG"]) == json.loads(found["CLUSTER_SPEC"]) == {"task": {"index": 0}}
    assert found["PYTHONUNBUFFERED"] == "1"
    assert "CLOUD_ML_TRIAL_ID" not in found
    assert "CUDA_VISIBLE_DEVICES" not in found
    assert dict(os.environ) == before


def test_a_trial_is_told_which_it_is_and_where_to_report() -> None:
    found = environment({}, site="/s", tf_config={}, trial="3", metric_file="/w/output.metrics")
    assert found["CLOUD_ML_TRIAL_ID"] == "3"
    assert found["CLOUD_ML_HP_METRIC_FILE"] == "/w/output.metrics"


def test_devices_are_those_it_was_given() -> None:
    assert environment({}, site="/s", tf_config={}, devices=["1", "3"])["CUDA_VISIBLE_DEVICES"] == "1,3"
    assert environment({}, site="/s", tf_config={}, devices=[])["CUDA_VISIBLE_DEVICES"] == "-1"


def test_every_replica_has_a_working_folder_of_its_own(tmp_path: object) -> None:
    one = working_folder(str(tmp_path), Replica.parse("worker-1"))
    assert one != working_folder(str(tmp_path), Replica.parse("worker-2"))
    assert os.listdir(one) == []
    assert working_folder(str(tmp_path), Replica.parse("worker-1")) == one
    assert sys.path[0] != one
