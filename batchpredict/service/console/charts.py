"""Charts of a search, drawn by the server: what a template writes as SVG. Pure functions of what is shown.

A chart repeats what the table of trials has. Its points are one path, so that five hundred of them are a few
kilobytes: a point is a line of no length with round ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

from batchpredict.counted import counted
from batchpredict.service.console.axes import Axis, Columns, Tick, axis
from batchpredict.service.console.training_views import Parameter, TrainingView, Trial
from batchpredict.service.console.values import real

WIDTH, HEIGHT = 280, 190
LEFT, RIGHT, TOP, BOTTOM = 54, 268, 10, 162
"""Of the area within the axes."""

_BEFORE_ALL = datetime.min.replace(tzinfo=timezone.utc)


@dataclass(frozen=True)
class Chart:
    """A chart.

    Attributes:
      title, description: for who does not see it; the caption is in the title.
      across, up: what is written beside the axes.
      points, best, line: paths; the best trial's point, and a line through the best so far, may be empty.
    """

    title: str
    description: str
    across: Sequence[Tick]
    up: Sequence[Tick]
    points: str
    best: str = ""
    line: str = ""


def charts(view: TrainingView) -> list[Chart]:
    """Best so far, then a slice for each parameter; none before a trial has an objective."""
    if view.best is None:
        return []
    measured = [trial for trial in view.trials if trial.objective is not None]
    slices = (_slice(view, parameter, measured) for parameter in view.parameters)
    return [_best_so_far(view, measured), *(one for one in slices if one is not None)]


def beyond(view: TrainingView) -> int:
    """Trials whose objective the charts do not reach; they are drawn at the end of its axis."""
    measured = [trial for trial in view.trials if trial.objective is not None]
    if not measured:
        return 0
    up = _objectives(view, measured)
    return sum(not up.low <= _objective(trial) <= up.high for trial in measured)


def _best_so_far(view: TrainingView, measured: Sequence[Trial]) -> Chart:
    ended = sorted(view.trials, key=lambda trial: trial.ended or _BEFORE_ALL)
    objectives = [(place, trial) for place, trial in enumerate(ended, 1) if trial.objective is not None]
    across = Axis(0.5, max(len(ended), 2) + 0.5, LEFT, RIGHT)
    up = _objectives(view, measured)
    steps, best = "", None
    for place, trial in objectives:
        x, y = across.at(place), up.at(_objective(trial))
        if best is None:
            steps = f"M{x:.1f} {y:.1f}"
        elif (_objective(trial) > _objective(best)) == view.maximize and trial.objective != best.objective:
            steps += f"H{x:.1f}V{y:.1f}"
        else:
            continue
        best = trial
    assert best is not None
    return Chart(
        title="Best so far",
        description=f"{view.metric} of {counted(len(measured), 'trial')} in the order of their end,"
        f" {'higher' if view.maximize else 'lower'} is better. The first has {_objective(objectives[0][1]):.6g},"
        f" the best is {_objective(best):.6g} of trial {best.number}.",
        across=[tick for tick in across.ticks() if float(tick.label).is_integer()],
        up=up.ticks(),
        points=_path((across.at(place), up.at(_objective(trial))) for place, trial in objectives),
        line=f"{steps}H{across.at(len(ended)):.1f}",
    )


def _slice(view: TrainingView, parameter: Parameter, measured: Sequence[Trial]) -> Chart | None:
    """Values of a parameter against the objective; None if no trial has one."""
    across: Axis | Columns
    if parameter.kind == "CATEGORICAL":
        seen = {trial.values[parameter.name]: None for trial in measured if parameter.name in trial.values}
        across = Columns(list(dict.fromkeys([*parameter.categories, *seen])), LEFT, RIGHT)
        placed = [
            (across.at(trial.values[parameter.name]), trial) for trial in measured if parameter.name in trial.values
        ]
        said = f"in {len(across.names)} columns"
    else:
        values = [(real(trial.values.get(parameter.name)), trial) for trial in measured]
        known = [(value, trial) for value, trial in values if value is not None]
        bounds = [bound for bound in (parameter.low, parameter.high) if bound is not None]
        if not known:
            return None
        across = axis([*(value for value, _ in known), *bounds], LEFT, RIGHT, logarithmic=parameter.logarithmic)
        placed = [(across.at(value), trial) for value, trial in known]
        said = f"from {across.low:.6g} to {across.high:.6g}" + (
            " on a logarithmic axis" if across.logarithmic else ""
        )
    if not placed:
        return None
    up = _objectives(view, measured)
    # The best of those that have a value: trials are best first.
    x, best = placed[0]
    return Chart(
        title=parameter.name,
        description=f"{parameter.name} {said}, against {view.metric}, of {counted(len(placed), 'trial')}."
        f" The best, trial {best.number}, has {best.values[parameter.name]}.",
        across=across.ticks(),
        up=up.ticks(),
        points=_path((x, up.at(_objective(trial))) for x, trial in placed),
        best=_path([(x, up.at(_objective(best)))]),
    )


def _objectives(view: TrainingView, measured: Sequence[Trial]) -> Axis:
    return axis([_objective(trial) for trial in measured], BOTTOM, TOP, best=view.best)


def _objective(trial: Trial) -> float:
    assert trial.objective is not None
    return trial.objective


def _path(points: Iterable[tuple[float, float]]) -> str:
    return "".join(f"M{x:.1f} {y:.1f}h0" for x, y in points)
