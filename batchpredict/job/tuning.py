"""The search for hyperparameters: what to try, HyperparameterSpec, and its results, HyperparameterOutput.

Source: projects-jobs.txt; the fields after an empty line are those of later revisions of the ml v1 API.
"""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise
from typing import Annotated

from batchpredict.job.scalars import offering
from batchpredict.job.states import State
from batchpredict.job.wire import (
    Bool,
    Count32,
    Double,
    Findings,
    Int64,
    NonBlank,
    Positive32,
    Timestamp,
    Wire,
    WireEnum,
    rule,
)

MAX_DISCRETE_VALUES = 1000
DEFAULT_METRIC_TAG = "training/hptuning/metric"


class GoalType(WireEnum):
    """The direction of the search; unspecified is MAXIMIZE."""

    GOAL_TYPE_UNSPECIFIED = "GOAL_TYPE_UNSPECIFIED"
    MAXIMIZE = "MAXIMIZE"
    MINIMIZE = "MINIMIZE"


class ParameterType(WireEnum):
    PARAMETER_TYPE_UNSPECIFIED = "PARAMETER_TYPE_UNSPECIFIED"
    DOUBLE = "DOUBLE"
    INTEGER = "INTEGER"
    CATEGORICAL = "CATEGORICAL"
    DISCRETE = "DISCRETE"


class ScaleType(WireEnum):
    """How the feasible space maps to the unit interval."""

    NONE = "NONE"
    UNIT_LINEAR_SCALE = "UNIT_LINEAR_SCALE"
    UNIT_LOG_SCALE = "UNIT_LOG_SCALE"
    UNIT_REVERSE_LOG_SCALE = "UNIT_REVERSE_LOG_SCALE"


class Algorithm(WireEnum):
    """How the next trial is chosen; unspecified is Bayesian optimization."""

    ALGORITHM_UNSPECIFIED = "ALGORITHM_UNSPECIFIED"
    GRID_SEARCH = "GRID_SEARCH"
    RANDOM_SEARCH = "RANDOM_SEARCH"


_RANGED = (ParameterType.DOUBLE, ParameterType.INTEGER)
_LOGARITHMIC = (ScaleType.UNIT_LOG_SCALE, ScaleType.UNIT_REVERSE_LOG_SCALE)


class ParameterSpec(Wire):
    """One hyperparameter and its feasible space. For DISCRETE, minValue and maxValue are ignored."""

    parameter_name: NonBlank
    type: Annotated[ParameterType, offering("DOUBLE", "INTEGER", "CATEGORICAL", "DISCRETE")]
    min_value: Double | None = None
    max_value: Double | None = None
    categorical_values: tuple[str, ...] = ()
    discrete_values: tuple[Double, ...] = ()
    scale_type: ScaleType | None = None

    @rule("type")
    def _type_is_specified(self) -> Findings:
        if self.type is ParameterType.PARAMETER_TYPE_UNSPECIFIED:
            yield ("type",), "A valid type is required: DOUBLE, INTEGER, CATEGORICAL or DISCRETE."

    @rule("type", "min_value")
    def _min_value_fits_the_type(self) -> Findings:
        yield from self._bound_fits_the_type("min_value", self.min_value)

    @rule("type", "max_value")
    def _max_value_fits_the_type(self) -> Findings:
        yield from self._bound_fits_the_type("max_value", self.max_value)

    def _bound_fits_the_type(self, name: str, value: float | None) -> Findings:
        if self.type in _RANGED:
            if value is None:
                yield (name,), f"Required for a parameter of type {self.type}."
            elif not math.isfinite(value):
                yield (name,), "Must be finite."
            elif self.type is ParameterType.INTEGER and not float(value).is_integer():
                yield (name,), f"Must be an integer for a parameter of type INTEGER, got {value}."
        elif self.type is ParameterType.CATEGORICAL and value is not None:
            yield (name,), "Must be unset for a parameter of type CATEGORICAL."

    @rule("type", "min_value", "max_value")
    def _bounds_in_order(self) -> Findings:
        low, high = self.min_value, self.max_value
        if self.type in _RANGED and low is not None and high is not None and low > high:
            yield ("max_value",), f"Must not be less than min_value: {high} < {low}."

    @rule("type", "categorical_values")
    def _categories_are_given(self) -> Findings:
        if self.type is ParameterType.CATEGORICAL and not self.categorical_values:
            yield ("categorical_values",), "Required for a parameter of type CATEGORICAL."

    @rule("type", "discrete_values")
    def _points_are_given_in_order(self) -> Findings:
        if self.type is not ParameterType.DISCRETE:
            return
        points = self.discrete_values
        if not points:
            yield ("discrete_values",), "Required for a parameter of type DISCRETE."
        if len(points) > MAX_DISCRETE_VALUES:
            yield (
                ("discrete_values",),
                f"At most {MAX_DISCRETE_VALUES} values are allowed, got {len(points)}.",
            )
        if not all(math.isfinite(point) for point in points):
            yield ("discrete_values",), "Every value must be finite."
        elif any(left >= right for left, right in pairwise(points)):
            yield ("discrete_values",), "Values must be in strictly increasing order."

    @rule("type", "scale_type")
    def _categories_have_no_scale(self) -> Findings:
        # NONE is the zero of the proto's enum and reads as unset.
        if self.type is ParameterType.CATEGORICAL and self.scale_type not in (None, ScaleType.NONE):
            yield ("scale_type",), "Must be unset for a parameter of type CATEGORICAL."

    @rule("type", "scale_type", "min_value", "discrete_values")
    def _logarithms_exist(self) -> Findings:
        if self.scale_type not in _LOGARITHMIC:
            return
        fault = f"The feasible space must be strictly positive for {self.scale_type}."
        if self.type in _RANGED and self.min_value is not None and self.min_value <= 0:
            yield ("min_value",), fault
        if self.type is ParameterType.DISCRETE and any(point <= 0 for point in self.discrete_values):
            yield ("discrete_values",), fault


