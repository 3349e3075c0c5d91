"""The search of a job: what is tried, of what it is a function, and when it is over."""

from __future__ import annotations

import math
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import support
from training.tuning.searching import MIXED, ended, searched, spec

from batchpredict.errors import InvalidJob
from batchpredict.job import HyperparameterSpec
from batchpredict.training.tuning import Metric, Study, Trial, TrialState

LINE = {"parameterName": "x", "type": "DOUBLE", "minValue": 0, "maxValue": 1, "scaleType": "UNIT_LINEAR_SCALE"}
SMALL = (
    {"parameterName": "a", "type": "INTEGER", "minValue": 1, "maxValue": 3},
    {"parameterName": "b", "type": "CATEGORICAL", "categoricalValues": ["x", "y"]},
    {"parameterName": "c", "type": "DISCRETE", "discreteValues": [0.5, 1]},
)


def loss(values: Mapping[str, Any]) -> float:
    rate = math.log10(values["lr"])
    off = abs(values["layers"] - 3) + (values["opt"] != "adam")
    return float((rate + 3) ** 2 + (values["drop"] - 0.2) ** 2 + off)


def values_of(trials: list[Trial]) -> list[tuple[tuple[str, Any], ...]]:
    return [tuple(trial.values.items()) for trial in trials]


@pytest.mark.parametrize("algorithm", [None, "RANDOM_SEARCH"])
def test_every_trial_is_a_point_of_the_space(algorithm: str | None) -> None:
    study = Study(spec(*MIXED, goal="MINIMIZE", **({"algorithm": algorithm} if algorithm else {})), 1)
    for trial in searched(study, loss, 20):
        assert study.space.holds(trial.values)


def test_the_same_seed_searches_in_the_same_way_and_another_in_another() -> None:
    job = spec(*MIXED, goal="MINIMIZE")
    one, same, other = (searched(Study(job, seed), loss, 14) for seed in (1, 1, 2))
    assert values_of(list(one)) == values_of(list(same))
    assert values_of(list(one)) != values_of(list(other))


