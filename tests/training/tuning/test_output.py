"""TrainingOutput of a tuning job, as clients read it."""

from __future__ import annotations

import math
from typing import Any

from training.tuning.searching import spec

from batchpredict.job import HyperparameterSpec
from batchpredict.training.tuning import Metric, Trial, TrialState, output, to_output

RATE = {"parameterName": "rate", "type": "DOUBLE", "minValue": 0, "maxValue": 1}
JOB = spec(RATE, maxTrials=9)


def trial(number: int, *values: float, state: TrialState = TrialState.COMPLETED, **fields: Any) -> Trial:
    metrics = tuple(Metric(10 * step, value) for step, value in enumerate(values, 1))
    return Trial(number, {"rate": number / 8}, state, metrics, **fields)


def ids(trials: list[Trial], job: HyperparameterSpec = JOB) -> list[str | None]:
    return [one.trial_id for one in to_output(trials, job).trials]


def test_a_trial_on_the_wire() -> None:
    ended = trial(3, 0.25, 0.5, started="2026-01-01T00:00:00Z", ended="2026-01-01T00:01:00Z")
    assert to_output([ended], JOB, 1.5).to_wire() == {
        "completedTrialCount": "1",
        "trials": [
            {
                "trialId": "3",
                "hyperparameters": {"rate": "0.375"},
                "finalMetric": {"trainingStep": "20", "objectiveValue": 0.5},
                "allMetrics": [
                    {"trainingStep": "10", "objectiveValue": 0.25},
                    {"trainingStep": "20", "objectiveValue": 0.5},
                ],
                "state": "SUCCEEDED",
                "startTime": "2026-01-01T00:00:00Z",
                "endTime": "2026-01-01T00:01:00Z",
            }
        ],
        "consumedMlUnits": 1.5,
        "consumedMLUnits": 1.5,
        "isHyperparameterTuningJob": True,
        "hyperparameterMetricTag": "training/hptuning/metric",
    }


def test_trials_are_listed_best_first() -> None:
    trials = [trial(1, 0.9, 0.2), trial(2, 0.1, 0.8), trial(3, 0.5)]
    assert ids(trials) == ["2", "3", "1"]
    assert ids(trials, spec(RATE, goal="MAXIMIZE")) == ["2", "3", "1"]
    assert ids(trials, spec(RATE, goal="MINIMIZE")) == ["1", "3", "2"]


def test_equals_stand_in_the_order_in_which_they_began() -> None:
    assert ids([trial(3, 0.5), trial(1, 0.5), trial(2, 0.5)]) == ["1", "2", "3"]


def test_trials_without_a_result_stand_behind_and_those_that_failed_last() -> None:
    trials = [trial(1, 0.9, state=TrialState.FAILED), trial(2), trial(3, math.nan), trial(4, -5.0)]
    assert ids(trials) == ["4", "2", "3", "1"]
    without, diverged, failed = to_output(trials, JOB).to_wire()["trials"][1:]
    assert "finalMetric" not in without
    assert without["state"] == "SUCCEEDED"
    assert diverged["finalMetric"] == {"trainingStep": "10", "objectiveValue": "NaN"}
    assert failed["state"] == "FAILED"


def test_a_trial_that_was_stopped_early_is_a_completed_one() -> None:
    found = to_output([trial(1, 0.5, state=TrialState.STOPPED), trial(2, 0.4), trial(3)], JOB)
    assert found.completed_trial_count == 3
    assert [one.is_trial_stopped_early for one in found.trials] == [True, None, None]


def test_trials_that_run_are_not_yet_results() -> None:
    found = to_output([trial(1, 0.5, state=TrialState.PENDING)], JOB)
    assert found.trials == ()
    assert found.to_wire()["completedTrialCount"] == "0"


def test_a_metric_of_no_step_is_of_step_zero() -> None:
    found = to_output([Trial(1, {"rate": 0.5}, TrialState.COMPLETED, (Metric(0, 0.5),))], JOB)
    assert found.to_wire()["trials"][0]["finalMetric"] == {"trainingStep": "0", "objectiveValue": 0.5}


def test_of_many_metrics_some_are_listed_and_the_last_one_is() -> None:
    many = trial(1, *(step / 1000 for step in range(10_001)))
    (one,) = to_output([many], JOB).trials
    assert len(one.all_metrics) <= output.MAX_LISTED_METRICS
    assert one.all_metrics[-1] == one.final_metric
    steps = [metric.training_step or 0 for metric in one.all_metrics]
    assert steps == sorted(steps)
