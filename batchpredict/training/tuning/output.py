"""The results of a search as the resource has them: TrainingOutput, its trials best first."""

from __future__ import annotations

import math
from collections.abc import Sequence

from batchpredict.job import (
    GoalType,
    HyperparameterMetric,
    HyperparameterOutput,
    HyperparameterSpec,
    State,
    TrainingOutput,
)
from batchpredict.training.tuning.space import Space
from batchpredict.training.tuning.trial import Metric, Trial, TrialState

MAX_LISTED_METRICS = 200
"""Metrics of one trial that are listed, at even distances if it has more: clients poll the whole resource."""

_STATES = {
    TrialState.COMPLETED: State.SUCCEEDED,
    TrialState.STOPPED: State.SUCCEEDED,
    TrialState.FAILED: State.FAILED,
}


def to_output(
    trials: Sequence[Trial], spec: HyperparameterSpec, consumed_ml_units: float | None = None
) -> TrainingOutput:
    """What a tuning job has come to so far.

    Of the trials that have ended those with a result come best first, then those without, then those that failed;
    of equals the first. A trial that was stopped early is a completed one.
    """
    space = Space.of(spec.params)
    ended = [trial for trial in trials if trial.state is not TrialState.PENDING]
    return TrainingOutput(
        completed_trial_count=sum(trial.state is not TrialState.FAILED for trial in ended),
        trials=tuple(_output(trial, space) for trial in sorted(ended, key=lambda trial: _rank(trial, spec))),
        consumed_ml_units=consumed_ml_units,
        is_hyperparameter_tuning_job=True,
        hyperparameter_metric_tag=spec.effective_metric_tag,
    )


def _rank(trial: Trial, spec: HyperparameterSpec) -> tuple[int, float, int]:
    if trial.result is None:
        return (2 if trial.state is TrialState.FAILED else 1, 0.0, trial.number)
    minimized = spec.effective_goal is GoalType.MINIMIZE
    return (0, trial.result if minimized else -trial.result, trial.number)


def _output(trial: Trial, space: Space) -> HyperparameterOutput:
    final = trial.final
    return HyperparameterOutput(
        trial_id=str(trial.number),
        hyperparameters=space.arguments(trial.values),
        final_metric=None if final is None else _metric(final),
        all_metrics=tuple(_metric(metric) for metric in _listed(trial.metrics)),
        state=_STATES[trial.state],
        start_time=trial.started,
        end_time=trial.ended,
        is_trial_stopped_early=True if trial.state is TrialState.STOPPED else None,
    )


def _metric(metric: Metric) -> HyperparameterMetric:
    return HyperparameterMetric(training_step=metric.step, objective_value=metric.value)


def _listed(metrics: Sequence[Metric]) -> list[Metric]:
    """At most `MAX_LISTED_METRICS`, the last one among them."""
    stride = max(math.ceil(len(metrics) / MAX_LISTED_METRICS), 1)
    return list(metrics[::-1][::stride][::-1])
