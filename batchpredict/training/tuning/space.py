"""The feasible space of a search: its parameters on the unit cube and back, and as a trainer's arguments.

Source: projects-jobs.txt, ParameterSpec, ParameterType and ScaleType; the form of the arguments is
cmle-behaviour.md §5. Every place of the unit interval belongs to a value, so that even chances on the cube are
even chances on the scale: a whole number and a discrete point have a cell each and lie in its middle.

    DOUBLE       the interval [minValue, maxValue] on its scale
    INTEGER      the interval [minValue - 1/2, maxValue + 1/2] on its scale, rounded
    DISCRETE     in their order: at their places on the scale if one is given, else at equal distances
    CATEGORICAL  cells of one size in the order of the specification, which means nothing
"""

from __future__ import annotations

import math
from bisect import bisect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from batchpredict.job import ParameterSpec, ParameterType, ScaleType
from batchpredict.training.tuning.scales import Scale

Value = float | int | str
Values = Mapping[str, Value]

_EXACT = 2**53
# Discrete points that a scale puts closer together than this are told apart by their order alone.
_APART = 1e-9


@dataclass(frozen=True)
class Real:
    """A parameter of type DOUBLE."""

    name: str
    scale: Scale

    count = None

    def to_unit(self, value: Value) -> float:
        return self.scale.to_unit(float(value))

    def from_unit(self, u: float) -> float:
        return self.scale.from_unit(u)

    def argument(self, value: Value) -> str:
        """The shortest decimal that reads as this very double."""
        return repr(float(value))

    def read(self, text: str) -> float | None:
        """The value that an argument stands for; None if it is none of this parameter."""
        number = _number(text)
        return number if number is not None and self.scale.low <= number <= self.scale.high else None


@dataclass(frozen=True)
class Whole:
    """A parameter of type INTEGER."""

    name: str
    low: int
    high: int
    scale: Scale

    @property
    def count(self) -> int:
        return self.high - self.low + 1

    def to_unit(self, value: Value) -> float:
        return self.scale.to_unit(float(value))

    def from_unit(self, u: float) -> int:
        return min(max(round(self.scale.from_unit(u)), self.low), self.high)

    def at(self, index: int) -> int:
        return self.low + index

    def index(self, value: Value) -> int:
        return int(value) - self.low

    def argument(self, value: Value) -> str:
        return str(int(value))

    def read(self, text: str) -> int | None:
        number = _number(text)
        if number is None or not number.is_integer() or not self.low <= number <= self.high:
            return None
        # Past 2**53 a double is not every integer.
        return int(text) if text.lstrip("-").isdigit() else int(number)


@dataclass(frozen=True)
class Ordered:
    """A parameter of type DISCRETE: feasible points in increasing order.

    Attributes:
      points: the values, of one type.
      places: where each lies in the unit interval, increasing.
    """

    name: str
    points: tuple[float, ...]
    places: tuple[float, ...]

    @property
    def count(self) -> int:
        return len(self.points)

    def to_unit(self, value: Value) -> float:
        return self.places[self.index(value)]

    def from_unit(self, u: float) -> float:
        """The point whose place is nearest."""
        borders = [(left + right) / 2 for left, right in pairwise(self.places)]
        return self.points[bisect(borders, u)]

    def at(self, index: int) -> float:
        return self.points[index]

    def index(self, value: Value) -> int:
        return self.points.index(float(value))

    def argument(self, value: Value) -> str:
        """Whole numbers without a point, as the JSON of a double has them: trainers read batch sizes with `int`."""
        number = float(value)
        return str(int(number)) if number.is_integer() and abs(number) <= _EXACT else repr(number)

    def read(self, text: str) -> float | None:
        number = _number(text)
        return number if number in self.points else None


@dataclass(frozen=True)
class Categories:
    """A parameter of type CATEGORICAL: texts without an order, each once."""

    name: str
    texts: tuple[str, ...]

    @property
    def count(self) -> int:
        return len(self.texts)

    def to_unit(self, value: Value) -> float:
        return (self.index(value) + 0.5) / len(self.texts)

    def from_unit(self, u: float) -> str:
        return self.texts[min(max(int(u * len(self.texts)), 0), len(self.texts) - 1)]

    def at(self, index: int) -> str:
        return self.texts[index]

    def index(self, value: Value) -> int:
        return self.texts.index(str(value))

    def argument(self, value: Value) -> str:
        return str(value)

    def read(self, text: str) -> str | None:
        return text if text in self.texts else None


