"""Which trials need not be run to their end: the median rule.

As the service documented it: a pending trial is stopped if its best objective value is strictly below the median
of the running averages of all completed trials up to that step. (Golovin et al., "Google Vizier", KDD 2017, §3.2.)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, median

from batchpredict.job import GoalType
from batchpredict.training.tuning.trial import Trial, TrialState


def is_hopeless(trial: Trial, trials: Sequence[Trial], goal: GoalType) -> bool:
    """Whether a trial is to be stopped early.

    Args:
      trial: as it is now. Only one that is pending, and has measured something, can be hopeless.
      trials: of the search; those that are completed count, by what they had measured up to that step.
      goal: MAXIMIZE or MINIMIZE.
    """
    if trial.state is not TrialState.PENDING or not trial.metrics:
        return False
    step = max(metric.step for metric in trial.metrics)
    completed = [other for other in trials if other.state is TrialState.COMPLETED]
    averages = [fmean(values) for other in completed if (values := _losses(other, goal, step))]
    if not averages:
        return False
    return min(_losses(trial, goal, step), default=math.inf) > median(averages)


def _losses(trial: Trial, goal: GoalType, step: int) -> list[float]:
    """The values of a trial up to a step, to be minimized. What is no number is left out."""
    sign = 1.0 if goal is GoalType.MINIMIZE else -1.0
    return [sign * metric.value for metric in trial.metrics if metric.step <= step and math.isfinite(metric.value)]