class HyperparameterSpec(Wire):
    """The search: goal, feasible space, and how many trials. `effective_…` knows the defaults."""

    # "Required. […] Defaults to MAXIMIZE": whoever leaves it out gets the default.
    goal: GoalType | None = None
    params: tuple[ParameterSpec, ...] = ()
    max_trials: Positive32 | None = None
    max_parallel_trials: Positive32 | None = None
    hyperparameter_metric_tag: str | None = None

    algorithm: Algorithm | None = None
    enable_trial_early_stopping: Bool | None = None
    max_failed_trials: Count32 | None = None
    resume_previous_job_id: str | None = None

    @rule("params")
    def _something_to_tune(self) -> Findings:
        if not self.params:
            yield ("params",), "At least one parameter is required."

    @rule("params")
    def _names_are_unique(self) -> Findings:
        seen: Counter[str] = Counter()
        for index, param in enumerate(self.params):
            # In a draft a name may be BROKEN, which is false.
            if param.parameter_name and seen[param.parameter_name]:
                yield (
                    ("params", index, "parameter_name"),
                    f'"{param.parameter_name}" is the name of an earlier parameter; names must be unique.',
                )
            seen[param.parameter_name] += 1

    @property
    def effective_goal(self) -> GoalType:
        """MAXIMIZE or MINIMIZE."""
        return GoalType.MINIMIZE if self.goal is GoalType.MINIMIZE else GoalType.MAXIMIZE

    @property
    def effective_max_trials(self) -> int:
        return self.max_trials or 1

    @property
    def effective_max_parallel_trials(self) -> int:
        return self.max_parallel_trials or 1

    @property
    def effective_metric_tag(self) -> str:
        return self.hyperparameter_metric_tag or DEFAULT_METRIC_TAG


class HyperparameterMetric(Wire):
    """An observed value of a metric."""

    training_step: Int64 | None = None
    objective_value: Double | None = None


class BuiltInAlgorithmOutput(Wire):
    framework: str | None = None
    runtime_version: str | None = None
    python_version: str | None = None
    model_path: str | None = None


class HyperparameterOutput(Wire):
    """The result of one trial. Values of hyperparameters are text, as they stood on the command line."""

    trial_id: str | None = None
    hyperparameters: dict[str, str] | None = None
    final_metric: HyperparameterMetric | None = None
    all_metrics: tuple[HyperparameterMetric, ...] = ()

    state: State | None = None
    start_time: Timestamp | None = None
    end_time: Timestamp | None = None
    is_trial_stopped_early: Bool | None = None
    built_in_algorithm_output: BuiltInAlgorithmOutput | None = None
    web_access_uris: dict[str, str] | None = None
