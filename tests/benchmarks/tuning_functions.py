"""Functions with a known minimum to search: those of the literature, and some that look like a training job.

Each takes the values of its parameters by name. Those on a cube are from
https://www.sfu.ca/~ssurjano/optimization.html .
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from batchpredict.job import ParameterSpec

Values = Mapping[str, Any]
Noise = Callable[[], float]


@dataclass(frozen=True)
class Function:
    """A function to minimize.

    Attributes:
      name: of the row in the table.
      params: its feasible space.
      at: its value.
      least: its minimum.
      noise: standard deviation of what is added to what the search is told; it is judged by the value without.
      mark: the gap to `least` that the default must reach in the median, after 40 trials, 4 at a time.
    """

    name: str
    params: Sequence[ParameterSpec]
    at: Callable[[Values], float]
    least: float = 0.0
    noise: float = 0.0
    mark: float | None = None


def _doubles(count: int, low: float, high: float) -> list[ParameterSpec]:
    return [_double(f"x{i}", low, high) for i in range(count)]


def _double(name: str, low: float, high: float, scale: str = "UNIT_LINEAR_SCALE") -> ParameterSpec:
    return _param(name, type="DOUBLE", minValue=low, maxValue=high, scaleType=scale)


def _integer(name: str, low: int, high: int, scale: str = "UNIT_LINEAR_SCALE") -> ParameterSpec:
    return _param(name, type="INTEGER", minValue=low, maxValue=high, scaleType=scale)


def _category(name: str, *texts: str) -> ParameterSpec:
    return _param(name, type="CATEGORICAL", categoricalValues=list(texts))


def _discrete(name: str, *points: float) -> ParameterSpec:
    return _param(name, type="DISCRETE", discreteValues=list(points))


def _param(name: str, **fields: Any) -> ParameterSpec:
    return ParameterSpec.model_validate({"parameterName": name, **fields})


def _on_cube(at: Callable[[np.ndarray[Any, Any]], float]) -> Callable[[Values], float]:
    return lambda values: float(at(np.array([values[f"x{i}"] for i in range(len(values))], float)))


def _branin(x: np.ndarray[Any, Any]) -> float:
    a, b = 15 * x[0] - 5, 15 * x[1]
    bowl = (b - 5.1 / (4 * math.pi**2) * a * a + 5 / math.pi * a - 6) ** 2
    return float(bowl + 10 * (1 - 1 / (8 * math.pi)) * math.cos(a) + 10)


_HARTMANN_ALPHA = np.array([1.0, 1.2, 3.0, 3.2])
_HARTMANN_A = np.array(
    [[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14], [3, 3.5, 1.7, 10, 17, 8], [17, 8, 0.05, 10, 0.1, 14]]
)
_HARTMANN_P = 1e-4 * np.array(
    [
        [1312, 1696, 5569, 124, 8283, 5886],
        [2329, 4135, 8307, 3736, 1004, 9991],
        [2348, 1451, 3522, 2883, 3047, 6650],
        [4047, 8828, 8732, 5743, 1091, 381],
    ]
)


def _hartmann(x: np.ndarray[Any, Any]) -> float:
    return float(-_HARTMANN_ALPHA @ np.exp(-(_HARTMANN_A * (x - _HARTMANN_P) ** 2).sum(1)))


def _rosenbrock(x: np.ndarray[Any, Any]) -> float:
    return float((100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum())


def _ackley(x: np.ndarray[Any, Any]) -> float:
    waves = math.exp(np.cos(2 * math.pi * x).mean())
    return float(-20 * math.exp(-0.2 * math.sqrt((x * x).mean())) - waves + 20 + math.e)


def _levy(x: np.ndarray[Any, Any]) -> float:
    w = 1 + (x - 1) / 4
    first, last = math.sin(math.pi * w[0]) ** 2, (w[-1] - 1) ** 2 * (1 + math.sin(2 * math.pi * w[-1]) ** 2)
    between = ((w[:-1] - 1) ** 2 * (1 + 10 * np.sin(math.pi * w[:-1] + 1) ** 2)).sum()
    return float(first + between + last)


def _griewank(x: np.ndarray[Any, Any]) -> float:
    return float((x * x).sum() / 4000 - np.prod(np.cos(x / np.sqrt(np.arange(1, len(x) + 1)))) + 1)


def _sphere(x: np.ndarray[Any, Any]) -> float:
    return float((x * x).sum())


def _mixed(values: Values) -> float:
    rate, units = math.log10(values["lr"]), math.log2(values["units"])
    best, offset = {"adam": (-3, 0.0), "sgd": (-1.2, 0.35), "rms": (-3.4, 0.15)}[values["opt"]]
    loss = 0.35 * (rate - best) ** 2 + 0.04 * (units - 7.5) ** 2 + 1.5 * (values["drop"] - 0.23) ** 2 + offset
    return float(loss + 0.08 * abs(values["layers"] - 3) + 0.1 * math.sin(7 * rate) + 0.1)


_MIXED = [
    _double("lr", 1e-5, 1, "UNIT_LOG_SCALE"),
    _integer("units", 8, 1024, "UNIT_LOG_SCALE"),
    _double("drop", 0, 0.7),
    _category("opt", "adam", "sgd", "rms"),
    _discrete("layers", 1, 2, 3, 4, 6),
]


def _rate(values: Values) -> float:
    """A validation loss over a learning rate: a slow slope below, a cliff above, where training diverges."""
    rate = math.log10(values["lr"])
    return float(0.05 + 0.12 * abs(rate + 2.3) ** 1.5 if rate < -1.5 else 2.3)


def _plateau(values: Values) -> float:
    """A momentum that only one optimizer reads, and a loss that is flat wherever the learning rate is far off."""
    rate = math.log10(values["lr"])
    loss = 1 - math.exp(-((rate + 2.2) ** 2) / 0.5)
    if values["opt"] == "momentum":
        loss = 0.85 * loss + 0.3 * (values["momentum"] - 0.92) ** 2
    else:
        loss = 0.1 + 0.9 * loss
    return float(loss + 0.1 * abs(math.log2(values["batch"]) - 6) / 6)


def _boosted(values: Values) -> float:
    """Many parameters, of which few matter, as of boosted trees."""
    depth, rate = values["depth"], math.log10(values["eta"])
    loss = 0.3 * (rate + 1.1) ** 2 + 0.01 * (depth - 6) ** 2 + 0.1 * (rate + 1.1) * (depth - 6) * 0.2
    loss += 0.1 * (values["subsample"] - 0.8) ** 2 + 0.02 * (math.log10(values["l2"]) - 0.3) ** 2
    return float(loss + 0.01 * (values["columns"] - 0.7) ** 2 + 0.001 * values["bins"] / 255)


FUNCTIONS = (
    Function("branin", _doubles(2, 0, 1), _on_cube(_branin), 0.397887, mark=0.005),
    Function("hartmann6", _doubles(6, 0, 1), _on_cube(_hartmann), -3.32237, mark=0.20),
    Function("mixed", _MIXED, _mixed, mark=0.015),
    Function("rosenbrock", _doubles(4, -2, 2), _on_cube(_rosenbrock), mark=10),
    Function("ackley", _doubles(5, -20, 30), _on_cube(_ackley), mark=10.5),
    Function("noisy mixed", _MIXED, _mixed, noise=0.05, mark=0.05),
    Function("levy", _doubles(4, -10, 10), _on_cube(_levy)),
    Function("griewank", _doubles(3, -40, 60), _on_cube(_griewank)),
    Function("noisy hartmann6", _doubles(6, 0, 1), _on_cube(_hartmann), -3.32237, noise=0.2),
    Function("learning rate", [_double("lr", 1e-6, 1, "UNIT_LOG_SCALE")], _rate, 0.05),
    Function(
        "plateau",
        [
            _double("lr", 1e-6, 1, "UNIT_LOG_SCALE"),
            _category("opt", "plain", "momentum"),
            _double("momentum", 0.5, 0.999, "UNIT_REVERSE_LOG_SCALE"),
            _discrete("batch", 16, 32, 64, 128, 256, 512),
        ],
        _plateau,
    ),
    Function(
        "boosted",
        [
            _integer("depth", 2, 16),
            _double("eta", 1e-3, 1, "UNIT_LOG_SCALE"),
            _double("subsample", 0.3, 1),
            _double("columns", 0.3, 1),
            _double("l2", 1e-3, 100, "UNIT_LOG_SCALE"),
            _integer("bins", 16, 255, "UNIT_LOG_SCALE"),
        ],
        _boosted,
        0.001 * 16 / 255,
    ),
    Function("sphere", _doubles(8, -5, 10), _on_cube(_sphere)),
)
