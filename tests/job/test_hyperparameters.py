from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from batchpredict.job import GoalType, HyperparameterSpec, Job, ParameterSpec, ParameterType

Faults = Callable[..., list[tuple[str, str]]]
Build = Callable[..., dict[str, Any]]

LEARNING_RATE = {"parameterName": "lr", "type": "DOUBLE", "minValue": 1e-5, "maxValue": 1}
HERE = "training_input.hyperparameters"


@pytest.fixture
def faults_of_param(training_faults: Faults) -> Faults:
    """What is wrong with a parameter: pairs of field, relative to the parameter, and description."""

    def check(**fields: object) -> list[tuple[str, str]]:
        param = {"parameterName": "x", **fields}
        found = training_faults(hyperparameters={"params": [LEARNING_RATE, param]})
        return [(field.removeprefix(f"{HERE}.params[1]."), text) for field, text in found]

    return check


@pytest.mark.parametrize(
    "fields",
    [
        {"type": "DOUBLE", "minValue": 0.5, "maxValue": 0.5},
        {"type": "DOUBLE", "minValue": "0.5", "maxValue": "1"},
        {"type": "INTEGER", "minValue": 1, "maxValue": 8.0, "scaleType": "UNIT_LOG_SCALE"},
        {"type": "INTEGER", "minValue": 0, "maxValue": 8, "scaleType": "UNIT_LINEAR_SCALE"},
        {"type": "CATEGORICAL", "categoricalValues": ["a", "b"]},
        {"type": "CATEGORICAL", "categoricalValues": ["a"], "scaleType": "NONE"},
        {"type": "DISCRETE", "discreteValues": [1.5, 2.5, 4]},
        {"type": "DISCRETE", "discreteValues": [1, 2], "minValue": 9, "maxValue": 8},
        {"type": "DISCRETE", "discreteValues": list(range(1000))},
    ],
)
def test_a_legal_parameter_is_taken(faults_of_param: Faults, fields: dict[str, object]) -> None:
    assert faults_of_param(**fields) == []


def test_a_type_is_required(faults_of_param: Faults) -> None:
    assert faults_of_param() == [("type", "This field is required.")]


def test_the_unspecified_type_is_refused(faults_of_param: Faults) -> None:
    ((field, _),) = faults_of_param(type="PARAMETER_TYPE_UNSPECIFIED")
    assert field == "type"


@pytest.mark.parametrize("kind", ["DOUBLE", "INTEGER"])
def test_a_range_needs_both_its_ends(faults_of_param: Faults, kind: str) -> None:
    text = f"Required for a parameter of type {kind}."
    assert faults_of_param(type=kind) == [("min_value", text), ("max_value", text)]


@pytest.mark.parametrize(("name", "path"), [("minValue", "min_value"), ("maxValue", "max_value")])
def test_the_ends_of_an_integer_range_are_integers(faults_of_param: Faults, name: str, path: str) -> None:
    ends = {"minValue": 1, "maxValue": 8, name: 4.5}
    expected = [(path, "Must be an integer for a parameter of type INTEGER, got 4.5.")]
    assert faults_of_param(type="INTEGER", **ends) == expected


def test_a_range_has_finite_ends(faults_of_param: Faults) -> None:
    assert faults_of_param(type="DOUBLE", minValue=0, maxValue="Infinity") == [("max_value", "Must be finite.")]


def test_a_range_does_not_end_before_it_begins(faults_of_param: Faults) -> None:
    expected = [("max_value", "Must not be less than min_value: 1 < 2.")]
    assert faults_of_param(type="DOUBLE", minValue=2, maxValue=1) == expected


def test_categories_have_no_range(faults_of_param: Faults) -> None:
    found = faults_of_param(type="CATEGORICAL", categoricalValues=["a"], minValue=0, maxValue=1)
    text = "Must be unset for a parameter of type CATEGORICAL."
    assert found == [("min_value", text), ("max_value", text)]


def test_categories_have_no_scale(faults_of_param: Faults) -> None:
    ((field, _),) = faults_of_param(type="CATEGORICAL", categoricalValues=["a"], scaleType="UNIT_LINEAR_SCALE")
    assert field == "scale_type"


def test_a_categorical_parameter_needs_categories(faults_of_param: Faults) -> None:
    expected = [("categorical_values", "Required for a parameter of type CATEGORICAL.")]
    assert faults_of_param(type="CATEGORICAL") == expected


def test_a_discrete_parameter_needs_values(faults_of_param: Faults) -> None:
    expected = [("discrete_values", "Required for a parameter of type DISCRETE.")]
    assert faults_of_param(type="DISCRETE") == expected


@pytest.mark.parametrize("values", [[1, 1], [2, 1], [1, 3, 2]])
def test_discrete_values_increase_strictly(faults_of_param: Faults, values: list[int]) -> None:
    expected = [("discrete_values", "Values must be in strictly increasing order.")]
    assert faults_of_param(type="DISCRETE", discreteValues=values) == expected


