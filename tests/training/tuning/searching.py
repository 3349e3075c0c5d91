"""What the tests of the search are made of: specifications as they stand in a job, and trials."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hypothesis import strategies as st

from batchpredict.job import HyperparameterSpec, ParameterSpec
from batchpredict.training.tuning.study import Study
from batchpredict.training.tuning.trial import Metric, Trial, TrialState

LINEAR, LOG, REVERSE = "UNIT_LINEAR_SCALE", "UNIT_LOG_SCALE", "UNIT_REVERSE_LOG_SCALE"

MIXED = (
    {"parameterName": "lr", "type": "DOUBLE", "minValue": 1e-5, "maxValue": 1, "scaleType": LOG},
    {"parameterName": "units", "type": "INTEGER", "minValue": 8, "maxValue": 1024, "scaleType": LOG},
    {"parameterName": "drop", "type": "DOUBLE", "minValue": 0, "maxValue": 0.7},
    {"parameterName": "opt", "type": "CATEGORICAL", "categoricalValues": ["adam", "sgd", "rms"]},
    {"parameterName": "layers", "type": "DISCRETE", "discreteValues": [1, 2, 3, 4, 6]},
)


def param(**fields: Any) -> ParameterSpec:
    return ParameterSpec.model_validate({"parameterName": "x", **fields})


def spec(*params: Mapping[str, Any], **fields: Any) -> HyperparameterSpec:
    return HyperparameterSpec.model_validate({"params": list(params), **fields})


def ended(number: int, values: Mapping[str, Any], result: float | None) -> Trial:
    """A trial that completed with this result; one that failed if there is none."""
    if result is None:
        return Trial(number, values, TrialState.FAILED)
    return Trial(number, values, TrialState.COMPLETED, (Metric(1, result),))


def searched(study: Study, at: Callable[[Mapping[str, Any]], float | None], count: int) -> Sequence[Trial]:
    """The trials of a search, one at a time."""
    trials: list[Trial] = []
    for number in range(1, count + 1):
        values = study.ask(trials)
        trials.append(ended(number, values, at(values)))
    return trials


_finite = st.floats(-1e12, 1e12)
_positive = st.floats(1e-12, 1e12)


@st.composite
def ranges(draw: st.DrawFn, kind: str) -> ParameterSpec:
    scale = draw(st.sampled_from([None, "NONE", LINEAR, LOG, REVERSE]))
    logarithmic = scale in (LOG, REVERSE)
    if kind == "INTEGER":
        ends = st.integers(1 if logarithmic else -(10**9), 10**9).map(float)
    else:
        ends = _positive if logarithmic else _finite
    low, high = sorted((draw(ends), draw(ends)))
    return param(type=kind, minValue=low, maxValue=high, **({"scaleType": scale} if scale else {}))


@st.composite
def discrete(draw: st.DrawFn) -> ParameterSpec:
    scale = draw(st.sampled_from([None, "NONE", LINEAR, LOG, REVERSE]))
    points = draw(st.lists(_positive if scale in (LOG, REVERSE) else _finite, min_size=1, max_size=30, unique=True))
    return param(type="DISCRETE", discreteValues=sorted(points), **({"scaleType": scale} if scale else {}))


categorical = st.lists(st.text(min_size=1), min_size=1, max_size=8, unique=True).map(
    lambda texts: param(type="CATEGORICAL", categoricalValues=texts)
)
doubles = ranges("DOUBLE")
integers = ranges("INTEGER")
params = st.one_of(doubles, integers, discrete(), categorical)