Parameter = Real | Whole | Ordered | Categories


@dataclass(frozen=True)
class Space:
    """The parameters of a search, in the order of their specification."""

    parameters: tuple[Parameter, ...]

    @classmethod
    def of(cls, params: Sequence[ParameterSpec]) -> Space:
        """The space of parameter specifications that are valid, as those of a `HyperparameterSpec` are."""
        return cls(tuple(_parameter(param) for param in params))

    @property
    def count(self) -> int | None:
        """How many points there are; None if a parameter is continuous."""
        counted = [parameter.count for parameter in self.parameters if parameter.count is not None]
        return math.prod(counted) if len(counted) == len(self.parameters) else None

    def nth(self, index: int) -> list[Value]:
        """The point of this index, from 0, where the last parameter changes fastest.

        Raises ValueError if a parameter is continuous.
        """
        point: list[Value] = []
        for parameter in reversed(self.parameters):
            if isinstance(parameter, Real):
                raise ValueError(f"{parameter.name} is continuous")
            index, place = divmod(index, parameter.count)
            point.append(parameter.at(place))
        return point[::-1]

    def to_unit(self, values: Values) -> list[float]:
        """The place of `values` in the unit cube. Raises KeyError or ValueError for what is no point of it."""
        return [parameter.to_unit(values[parameter.name]) for parameter in self.parameters]

    def from_unit(self, place: Sequence[float]) -> dict[str, Value]:
        """The values at a place of the unit cube; what lies outside of it is the nearest that lies inside."""
        return {parameter.name: parameter.from_unit(u) for parameter, u in zip(self.parameters, place, strict=True)}

    def holds(self, values: Values) -> bool:
        """Whether `values` are a point of this space, with nothing missing and nothing more."""
        if values.keys() != {parameter.name for parameter in self.parameters}:
            return False
        try:
            return self.read(self.arguments(values)) == dict(values)
        except (ValueError, OverflowError):
            # A text where a number belongs, or no number at all.
            return False

    def arguments(self, values: Values) -> dict[str, str]:
        """What a trainer is given for each parameter, as text."""
        return {parameter.name: parameter.argument(values[parameter.name]) for parameter in self.parameters}

    def read(self, arguments: Mapping[str, str]) -> dict[str, Value] | None:
        """The values that `arguments` wrote; None if they are no point of this space."""
        values: dict[str, Value] = {}
        for parameter in self.parameters:
            text = arguments.get(parameter.name)
            value = None if text is None else parameter.read(text)
            if value is None:
                return None
            values[parameter.name] = value
        return values


def _parameter(param: ParameterSpec) -> Parameter:
    name, kind = param.parameter_name, param.type
    scale = param.scale_type or ScaleType.NONE
    if kind is ParameterType.CATEGORICAL:
        return Categories(name, tuple(dict.fromkeys(param.categorical_values)))
    if kind is ParameterType.DISCRETE:
        points = tuple(float(point) for point in param.discrete_values)
        return Ordered(name, points, _places(points, scale))
    if param.min_value is None or param.max_value is None:
        raise ValueError(f"{name}: a range without its ends was not validated")
    if kind is ParameterType.DOUBLE:
        return Real(name, Scale(float(param.min_value), float(param.max_value), scale))
    low, high = int(param.min_value), int(param.max_value)
    return Whole(name, low, high, Scale(low - 0.5, high + 0.5, scale))


def _places(points: tuple[float, ...], kind: ScaleType) -> tuple[float, ...]:
    if len(points) == 1:
        return (0.5,)
    if kind is not ScaleType.NONE:
        scale = Scale(points[0], points[-1], kind)
        places = tuple(scale.to_unit(point) for point in points)
        if all(right - left > _APART for left, right in pairwise(places)):
            return places
    return tuple(index / (len(points) - 1) for index in range(len(points)))


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
