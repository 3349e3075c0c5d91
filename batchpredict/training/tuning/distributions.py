"""The parameters of a search in Optuna's terms.

A range is a place on the unit interval, so that Optuna need not know its scale, a discrete point its index, so
that it keeps its order, and a category itself.
"""

from __future__ import annotations

from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from batchpredict.training.tuning.space import Categories, Ordered, Parameter, Real, Space, Value, Values, Whole


def distributions(space: Space) -> dict[str, BaseDistribution]:
    """The distribution of each parameter, by its name."""
    return {parameter.name: distribution(parameter) for parameter in space.parameters}


def to_params(space: Space, values: Values) -> dict[str, Any]:
    """Values as the params of a trial of Optuna."""
    return {parameter.name: to_param(parameter, values[parameter.name]) for parameter in space.parameters}


def to_values(space: Space, params: dict[str, Any]) -> dict[str, Value]:
    """What `to_params` wrote."""
    return {parameter.name: to_value(parameter, params[parameter.name]) for parameter in space.parameters}


def distribution(parameter: Parameter) -> BaseDistribution:
    if isinstance(parameter, Categories):
        return CategoricalDistribution(parameter.texts)
    if isinstance(parameter, Ordered):
        return IntDistribution(0, parameter.count - 1)
    fixed = parameter.scale.is_point if isinstance(parameter, Real) else parameter.count == 1
    return FloatDistribution(0.0, 0.0 if fixed else 1.0)


def to_param(parameter: Parameter, value: Value) -> Any:
    if isinstance(parameter, Categories):
        return value
    if isinstance(parameter, Ordered):
        return parameter.index(value)
    return 0.0 if isinstance(parameter, Whole) and parameter.count == 1 else parameter.to_unit(value)


def to_value(parameter: Parameter, param: Any) -> Value:
    if isinstance(parameter, Categories):
        return str(param)
    return parameter.at(param) if isinstance(parameter, Ordered) else parameter.from_unit(param)
