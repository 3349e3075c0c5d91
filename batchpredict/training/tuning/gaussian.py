"""The half of the search that models the objective: a Gaussian process of egobox, asked for one point at a time."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import egobox
import numpy as np
import numpy.typing as npt

from batchpredict.training.tuning.space import Categories, Ordered, Parameter, Value

Array = npt.NDArray[np.float64]
Point = Sequence[Value]

FEWEST = 3
"""A model of fewer points than this says nothing."""

# Losses of training jobs are less smooth than egobox's default, the squared exponential, takes them to be: with
# it the gaps of branin, hartmann6 and the mixed space came to two to three times as much.
_KERNEL = egobox.CorrelationSpec.MATERN52

# A fit takes the cube of the points: 0.1 s of 40, 0.5 s of 100, 14 s of 500.
_MOST = 100


class NoModel(Exception):
    """The model could not be fitted to these results."""


def flattened(results: Array) -> Array:
    """Results to be minimized, with those that are worse than the median drawn towards it.

    An objective that spans decades would else be a wall to the model and nothing more:
    y > m becomes m + w tanh((y - m) / w), with m the median and w = m - min.
    """
    middle = float(np.median(results))
    width = middle - float(results.min())
    if not width > 0:
        return np.minimum(results, middle)
    drawn: Array = np.where(results > middle, middle + width * np.tanh((results - middle) / width), results)
    return drawn


def design(parameters: Sequence[Parameter], count: int, seed: int) -> list[list[Value]]:
    """`count` points that fill the space, an optimized Latin hypercube. `seed` is at least 0."""
    points = egobox.lhs([_axis(parameter) for parameter in parameters], count, seed=seed)
    return [_point(parameters, place) for place in points]


@dataclass(frozen=True)
class Results:
    """What is known of a space.

    Attributes:
      parameters: of the space, each with more than one value.
      tried: points, each with the value of every parameter.
      losses: of each of them, finite, to be minimized.
      pending: points that are being tried.
    """

    parameters: Sequence[Parameter]
    tried: Sequence[Point]
    losses: Array
    pending: Sequence[Point]


def suggest(results: Results, seed: int) -> list[Value]:
    """The point of which most is expected. `seed` is at least 0.

    Raises:
      NoModel: there are too few results, or egobox makes nothing of them.
    """
    parameters = results.parameters
    places, known = _told(results)
    with _refusing():
        if results.pending:
            expected = _places(parameters, results.pending)
            model = _fitted(parameters, places, known, seed)
            known = np.concatenate([known, _believed(model, parameters, expected, known)])
            places = np.concatenate([places, expected])
        optimizer = egobox.Egor(
            [_axis(parameter) for parameter in parameters],
            gp_config=egobox.GpConfig(corr_spec=_KERNEL),
            seed=seed,
        )
        (place,) = optimizer.suggest(places, known[:, None])
    return _point(parameters, place)


def best(results: Results, candidates: Sequence[Point], seed: int) -> Point:
    """Of some points the one that may be best: with the lowest mean less standard deviation by the model.

    By the mean alone the search now and then stayed with the wrong category. Raises NoModel as `suggest` does.
    """
    parameters = results.parameters
    places, known = _told(results)
    with _refusing():
        model = _fitted(parameters, places, known, seed)
        if results.pending:
            expected = _places(parameters, results.pending)
            believed = _believed(model, parameters, expected, known)
            model = model.update(_numeric(parameters, expected), believed)
        means, deviations = model.predict(_numeric(parameters, _places(parameters, candidates)), return_std=True)
    return candidates[int(np.argmin(np.ravel(means) - np.ravel(deviations)))]


def _told(results: Results) -> tuple[Array, Array]:
    """The results that the model is fitted to: their places, and their losses, flattened."""
    chosen = telling(results.losses, max(_MOST - len(results.pending), _MOST // 2))
    if len(chosen) < FEWEST:
        raise NoModel(f"{len(chosen)} results are too few")
    places = _places(results.parameters, [results.tried[index] for index in chosen])
    return places, flattened(results.losses)[chosen]


@contextlib.contextmanager
def _refusing() -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        # What panics in Rust is no Exception in Python.
        if isinstance(error, Exception) or type(error).__name__ == "PanicException":
            raise NoModel(str(error)) from error
        raise


def telling(results: Array, most: int) -> list[int]:
    """Which of the results to fit, in their order: of too many the best, and of the rest every so many."""
    if len(results) <= most:
        return list(range(len(results)))
    ranked = np.argsort(results, kind="stable")
    best, rest = ranked[: most // 2], np.sort(ranked[most // 2 :])
    spread = rest[np.linspace(0, len(rest) - 1, most - len(best)).round().astype(int)]
    return sorted(int(index) for index in (*best, *spread))


def _fitted(parameters: Sequence[Parameter], places: Array, known: Array, seed: int) -> Any:
    return egobox.Gpx.builder(seed=seed, corr_spec=_KERNEL).fit(_numeric(parameters, places), known)


def _believed(model: Any, parameters: Sequence[Parameter], places: Array, known: Array) -> Array:
    """What pending points are taken to come to, within what is known, so that their like is not tried again."""
    means: Array = np.asarray(model.predict(_numeric(parameters, places)), np.float64).reshape(-1)
    return means.clip(known.min(), known.max())


def _axis(parameter: Parameter) -> Any:
    if isinstance(parameter, Categories):
        return egobox.XSpec(egobox.XType.ENUM, [parameter.count])
    if isinstance(parameter, Ordered):
        return egobox.XSpec(egobox.XType.ORD, list(parameter.places))
    return egobox.XSpec(egobox.XType.FLOAT, [0.0, 1.0])


def _places(parameters: Sequence[Parameter], points: Sequence[Point]) -> Array:
    """Points in the terms of `_axis`, one a row."""
    rows = [
        [
            parameter.index(value) if isinstance(parameter, Categories) else parameter.to_unit(value)
            for parameter, value in zip(parameters, point, strict=True)
        ]
        for point in points
    ]
    return np.array(rows, float)


def _point(parameters: Sequence[Parameter], place: Array) -> list[Value]:
    return [
        parameter.at(round(float(u))) if isinstance(parameter, Categories) else parameter.from_unit(float(u))
        for parameter, u in zip(parameters, place, strict=True)
    ]


def _numeric(parameters: Sequence[Parameter], places: Array) -> Array:
    """Places with a column for each category, which is 1 where it is that."""
    columns: list[Array] = []
    for parameter, column in zip(parameters, places.T, strict=True):
        if isinstance(parameter, Categories):
            columns += [(column == index).astype(float) for index in range(parameter.count)]
        else:
            columns.append(column)
    return np.stack(columns, axis=1)