def test_discrete_values_are_finite(faults_of_param: Faults) -> None:
    expected = [("discrete_values", "Every value must be finite.")]
    assert faults_of_param(type="DISCRETE", discreteValues=[1, "NaN"]) == expected


def test_discrete_values_are_a_thousand_at_most(faults_of_param: Faults) -> None:
    expected = [("discrete_values", "At most 1000 values are allowed, got 1001.")]
    assert faults_of_param(type="DISCRETE", discreteValues=list(range(1001))) == expected


@pytest.mark.parametrize("scale", ["UNIT_LOG_SCALE", "UNIT_REVERSE_LOG_SCALE"])
@pytest.mark.parametrize("least", [0, -1])
def test_a_logarithmic_range_is_strictly_positive(faults_of_param: Faults, scale: str, least: int) -> None:
    expected = [("min_value", f"The feasible space must be strictly positive for {scale}.")]
    assert faults_of_param(type="DOUBLE", minValue=least, maxValue=1, scaleType=scale) == expected


@pytest.mark.parametrize("scale", ["UNIT_LOG_SCALE", "UNIT_REVERSE_LOG_SCALE"])
def test_logarithmic_discrete_values_are_strictly_positive(faults_of_param: Faults, scale: str) -> None:
    ((field, _),) = faults_of_param(type="DISCRETE", discreteValues=[0, 1], scaleType=scale)
    assert field == "discrete_values"


def test_parameter_names_are_unique(training_faults: Faults) -> None:
    ((field, text),) = training_faults(hyperparameters={"params": [LEARNING_RATE, LEARNING_RATE]})
    assert field == f"{HERE}.params[1].parameter_name"
    assert text == '"lr" is the name of an earlier parameter; names must be unique.'


def test_names_that_are_missing_are_not_the_same_name(training_faults: Faults) -> None:
    nameless = {"type": "CATEGORICAL", "categoricalValues": ["a"]}
    found = training_faults(hyperparameters={"params": [nameless, nameless]})
    assert [text for _, text in found] == ["This field is required."] * 2


def test_a_parameter_that_is_no_object_does_not_hide_its_neighbours(training_faults: Faults) -> None:
    found = training_faults(hyperparameters={"params": [5, {"parameterName": "x", "type": "DISCRETE"}]})
    assert [field for field, _ in found] == [f"{HERE}.params[0]", f"{HERE}.params[1].discrete_values"]


@pytest.mark.parametrize("params", [..., []])
def test_something_must_be_tuned(training_faults: Faults, params: object) -> None:
    spec = {} if params is ... else {"params": params}
    expected = [(f"{HERE}.params", "At least one parameter is required.")]
    assert training_faults(hyperparameters=spec) == expected


@pytest.mark.parametrize(
    ("name", "path"), [("maxTrials", "max_trials"), ("maxParallelTrials", "max_parallel_trials")]
)
def test_trials_are_at_least_one(training_faults: Faults, name: str, path: str) -> None:
    expected = [(f"{HERE}.{path}", "Expected at least 1, got 0.")]
    assert training_faults(hyperparameters={"params": [LEARNING_RATE], name: 0}) == expected


def test_a_search_has_the_defaults_of_the_specification() -> None:
    spec = HyperparameterSpec(params=(ParameterSpec(parameter_name="x", type=ParameterType.DOUBLE),))
    assert spec.effective_goal is GoalType.MAXIMIZE
    assert spec.effective_max_trials == 1
    assert spec.effective_max_parallel_trials == 1
    assert spec.effective_metric_tag == "training/hptuning/metric"


@pytest.mark.parametrize(
    ("goal", "effective"),
    [("GOAL_TYPE_UNSPECIFIED", "MAXIMIZE"), ("MAXIMIZE", "MAXIMIZE"), ("MINIMIZE", "MINIMIZE")],
)
def test_an_unspecified_goal_is_to_maximize(goal: str, effective: str) -> None:
    assert HyperparameterSpec(goal=GoalType(goal)).effective_goal is GoalType(effective)


def test_the_fields_of_later_revisions_are_taken(training: Build) -> None:
    spec = {
        "goal": "MINIMIZE",
        "params": [LEARNING_RATE],
        "maxTrials": 20,
        "maxParallelTrials": 4,
        "hyperparameterMetricTag": "loss",
        "algorithm": "RANDOM_SEARCH",
        "enableTrialEarlyStopping": True,
        "maxFailedTrials": 0,
        "resumePreviousJobId": "train_0",
    }
    asked = Job.parse(training(hyperparameters=spec)).training_input
    assert asked is not None
    assert asked.to_wire()["hyperparameters"] == spec
