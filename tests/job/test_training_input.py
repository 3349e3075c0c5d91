from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from batchpredict.job import Job, ScaleTier, Scheduling, TrainingInput
from batchpredict.job.training import MACHINE_TYPES

Faults = Callable[..., list[tuple[str, str]]]
Build = Callable[..., dict[str, Any]]

CUSTOM = {"scaleTier": "CUSTOM", "masterType": "complex_model_m"}
FIXED = [tier.value for tier in ScaleTier if tier is not ScaleTier.CUSTOM]
ROLES = {"worker": "worker", "parameterServer": "parameter_server", "evaluator": "evaluator"}


def _read(document: dict[str, Any]) -> TrainingInput:
    asked = Job.parse(document).training_input
    assert asked is not None
    return asked


@pytest.mark.parametrize("tier", FIXED)
def test_a_fixed_tier_needs_no_machines(training_faults: Faults, tier: str) -> None:
    assert training_faults(scaleTier=tier) == []


@pytest.mark.parametrize(("name", "path"), [("scaleTier", "scale_tier"), ("region", "region")])
def test_a_required_field_is_missed_by_name(training_faults: Faults, name: str, path: str) -> None:
    assert training_faults(**{name: ...}) == [(f"training_input.{path}", "This field is required.")]


def test_a_custom_tier_requires_a_master_type(training_faults: Faults) -> None:
    expected = [("training_input.master_type", "Required when scale_tier is CUSTOM.")]
    assert training_faults(scaleTier="CUSTOM") == expected


@pytest.mark.parametrize("tier", FIXED)
def test_a_fixed_tier_takes_no_master_type(training_faults: Faults, tier: str) -> None:
    text = f"Can only be used when scale_tier is CUSTOM; it is {tier}."
    assert training_faults(scaleTier=tier, masterType="standard") == [("training_input.master_type", text)]


@pytest.mark.parametrize("machine", [*MACHINE_TYPES, "n1-highmem-96", "a2-ultragpu-8g", "cloud_tpu"])
def test_machine_types_old_and_new_are_taken(training_faults: Faults, machine: str) -> None:
    assert training_faults(scaleTier="CUSTOM", masterType=machine) == []


@pytest.mark.parametrize("role", ROLES)
def test_replicas_of_a_custom_tier_have_a_type_and_a_count(training_faults: Faults, role: str) -> None:
    assert training_faults(**CUSTOM, **{f"{role}Type": "standard", f"{role}Count": "3"}) == []


@pytest.mark.parametrize("role", ROLES)
def test_a_count_requires_a_type(training_faults: Faults, role: str) -> None:
    ((field, text),) = training_faults(**CUSTOM, **{f"{role}Count": 1})
    assert field == f"training_input.{ROLES[role]}_type"
    assert text == f"Required when {ROLES[role]}_count is greater than zero."


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(("kind", "value"), [("Type", "standard"), ("Count", 1)])
def test_a_fixed_tier_takes_no_replicas(training_faults: Faults, role: str, kind: str, value: object) -> None:
    ((field, text),) = training_faults(**{f"{role}{kind}": value})
    assert field == f"training_input.{ROLES[role]}_{kind.lower()}"
    assert text == "Can only be used when scale_tier is CUSTOM; it is BASIC."


@pytest.mark.parametrize("role", ROLES)
def test_a_count_of_zero_is_an_unset_one(training_faults: Faults, role: str) -> None:
    assert training_faults(**{f"{role}Count": "0"}) == []


def test_a_negative_count_is_refused(training_faults: Faults) -> None:
    expected = [("training_input.worker_count", "Expected at least 0, got -1.")]
    assert training_faults(**CUSTOM, workerType="standard", workerCount=-1) == expected


def test_a_count_that_cannot_be_read_is_refused_once(training_faults: Faults) -> None:
    expected = [("training_input.worker_count", 'Expected an integer of 64 bits, got "many".')]
    assert training_faults(**CUSTOM, workerCount="many") == expected


@pytest.mark.parametrize("packages", [..., []])
def test_packages_are_required(training_faults: Faults, packages: object) -> None:
    ((field, text),) = training_faults(packageUris=packages)
    assert field == "training_input.package_uris"
    assert text == "At least one package is required, or a master_config.image_uri."


def test_a_hundred_packages_are_allowed(training_faults: Faults) -> None:
    assert training_faults(packageUris=["gs://b/p.whl"] * 100) == []


def test_a_hundred_and_one_packages_are_refused(training_faults: Faults) -> None:
    expected = [("training_input.package_uris", "At most 100 packages are allowed, got 101.")]
    assert training_faults(packageUris=["gs://b/p.whl"] * 101) == expected


@pytest.mark.parametrize("module", [..., "", " "])
def test_a_module_is_required(training_faults: Faults, module: object) -> None:
    ((field, _),) = training_faults(pythonModule=module)
    assert field == "training_input.python_module"


def test_an_image_stands_for_packages_and_module(training_faults: Faults) -> None:
    assert training_faults(packageUris=..., pythonModule=..., masterConfig={"imageUri": "gcr.io/p/i"}) == []


def test_a_master_config_without_an_image_does_not(training_faults: Faults) -> None:
    found = training_faults(packageUris=..., pythonModule=..., masterConfig={})
    assert [field for field, _ in found] == ["training_input.package_uris", "training_input.python_module"]


def test_an_image_that_cannot_be_read_is_refused_once(training_faults: Faults) -> None:
    ((field, _),) = training_faults(packageUris=..., pythonModule=..., masterConfig={"imageUri": 5})
    assert field == "training_input.master_config.image_uri"


def test_the_fields_of_later_revisions_are_taken(training: Build) -> None:
    later = {
        "pythonVersion": "3.7",
        "workerConfig": {
            "acceleratorConfig": {"count": "8", "type": "NVIDIA_TESLA_T4"},
            "imageUri": "gcr.io/p/i",
            "tpuTfVersion": "2.1",
            "containerCommand": ["python"],
            "containerArgs": ["-m", "x"],
            "diskConfig": {"bootDiskType": "pd-ssd", "bootDiskSizeGb": 200},
        },
        "evaluatorConfig": {"imageUri": "gcr.io/p/i"},
        "useChiefInTfConfig": True,
        "network": "n",
        "serviceAccount": "a@b",
        "encryptionConfig": {"kmsKeyName": "k"},
        "scheduling": {"maxRunningTime": "3600s", "maxWaitTime": "1800s", "priority": 7},
        "enableWebAccess": False,
        "jobDir": "gs://b/dir",
        "args": ["--steps", "10"],
    }
    written = _read(training(**later)).to_wire()
    assert {name: written[name] for name in later} == later


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("maxRunningTime", "0s"),
        ("maxRunningTime", "one day"),
        ("maxWaitTime", "1799.9s"),
        ("priority", -1),
        ("priority", 1001),
    ],
)
def test_scheduling_has_its_limits(training_faults: Faults, field: str, value: object) -> None:
    ((path, text),) = training_faults(scheduling={field: value})
    assert path.startswith("training_input.scheduling.")
    assert text.startswith("Expected ")


def test_a_job_runs_for_seven_days_at_most_by_default() -> None:
    assert Scheduling().effective_max_running_seconds == 7 * 24 * 3600
