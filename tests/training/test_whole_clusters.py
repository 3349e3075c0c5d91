"""Clusters with evaluators, machines with accelerators, and jobs that have only so long."""

from __future__ import annotations

from typing import Any

import pytest
from training.training_support import custom

N1 = "n1-standard-4"
ONE_T4 = {"acceleratorConfig": {"count": "1", "type": "NVIDIA_TESLA_T4"}}


def by_task(jobs) -> dict[str, dict[str, Any]]:
    """What each replica has seen."""
    return {"{type}-{index}".format(**run["config"]["task"]): run for run in jobs.runs()}


def test_an_evaluator_is_of_the_job_and_not_of_the_cluster(jobs):
    evaluator = {"evaluatorType": "standard", "evaluatorCount": 1}
    output = jobs.train("--steps", "4", **custom(workers=1), **evaluator)
    assert output.consumed_ml_units > 0
    seen = by_task(jobs)
    assert sorted(seen) == ["chief-0", "evaluator-0", "worker-0"]
    for run in seen.values():
        assert sorted(run["config"]["cluster"]) == ["chief", "worker"]
    assert "evaluator-replica-0: evaluator-0 goes on from 0" in jobs.seen.messages


def test_an_evaluator_that_fails_does_not_fail_the_job(jobs):
    evaluator = {"evaluatorType": "standard", "evaluatorCount": 1}
    jobs.train("--steps", "30", "--die-once", "evaluator-0", **custom(), **evaluator)
    tasks = [run["config"]["task"]["type"] for run in jobs.runs()]
    assert tasks.count("chief") == 1


def test_each_replica_sees_the_gpus_of_its_machine_type(jobs, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-a,GPU-b,GPU-c")
    fields = {
        "scaleTier": "CUSTOM",
        "masterType": N1,
        "masterConfig": ONE_T4,
        "workerType": N1,
        "workerConfig": ONE_T4,
        "workerCount": 2,
        "parameterServerType": N1,
        "parameterServerCount": 1,
    }
    output = jobs.train("--steps", "2", **fields)
    seen = by_task(jobs)
    assert {task: run["devices"] for task, run in seen.items()} == {
        "chief-0": "GPU-a",
        "worker-0": "GPU-b",
        "worker-1": "GPU-c",
        "ps-0": "-1",
    }
    assert output.consumed_ml_units > 0


def test_where_nobody_asks_for_gpus_all_are_shared_out(jobs, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2,3")
    jobs.train("--steps", "2", **custom(workers=1))
    assert {task: run["devices"] for task, run in by_task(jobs).items()} == {"chief-0": "0,1", "worker-0": "2,3"}


def test_where_there_are_no_gpus_nothing_is_said_of_them(jobs, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr("batchpredict.training.launcher.visible_gpus", lambda: [])
    jobs.train("--steps", "1")
    assert by_task(jobs)["chief-0"]["devices"] is None


@pytest.mark.parametrize(("config", "weight"), [(None, 0.19 / 0.49), (ONE_T4, (0.19 + 0.35) / 0.49)])
def test_ml_units_are_those_of_the_machine_with_its_accelerators(jobs, config, weight):
    output = jobs.train("--steps", "10", "--pause", "0.1", scaleTier="CUSTOM", masterType=N1, masterConfig=config)
    # A second at least, and an interpreter's start.
    assert 1.0 <= output.consumed_ml_units / weight * 3600 < 10
