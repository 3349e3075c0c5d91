from __future__ import annotations

from typing import Any

import pytest

from batchpredict.job.training import MACHINE_TYPES as NAMES_OF_2017
from batchpredict.training.cluster import MACHINE_TYPES, MachineType

# The service's price list for the Americas, in ML units an hour (2019).
UNITS = {
    "standard": 0.3878,
    "large_model": 0.9665,
    "complex_model_s": 0.5788,
    "complex_model_m": 1.1576,
    "complex_model_l": 2.3151,
    "standard_gpu": 1.6939,
    "complex_model_m_gpu": 5.2245,
    "n1-standard-4": 0.3878,
    "n1-standard-8": 0.7755,
    "n1-standard-16": 1.5510,
    "n1-standard-32": 3.1020,
    "n1-standard-64": 6.2041,
    "n1-standard-96": 9.3061,
    "n1-highmem-2": 0.2416,
}


@pytest.mark.parametrize("name", NAMES_OF_2017)
def test_every_name_of_2017_is_known(name: str) -> None:
    machine = MACHINE_TYPES.find(name)
    assert machine is not None
    assert machine.name == name
    assert (machine.accelerators > 0) == ("gpu" in name or "p100" in name)


@pytest.mark.parametrize(("name", "units"), UNITS.items())
def test_weights_are_those_of_the_price_list(name: str, units: float) -> None:
    machine = MACHINE_TYPES.find(name)
    assert machine is not None
    assert machine.weight == pytest.approx(units, abs=1e-4)


@pytest.mark.parametrize(
    ("name", "cores", "gib", "accelerators"),
    [
        ("n1-standard-96", 96, 360, 0),
        ("n1-highmem-8", 8, 52, 0),
        ("n1-highcpu-16", 16, 14.4, 0),
        ("a2-highgpu-1g", 12, 85, 1),
        ("a2-megagpu-16g", 96, 1360, 16),
        ("complex_model_l_gpu", 32, 120, 8),
    ],
)
def test_a_machine_has_cores_memory_and_accelerators(name: str, cores: int, gib: float, accelerators: int) -> None:
    machine = MACHINE_TYPES.find(name)
    assert machine is not None
    assert (machine.cores, machine.accelerators) == (cores, accelerators)
    assert machine.memory_gib == pytest.approx(gib)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("standart", "standard"),
        ("STANDARD", "standard"),
        ("complex-model-m", "complex_model_m"),
        ("n1-standard-5", "n1-standard-2"),
        ("n1-highmen-8", "n1-highmem-8"),
        ("a2-highgpu-3g", "a2-highgpu-8g"),
        ("pumpkin", None),
    ],
)
def test_an_unknown_name_has_a_nearest_one(name: str, nearest: str | None) -> None:
    assert MACHINE_TYPES.find(name) is None
    found = MACHINE_TYPES.nearest(name)
    assert found is None if nearest is None else found is not None and found[:-2] == nearest[:-2]


def test_an_installation_has_machine_types_of_its_own() -> None:
    types = MACHINE_TYPES.extended(
        {
            "gpu-box": {"cores": 16, "memoryGib": 64.5, "accelerators": 2, "weight": 3},
            "standard": {"cores": 2, "memoryGib": 4},
        }
    )
    assert types.find("gpu-box") == MachineType("gpu-box", 16, 64.5, 2, 3.0)
    assert types.find("standard") == MachineType("standard", 2, 4.0, 0, 0.1939)
    assert types.find("large_model") == MACHINE_TYPES.find("large_model")
    assert MACHINE_TYPES.find("gpu-box") is None


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ([], "expected an object"),
        ({"memoryGib": 1}, "cores must be a positive integer, got None"),
        ({"cores": 0, "memoryGib": 1}, "cores must be a positive integer, got 0"),
        ({"cores": 1.5, "memoryGib": 1}, "cores must be a positive integer"),
        ({"cores": True, "memoryGib": 1}, "cores must be a positive integer"),
        ({"cores": 1, "memoryGib": "64"}, "memoryGib must be a positive number, got '64'"),
        ({"cores": 1, "memoryGib": float("nan")}, "memoryGib must be a positive number"),
        ({"cores": 1, "memoryGib": 1, "accelerators": -1}, "accelerators must be a non-negative integer"),
        ({"cores": 1, "memoryGib": 1, "gpus": 1}, "unknown field gpus"),
    ],
)
def test_a_machine_type_that_cannot_be_is_refused_by_name(fields: Any, text: str) -> None:
    with pytest.raises(ValueError, match=f"Machine type box: {text}"):
        MACHINE_TYPES.extended({"box": fields})
