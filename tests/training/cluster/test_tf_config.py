from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from batchpredict.job import TrainingInput
from batchpredict.training.cluster import Cluster, Replica

Training = Callable[..., TrainingInput]

CUSTOM = {
    "scaleTier": "CUSTOM",
    "masterType": "standard",
    "workerType": "standard",
    "workerCount": "2",
    "parameterServerType": "standard",
    "parameterServerCount": "1",
    "evaluatorType": "standard",
    "evaluatorCount": "1",
}


def addressed(cluster: Cluster) -> dict[Replica, str]:
    return {replica: f"{replica.name}:2222" for replica in cluster.replicas}


@pytest.mark.parametrize(
    ("name", "task"),
    [
        ("master-0", {"type": "chief", "index": 0}),
        ("worker-1", {"type": "worker", "index": 1}),
        ("ps-0", {"type": "ps", "index": 0}),
        ("evaluator-0", {"type": "evaluator", "index": 0}),
    ],
)
def test_every_replica_gets_the_same_cluster_and_its_own_task(
    training: Training, name: str, task: dict[str, Any]
) -> None:
    source = training(**CUSTOM)
    cluster = Cluster.of(source)
    found = cluster.tf_config(Replica.parse(name), addressed(cluster), job=source.echo())
    assert found == {
        "cluster": {
            "chief": ["master-0:2222"],
            "worker": ["worker-0:2222", "worker-1:2222"],
            "ps": ["ps-0:2222"],
        },
        "task": task,
        "job": source.echo(),
        "environment": "cloud",
    }
    assert json.loads(json.dumps(found)) == found


def test_workers_stand_in_the_order_of_their_numbers(training: Training) -> None:
    cluster = Cluster.of(training(scaleTier="PREMIUM_1"))
    found = cluster.tf_config(Replica.parse("worker-18"), addressed(cluster), job={})
    assert found["cluster"]["worker"] == [f"worker-{index}:2222" for index in range(19)]


def test_a_lone_master_is_a_cluster_of_one(training: Training) -> None:
    cluster = Cluster.of(training())
    found = cluster.tf_config(cluster.replicas[0], addressed(cluster), job={})
    assert found["cluster"] == {"chief": ["master-0:2222"]}


def test_the_task_of_a_trial_says_which(training: Training) -> None:
    cluster = Cluster.of(training())
    found = cluster.tf_config(cluster.replicas[0], addressed(cluster), trial="3", job={}, cloud="x7")
    assert found["task"] == {"type": "chief", "index": 0, "trial": "3", "cloud": "x7"}


def test_an_evaluator_needs_no_address(training: Training) -> None:
    cluster = Cluster.of(training(**CUSTOM))
    addresses = {one: address for one, address in addressed(cluster).items() if one.name != "evaluator-0"}
    assert "evaluator" not in cluster.tf_config(Replica.parse("evaluator-0"), addresses, job={})["cluster"]


def test_a_missing_address_is_an_error(training: Training) -> None:
    cluster = Cluster.of(training(scaleTier="STANDARD_1"))
    with pytest.raises(KeyError):
        cluster.tf_config(cluster.replicas[0], {cluster.replicas[0]: "h:1"}, job={})


@pytest.mark.parametrize(
    ("changes", "chief"),
    [
        ({}, "chief"),
        ({"runtimeVersion": "2.11"}, "chief"),
        ({"runtimeVersion": "2.1"}, "chief"),
        ({"runtimeVersion": "2.0"}, "master"),
        ({"runtimeVersion": "1.15"}, "master"),
        ({"runtimeVersion": "HEAD"}, "chief"),
        ({"runtimeVersion": "1.15", "useChiefInTfConfig": True}, "chief"),
        ({"runtimeVersion": "2.11", "useChiefInTfConfig": False}, "chief"),
        ({"masterConfig": {"imageUri": "i"}}, "master"),
        ({"masterConfig": {"imageUri": "i"}, "runtimeVersion": "2.11"}, "master"),
        ({"masterConfig": {"imageUri": "i"}, "useChiefInTfConfig": True}, "chief"),
        ({"masterConfig": {"imageUri": "i"}, "useChiefInTfConfig": False}, "master"),
    ],
)
def test_the_master_is_called_as_the_runtime_version_called_it(
    training: Training, changes: dict[str, Any], chief: str
) -> None:
    cluster = Cluster.of(training(**changes))
    assert cluster.chief == chief
    found = cluster.tf_config(cluster.replicas[0], addressed(cluster), job={})
    assert list(found["cluster"]) == [chief]
    assert found["task"]["type"] == chief
