"""The feasible space, to the letter of projects-jobs.txt: types, scales, bounds, and the text of an argument."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from training.tuning import searching
from training.tuning.searching import LINEAR, LOG, REVERSE, param

from batchpredict.job import ParameterSpec, ScaleType
from batchpredict.training.tuning.scales import Scale
from batchpredict.training.tuning.space import Space, Value

places = st.floats(0, 1)


def at(spec: ParameterSpec, u: float) -> Value:
    return Space.of([spec]).from_unit([u])["x"]


def unit(spec: ParameterSpec, value: Value) -> float:
    return Space.of([spec]).to_unit({"x": value})[0]


def text(spec: ParameterSpec, value: Value) -> str:
    return Space.of([spec]).arguments({"x": value})["x"]


@given(searching.params, st.floats(-1, 2))
def test_every_place_is_a_value_of_the_space(spec: ParameterSpec, u: float) -> None:
    space = Space.of([spec])
    assert space.holds(space.from_unit([u]))


@given(searching.params, places)
def test_a_value_is_found_again_at_its_place(spec: ParameterSpec, u: float) -> None:
    value = at(spec, u)
    again = at(spec, unit(spec, value))
    if isinstance(value, float) and not spec.discrete_values:
        high, low = spec.max_value or 0, spec.min_value or 0
        # A scale of logarithms keeps fewer digits at the end that it presses together.
        assert again == pytest.approx(value, rel=1e-9, abs=1e-9 * (high - low) + 1e-13 * abs(high))
    else:
        assert again == value


@given(searching.params, places)
def test_an_argument_reads_as_the_very_value(spec: ParameterSpec, u: float) -> None:
    space = Space.of([spec])
    values = space.from_unit([u])
    assert space.read(space.arguments(values)) == values


@given(st.one_of(searching.doubles, searching.integers, searching.discrete()), places, places)
def test_the_order_of_numbers_is_kept(spec: ParameterSpec, one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert at(spec, low) <= at(spec, high)  # type: ignore[operator]


@given(searching.doubles)
def test_a_range_begins_and_ends_with_its_bounds(spec: ParameterSpec) -> None:
    assert (at(spec, 0), at(spec, 1)) == (spec.min_value, spec.max_value)


@given(st.integers(-50, 50), st.integers(0, 20))
def test_every_integer_has_as_much_of_a_linear_scale(low: int, more: int) -> None:
    spec = param(type="INTEGER", minValue=low, maxValue=low + more, scaleType=LINEAR)
    count = more + 1
    assert [at(spec, (index + 0.5) / count) for index in range(count)] == list(range(low, low + count))
    assert [at(spec, (index + 0.01) / count) for index in range(count)] == list(range(low, low + count))
    assert [at(spec, (index + 0.99) / count) for index in range(count)] == list(range(low, low + count))


@pytest.mark.parametrize("scale", [None, "NONE", LINEAR])
def test_without_a_scale_a_range_is_linear(scale: str | None) -> None:
    spec = param(type="DOUBLE", minValue=-1, maxValue=3, **({"scaleType": scale} if scale else {}))
    assert [at(spec, u) for u in (0, 0.25, 0.5, 1)] == [-1, 0, 1, 3]


def test_a_logarithmic_scale_gives_each_decade_as_much() -> None:
    spec = param(type="DOUBLE", minValue=1e-4, maxValue=1, scaleType=LOG)
    assert [at(spec, u) for u in (0, 0.25, 0.5, 0.75, 1)] == pytest.approx([1e-4, 1e-3, 1e-2, 1e-1, 1])


def test_a_reverse_logarithmic_scale_spreads_the_top_out() -> None:
    spec = param(type="DOUBLE", minValue=0.001, maxValue=1, scaleType=REVERSE)
    # Of a logarithmic scale the mirror image: 0.9, 0.99 and so on come as evenly as 0.1, 0.01 there.
    assert at(spec, 1 / 3) == pytest.approx(1.001 - 0.1)
    assert at(spec, 2 / 3) == pytest.approx(1.001 - 0.01)
    assert unit(spec, 0.991) == pytest.approx(2 / 3)


@given(st.floats(1e-6, 1e6), st.floats(1e-6, 1e6), places)
def test_the_reverse_scale_is_the_logarithmic_one_seen_from_the_top(one: float, other: float, u: float) -> None:
    low, high = sorted((one, other))
    forward, reverse = (
        Scale(low, high, ScaleType.UNIT_LOG_SCALE),
        Scale(low, high, ScaleType.UNIT_REVERSE_LOG_SCALE),
    )
    assert reverse.from_unit(1 - u) == pytest.approx(low + high - forward.from_unit(u), rel=1e-6)


@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(allow_nan=False, allow_infinity=False), places)
def test_a_range_may_reach_from_end_to_end_of_the_doubles(one: float, other: float, u: float) -> None:
    low, high = sorted((one, other))
    value = Scale(low, high).from_unit(u)
    assert low <= value <= high
    assert 0 <= Scale(low, high).to_unit(value) <= 1


def test_discrete_points_keep_their_order_and_are_at_equal_distances() -> None:
    spec = param(type="DISCRETE", discreteValues=[1.5, 2.5, 4, 1000])
    assert [unit(spec, value) for value in (1.5, 2.5, 4.0, 1000.0)] == pytest.approx([0, 1 / 3, 2 / 3, 1])


def test_discrete_points_lie_on_the_scale_that_they_are_given() -> None:
    points = [1, 10, 1000]
    spec = param(type="DISCRETE", discreteValues=points, scaleType=LOG)
    assert [unit(spec, value) for value in points] == pytest.approx([0, 1 / 3, 1])
    assert [at(spec, u) for u in (0.1, 0.3, 0.6, 0.7)] == [1, 10, 10, 1000]


@given(searching.discrete())
def test_the_places_of_discrete_points_increase(spec: ParameterSpec) -> None:
    found = [unit(spec, value) for value in spec.discrete_values]
    assert all(left < right for left, right in pairwise(found))


@given(searching.categorical)
def test_every_category_has_as_much(spec: ParameterSpec) -> None:
    texts = spec.categorical_values
    assert [at(spec, (index + 0.5) / len(texts)) for index in range(len(texts))] == list(texts)


@pytest.mark.parametrize(
    ("fields", "value", "argument"),
    [
        ({"type": "DOUBLE", "minValue": 0, "maxValue": 1}, 0.43833827339355613, "0.43833827339355613"),
        ({"type": "DOUBLE", "minValue": 0, "maxValue": 1}, 1.0, "1.0"),
        ({"type": "DOUBLE", "minValue": 0, "maxValue": 1}, 1e-05, "1e-05"),
        ({"type": "INTEGER", "minValue": -5, "maxValue": 5}, -3, "-3"),
        ({"type": "INTEGER", "minValue": 0, "maxValue": 1e6}, 1000000, "1000000"),
        # Trainers read a batch size with int(), and a number as others print a double has no point.
        ({"type": "DISCRETE", "discreteValues": [64, 128]}, 64.0, "64"),
        ({"type": "DISCRETE", "discreteValues": [1.5, 4.0]}, 1.5, "1.5"),
        ({"type": "DISCRETE", "discreteValues": [1.5, 4.0]}, 4.0, "4"),
        ({"type": "CATEGORICAL", "categoricalValues": ["a b", "--c=d"]}, "--c=d", "--c=d"),
    ],
)
def test_arguments_are_written_in_full(fields: dict[str, Any], value: Value, argument: str) -> None:
    assert text(param(**fields), value) == argument


@pytest.mark.parametrize(
    "fields",
    [
        {"type": "DOUBLE", "minValue": 0.5, "maxValue": 0.5},
        {"type": "DOUBLE", "minValue": 3, "maxValue": 3, "scaleType": REVERSE},
        {"type": "INTEGER", "minValue": 7, "maxValue": 7, "scaleType": LOG},
        {"type": "DISCRETE", "discreteValues": [2.5]},
        {"type": "CATEGORICAL", "categoricalValues": ["only"]},
    ],
)
def test_a_parameter_may_have_one_value(fields: dict[str, Any]) -> None:
    spec = param(**fields)
    assert len({at(spec, u) for u in (0, 0.3, 1)}) == 1


@pytest.mark.parametrize(
    ("fields", "argument"),
    [
        ({"type": "DOUBLE", "minValue": 0, "maxValue": 1}, "1.5"),
        ({"type": "DOUBLE", "minValue": 0, "maxValue": 1}, "nan"),
        ({"type": "DOUBLE", "minValue": 0, "maxValue": 1}, "adam"),
        ({"type": "INTEGER", "minValue": 0, "maxValue": 9}, "1.5"),
        ({"type": "INTEGER", "minValue": 0, "maxValue": 9}, "10"),
        ({"type": "DISCRETE", "discreteValues": [1, 2]}, "1.5"),
        ({"type": "CATEGORICAL", "categoricalValues": ["a"]}, "b"),
    ],
)
def test_an_argument_of_another_space_is_no_value(fields: dict[str, Any], argument: str) -> None:
    space = Space.of([param(**fields)])
    assert space.read({"x": argument}) is None
    assert space.read({}) is None


@pytest.mark.parametrize("value", ["adam", 3.5, float("nan"), float("inf"), -1])
@pytest.mark.parametrize("kind", ["DOUBLE", "INTEGER"])
def test_a_value_of_another_space_is_not_held(kind: str, value: Value) -> None:
    space = Space.of([param(type=kind, minValue=0, maxValue=3)])
    assert not space.holds({"x": value})
    assert not space.holds({"y": 1})
    assert not space.holds({"x": 1, "y": 1})
    assert space.holds({"x": 1})


def test_a_space_of_points_is_counted_and_gone_through() -> None:
    space = Space.of(
        [
            param(parameterName="a", type="INTEGER", minValue=1, maxValue=2),
            param(parameterName="b", type="CATEGORICAL", categoricalValues=["x", "y", "z"]),
        ]
    )
    assert space.count == 6
    assert [space.nth(index) for index in range(4)] == [[1, "x"], [1, "y"], [1, "z"], [2, "x"]]


def test_a_continuous_space_is_not_counted() -> None:
    space = Space.of([param(type="DOUBLE", minValue=0, maxValue=1)])
    assert space.count is None
    with pytest.raises(ValueError, match="continuous"):
        space.nth(0)


def test_places_are_numbers() -> None:
    assert not math.isnan(unit(param(type="DOUBLE", minValue=-1e308, maxValue=1e308), 1e308))
