from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from batchpredict.errors import InvalidJob
from batchpredict.job import TrainingInput
from batchpredict.training.cluster import MACHINE_TYPES, Cluster, Replica, Role
from batchpredict.training.cluster.cluster import MAX_REPLICAS

Training = Callable[..., TrainingInput]
Faults = Callable[..., list[tuple[str, str]]]

CUSTOM = {"scaleTier": "CUSTOM", "masterType": "complex_model_m"}
ROLES = {"worker": "worker", "parameterServer": "parameter_server", "evaluator": "evaluator"}


def counts(cluster: Cluster) -> dict[str, int]:
    found: dict[str, int] = {}
    for replica in cluster.replicas:
        found[replica.role.value] = found.get(replica.role.value, 0) + 1
    return found


def units(cluster: Cluster) -> float:
    return sum(cluster.machines[replica.role].weight for replica in cluster.replicas)


@pytest.mark.parametrize(
    ("tier", "expected", "price"),
    [
        ("BASIC", {"master": 1}, 0.3878),
        ("STANDARD_1", {"master": 1, "worker": 4, "ps": 3}, 4.0571),
        ("PREMIUM_1", {"master": 1, "worker": 19, "ps": 11}, 33.7829),
        ("BASIC_GPU", {"master": 1}, 1.6939),
    ],
)
def test_a_tier_is_the_replicas_and_the_price_of_the_service(
    training: Training, tier: str, expected: dict[str, int], price: float
) -> None:
    cluster = Cluster.of(training(scaleTier=tier))
    assert counts(cluster) == expected
    assert units(cluster) == pytest.approx(price, abs=2e-3)
    assert cluster.has_servers == ("ps" in expected)


def test_a_gpu_tier_asks_for_one_accelerator(training: Training) -> None:
    assert Cluster.of(training(scaleTier="BASIC_GPU")).machines[Role.MASTER].accelerators == 1


def test_a_tpu_tier_is_refused_with_a_reason(faults: Faults) -> None:
    ((field, text),) = faults(scaleTier="BASIC_TPU")
    assert field == "scale_tier"
    assert text.startswith("There are no TPUs here")


def test_a_custom_tier_is_what_it_says(training: Training) -> None:
    cluster = Cluster.of(
        training(
            **CUSTOM,
            workerType="n1-standard-4",
            workerCount="2",
            parameterServerType="large_model",
            parameterServerCount=1,
            evaluatorType="standard",
            evaluatorCount=1,
        )
    )
    names = ["master-0", "worker-0", "worker-1", "ps-0", "evaluator-0"]
    assert [replica.name for replica in cluster.replicas] == names
    assert {role.value: machine.name for role, machine in cluster.machines.items()} == {
        "master": "complex_model_m",
        "worker": "n1-standard-4",
        "ps": "large_model",
        "evaluator": "standard",
    }


@pytest.mark.parametrize("role", ROLES)
def test_a_type_without_a_count_is_no_replica(training: Training, role: str) -> None:
    assert counts(Cluster.of(training(**CUSTOM, **{f"{role}Type": "standard"}))) == {"master": 1}


@pytest.mark.parametrize("tier", ["BASIC", "STANDARD_1", "PREMIUM_1", "BASIC_GPU", "BASIC_TPU"])
@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("masterType", "master_type", "standard"),
        *((f"{role}Type", f"{field}_type", "standard") for role, field in ROLES.items()),
        *((f"{role}Count", f"{field}_count", 1) for role, field in ROLES.items()),
    ],
)
def test_a_fixed_tier_takes_neither_types_nor_counts(
    faults: Faults, tier: str, name: str, field: str, value: Any
) -> None:
    expected = [(field, f"Can only be used when scale_tier is CUSTOM; it is {tier}.")]
    assert faults(scaleTier=tier, **{name: value}) == expected


@pytest.mark.parametrize("role", ROLES)
def test_a_custom_tier_needs_a_type_for_each_count(faults: Faults, role: str) -> None:
    expected = [(f"{ROLES[role]}_type", f"Required when {ROLES[role]}_count is greater than zero.")]
    assert faults(**CUSTOM, **{f"{role}Count": 1}) == expected