def test_a_search_is_the_same_in_another_process() -> None:
    program = (
        "from training.tuning.searching import MIXED, searched, spec\n"
        "from batchpredict.training.tuning import Study\n"
        "study = Study(spec(*MIXED), 5)\n"
        "print([trial.values for trial in searched(study, lambda values: values['drop'], 12)])"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONPATH": f"{support.ROOT}:{support.ROOT}/tests", "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert runs[0] == runs[1]


def test_the_order_in_which_trials_ended_does_not_matter() -> None:
    study = Study(spec(*MIXED), 3)
    trials = list(searched(study, loss, 12))
    expected = study.ask(trials)
    for seed in range(3):
        random.Random(seed).shuffle(trials)
        assert study.ask(trials) == expected


def test_a_study_that_is_made_anew_goes_on_where_the_last_one_was() -> None:
    job = spec(*MIXED)
    trials = list(searched(Study(job, 3), loss, 13))
    space = Study(job, 3).space
    # As they come from the output of the job.
    stored = [replace(trial, values=space.read(space.arguments(trial.values)) or {}) for trial in trials]
    assert Study(job, 3).ask(stored) == Study(job, 3).ask(trials)


def test_the_first_trials_fill_the_space() -> None:
    study = Study(spec(LINE), 4)
    trials = searched(study, lambda values: 0.0, 8)
    assert sorted(int(float(trial.values["x"]) * 8) for trial in trials) == list(range(8))


def test_trials_that_began_together_differ() -> None:
    study = Study(spec(*MIXED), 4)
    done = list(searched(study, loss, 10))
    pending: list[Trial] = []
    for number in range(11, 21):
        pending.append(Trial(number, study.ask([*done, *pending])))
    assert len({tuple(trial.values.items()) for trial in pending}) == 10
    # Neither half of the search takes them for one place.
    for parameter in ("lr", "drop"):
        assert len({trial.values[parameter] for trial in pending}) >= 5


def test_many_may_begin_before_any_has_ended() -> None:
    study = Study(spec(*MIXED), 4)
    trials: list[Trial] = []
    for number in range(1, 31):
        trials.append(Trial(number, study.ask(trials)))
    assert len({tuple(trial.values.items()) for trial in trials}) == 30


@pytest.mark.parametrize("goal", ["MINIMIZE", "MAXIMIZE"])
def test_a_search_finds_what_it_is_to_find(goal: str) -> None:
    sign = 1 if goal == "MINIMIZE" else -1
    study = Study(spec(LINE, goal=goal), 1)
    trials = list(searched(study, lambda values: sign * (values["x"] - 0.3141) ** 2, 20))
    best = study.best(trials)
    assert best is not None
    assert best.values["x"] == pytest.approx(0.3141, abs=0.01)


def test_a_goal_that_is_not_given_is_to_maximize() -> None:
    study = Study(spec(LINE), 1)
    best = study.best([ended(1, {"x": 0.1}, 1.0), ended(2, {"x": 0.2}, 2.0), ended(3, {"x": 0.3}, None)])
    assert best is not None
    assert best.number == 2


def test_places_where_trials_fail_are_left() -> None:
    study = Study(spec(LINE, goal="MINIMIZE"), 1)
    trials = searched(study, lambda values: None if values["x"] > 0.5 else 1 - values["x"], 30)
    failed = [trial.number for trial in trials if trial.state is TrialState.FAILED]
    assert len([number for number in failed if number > 8]) <= 13
    best = study.best(list(trials))
    assert best is not None
    assert float(best.values["x"]) > 0.45


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_no_result(value: float) -> None:
    study = Study(spec(LINE, goal="MINIMIZE"), 1)
    trials = searched(study, lambda values: value if values["x"] < 0.5 else values["x"], 15)
    best = study.best(list(trials))
    assert best is not None
    assert float(best.values["x"]) >= 0.5


def test_a_search_where_nothing_is_measured_goes_on() -> None:
    study = Study(spec(*MIXED), 1)
    trials = [Trial(number, study.ask([]), TrialState.COMPLETED) for number in range(1, 15)]
    assert study.space.holds(study.ask(trials))
    assert study.outlook(trials).failure is None


def test_equal_results_do_not_break_the_search() -> None:
    trials = searched(Study(spec(*MIXED), 1), lambda values: 1.0, 20)
    assert len({tuple(trial.values.items()) for trial in trials}) == 20


@pytest.mark.parametrize("scale", [1e-300, 1e-12, 1e12, 1e300])
def test_results_may_be_of_any_size(scale: float) -> None:
    trials = searched(Study(spec(LINE), 1), lambda values: scale * values["x"], 14)
    assert len(trials) == 14


def test_a_stopped_trial_counts_by_its_last_metric() -> None:
    trial = Trial(1, {"x": 0.5}, TrialState.STOPPED, (Metric(1, 3.0), Metric(2, 2.0)))
    assert Study(spec(LINE), 1).loss(trial) == -2.0


def test_a_small_space_is_gone_through_before_anything_is_tried_twice() -> None:
    study = Study(spec(*SMALL), 1)
    trials = searched(study, lambda values: values["a"], 12)
    assert len({tuple(trial.values.items()) for trial in trials}) == 12
    assert study.space.holds(study.ask(trials))


def test_a_space_of_one_point_is_searched() -> None:
    one = {"parameterName": "x", "type": "DOUBLE", "minValue": 2, "maxValue": 2}
    study = Study(spec(one, {"parameterName": "y", "type": "CATEGORICAL", "categoricalValues": ["a"]}), 1)
    assert [trial.values for trial in searched(study, lambda values: 1.0, 12)] == [{"x": 2.0, "y": "a"}] * 12


# GRID_SEARCH and RANDOM_SEARCH.


def test_a_grid_is_gone_through_once() -> None:
    study = Study(spec(*SMALL, algorithm="GRID_SEARCH", maxTrials=100), 1)
    trials = list(searched(study, lambda values: 1.0, 12))
    counted = Counter(tuple(trial.values.items()) for trial in trials)
    assert len(counted) == 12
    assert [trial.values["a"] for trial in trials] == [1] * 4 + [2] * 4 + [3] * 4
    assert study.outlook(trials).over


def test_a_grid_takes_no_more_trials_than_the_job_has() -> None:
    study = Study(spec(*SMALL, algorithm="GRID_SEARCH", maxTrials=5), 1)
    assert study.outlook(list(searched(study, lambda values: 1.0, 5))).over


def test_a_grid_of_a_million_millions_begins_at_once() -> None:
    huge = ({"parameterName": f"x{i}", "type": "INTEGER", "minValue": 1, "maxValue": 10**6} for i in range(2))
    study = Study(spec(*huge, algorithm="GRID_SEARCH", maxTrials=3), 1)
    assert [trial.values["x1"] for trial in searched(study, lambda values: 1.0, 3)] == [1, 2, 3]


def test_a_grid_over_a_continuous_parameter_is_refused() -> None:
    with pytest.raises(InvalidJob) as refused:
        Study(spec(*SMALL, LINE, algorithm="GRID_SEARCH"), 1)
    (violation,) = refused.value.violations
    assert violation.field == "training_input.hyperparameters.params[3].type"
    assert violation.description == "Must be INTEGER, CATEGORICAL or DISCRETE when algorithm is GRID_SEARCH."


def test_a_random_search_does_not_look_at_results() -> None:
    job = spec(*MIXED, algorithm="RANDOM_SEARCH")
    one = searched(Study(job, 1), lambda values: 1.0, 12)
    other = searched(Study(job, 1), lambda values: None, 12)
    assert values_of(list(one)) == values_of(list(other))
    assert len(set(values_of(list(one)))) == 12


# When to begin trials, and when to end.


def outlook(job: HyperparameterSpec, *states: TrialState) -> tuple[int, bool, str | None]:
    trials = [Trial(number, {"x": 0.5}, state) for number, state in enumerate(states, 1)]
    found = Study(job, 1).outlook(trials)
    return found.begin, found.over, found.failure


P, C, F, S = TrialState.PENDING, TrialState.COMPLETED, TrialState.FAILED, TrialState.STOPPED


def test_as_many_trials_run_as_may() -> None:
    job = spec(LINE, maxTrials=5, maxParallelTrials=3)
    assert outlook(job) == (3, False, None)
    assert outlook(job, P) == (2, False, None)
    assert outlook(job, P, P, P) == (0, False, None)
    assert outlook(job, C, P, P) == (1, False, None)
    assert outlook(job, C, C, C, P) == (1, False, None)
    assert outlook(job, C, S, F, C, P) == (0, False, None)
    assert outlook(job, C, S, F, C, C) == (0, True, None)


def test_one_trial_is_the_default() -> None:
    assert outlook(spec(LINE)) == (1, False, None)
    assert outlook(spec(LINE), C) == (0, True, None)


def test_the_job_fails_when_as_many_trials_failed_as_it_allows() -> None:
    job = spec(LINE, maxTrials=9, maxParallelTrials=2, maxFailedTrials=2)
    assert outlook(job, F, C) == (2, False, None)
    assert outlook(job, F, C, F, P) == (0, True, "2 trials failed, and maxFailedTrials is 2.")


def test_without_a_bound_the_job_fails_when_nothing_succeeds() -> None:
    job = spec(LINE, maxTrials=9)
    assert outlook(job, F, F, F, F) == (1, False, None)
    assert outlook(job, F, F, F, F, F) == (0, True, "5 trials failed, and none has succeeded.")
    assert outlook(job, F, F, F, F, F, C) == (1, False, None)
    assert outlook(spec(LINE, maxTrials=1), F) == (0, True, "1 trial failed, and none has succeeded.")


# A job that resumes another one.


def test_the_trials_of_an_earlier_job_are_known() -> None:
    job = spec(LINE, goal="MINIMIZE", maxTrials=4)
    earlier = list(searched(Study(job, 1), lambda values: (values["x"] - 0.7) ** 2, 12))
    study = Study(job, 2, earlier)
    trials = list(searched(study, lambda values: (values["x"] - 0.7) ** 2, 4))
    assert study.best(trials) is not None
    assert min(study.loss(trial) for trial in trials) < 1e-3
    assert not {trial.values["x"] for trial in trials} & {trial.values["x"] for trial in earlier}


def test_the_trials_of_an_earlier_job_count_as_none_of_this_one() -> None:
    job = spec(LINE, maxTrials=2, maxFailedTrials=1)
    study = Study(job, 1, [ended(number, {"x": number / 10}, None) for number in range(1, 9)])
    assert study.outlook([]).begin == 1
    assert study.outlook([]).failure is None


def test_a_grid_goes_on_where_the_earlier_job_was() -> None:
    job = spec(*SMALL, algorithm="GRID_SEARCH", maxTrials=8)
    earlier = list(searched(Study(job, 1), lambda values: 1.0, 8))
    study = Study(job, 1, earlier)
    trials = list(searched(study, lambda values: 1.0, 4))
    assert len(set(values_of([*earlier, *trials]))) == 12
    assert study.outlook(trials).over


def test_trials_that_are_no_points_of_the_space_are_left_out() -> None:
    wide = ended(1, {"x": 3.0}, 1.0)
    other = ended(2, {"y": 0.5}, 1.0)
    pending = Trial(3, {"x": 0.5})
    study = Study(spec(LINE), 1, [wide, other, pending])
    assert study.ask([]) == Study(spec(LINE), 1).ask([])