def test_a_custom_tier_needs_a_master_type(faults: Faults) -> None:
    expected = [("master_type", "Required when scale_tier is CUSTOM.")]
    assert faults(scaleTier="CUSTOM", workerType="standard", workerCount=1) == expected


def test_unknown_machine_types_are_all_named_with_their_neighbours(faults: Faults) -> None:
    found = faults(
        scaleTier="CUSTOM",
        masterType="standart",
        workerType="n1-highcpu-5",
        workerCount=1,
        parameterServerType="pumpkin",
        parameterServerCount=1,
        evaluatorType="cloud_tpu",
        evaluatorCount=1,
    )
    assert [field for field, _ in found] == [
        "master_type",
        "worker_type",
        "parameter_server_type",
        "evaluator_type",
    ]
    assert found[0][1] == 'Unknown machine type "standart". Did you mean standard?'
    assert found[1][1].startswith('Unknown machine type "n1-highcpu-5". Did you mean n1-highcpu-')
    assert found[2][1] == 'Unknown machine type "pumpkin".'
    assert found[3][1] == "There are no TPUs here; use machine types that have GPUs."


def test_an_unknown_type_of_no_replica_is_no_matter(faults: Faults) -> None:
    assert faults(**CUSTOM, workerType="pumpkin") == []


def test_a_count_beyond_reason_is_refused_before_it_is_built(faults: Faults) -> None:
    ((field, text),) = faults(**CUSTOM, workerType="standard", workerCount=10**12)
    assert field == "worker_count"
    assert text == f"A cluster has at most {MAX_REPLICAS} replicas; this one would have 1000000000001."


def test_a_container_alone_is_refused(faults: Faults) -> None:
    ((field, _),) = faults(packageUris=[], pythonModule="", masterConfig={"imageUri": "gcr.io/p/i"})
    assert field == "python_module"


def test_accelerators_are_added_to_an_n1_machine(training: Training) -> None:
    config = {"acceleratorConfig": {"count": "2", "type": "NVIDIA_TESLA_T4"}}
    cluster = Cluster.of(training(scaleTier="CUSTOM", masterType="n1-standard-4", masterConfig=config))
    machine = cluster.machines[Role.MASTER]
    assert (machine.name, machine.accelerators) == ("n1-standard-4", 2)
    assert machine.weight == pytest.approx((0.19 + 2 * 0.35) / 0.49, abs=1e-4)


@pytest.mark.parametrize(
    ("changes", "field", "text"),
    [
        ({}, "master_config.accelerator_config", "Can only be used with an N1 machine type"),
        (
            {"scaleTier": "CUSTOM", "masterType": "standard_gpu"},
            "master_config.accelerator_config",
            "the type is standard_gpu.",
        ),
    ],
)
def test_accelerators_need_a_machine_type_that_takes_them(
    faults: Faults, changes: dict[str, Any], field: str, text: str
) -> None:
    config = {"acceleratorConfig": {"count": 1, "type": "NVIDIA_TESLA_T4"}}
    ((found, description),) = faults(**changes, masterConfig=config)
    assert found == field
    assert text in description


@pytest.mark.parametrize(("count", "kind", "field"), [(1, "TPU_V2", "type"), (1, "", "type"), (9, None, "count")])
def test_accelerators_that_no_machine_has_are_refused(
    faults: Faults, count: int, kind: str | None, field: str
) -> None:
    config = {"acceleratorConfig": {"count": count, "type": "NVIDIA_TESLA_T4" if kind is None else kind}}
    ((found, _),) = faults(scaleTier="CUSTOM", masterType="n1-standard-4", masterConfig=config)
    assert found == f"master_config.accelerator_config.{field}"


def test_machine_types_of_ones_own_are_taken(training: Training) -> None:
    types = MACHINE_TYPES.extended({"box": {"cores": 2, "memoryGib": 8}})
    source = training(scaleTier="CUSTOM", masterType="box")
    assert Cluster.of(source, types).machines[Role.MASTER].cores == 2
    with pytest.raises(InvalidJob, match='Unknown machine type "box"'):
        Cluster.of(source)


def test_replicas_are_listed_by_role(training: Training) -> None:
    replicas = Cluster.of(training(scaleTier="PREMIUM_1")).replicas
    assert list(replicas) == sorted(replicas)
    assert replicas[0] == Replica(Role.MASTER, 0)
