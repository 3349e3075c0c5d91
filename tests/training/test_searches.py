"""Searches for hyperparameters, in this process."""

from __future__ import annotations

import os

import pytest
from training.training_support import alive, custom, search

import batchpredict
from batchpredict.errors import JobFailed
from batchpredict.job import Job, State
from batchpredict.training.folder import TrainingFolder
from batchpredict.training.hosting import _seed
from batchpredict.training.prepare import earlier_trials
from batchpredict.training.spec import TrainingSpec
from batchpredict.training.tuning import Study


def test_trials_best_first(jobs):
    output = jobs.train(hyperparameters=search(8, parallel=3))
    assert output.completed_trial_count == 8
    assert output.is_hyperparameter_tuning_job
    assert output.hyperparameter_metric_tag == "loss"
    assert output.consumed_ml_units > 0
    values = [trial.final_metric.objective_value for trial in output.trials]
    assert values == sorted(values)
    assert sorted(int(trial.trial_id) for trial in output.trials) == list(range(1, 9))
    for trial in output.trials:
        (run,) = jobs.runs(trial.trial_id)
        x = trial.hyperparameters["x"]
        assert run["arguments"] == [f"--x={x}", "--job-dir", os.path.join(jobs.job_dir, trial.trial_id)]
        assert run["config"]["task"] == {"type": "chief", "index": 0, "trial": trial.trial_id}
        assert trial.final_metric.objective_value == float(x) ** 2
        assert trial.final_metric.training_step == 3
        assert trial.state is State.SUCCEEDED
        assert trial.start_time < trial.end_time
    last = jobs.seen.snapshots[-1]
    assert (last.trials, last.trials_wanted) == (8, 8)
    assert last.best == values[0]


@pytest.mark.long
def test_a_cluster_for_each_trial(jobs):
    output = jobs.train(hyperparameters=search(2, parallel=2), **custom(workers=1))
    assert output.completed_trial_count == 2
    for number in ("1", "2"):
        tasks = [run["config"]["task"] for run in jobs.runs(number)]
        assert sorted(task["type"] for task in tasks) == ["chief", "worker"]
        assert {task["trial"] for task in tasks} == {number}


def test_the_objective_under_another_tag(jobs):
    output = jobs.train("--metric", "accuracy", hyperparameters=search(2))
    assert output.completed_trial_count == 2
    assert [trial.final_metric for trial in output.trials] == [None, None]
    said = [text for text in jobs.seen.messages if "without a value of its objective" in text]
    assert len(said) == 2
    assert 'of its objective "loss"; it wrote these tags: accuracy' in said[0]


def test_trials_that_fail_are_the_last(jobs):
    output = jobs.train("--fail-below", "0", hyperparameters=search(8, parallel=2, maxFailedTrials=8))
    states = [trial.state for trial in output.trials]
    failed = states.count(State.FAILED)
    assert 0 < failed < 8
    assert states[-failed:] == [State.FAILED] * failed
    assert output.completed_trial_count == 8 - failed


def test_too_many_trials_that_fail(jobs):
    with pytest.raises(JobFailed) as error:
        jobs.train("--raise", "broken", hyperparameters=search(20, parallel=2, maxFailedTrials=3))
    said = str(error.value)
    assert said.startswith("3 trials failed, and maxFailedTrials is 3.")
    assert said.endswith("ValueError: broken")
    assert not any(alive(run["pid"]) for number in range(1, 6) for run in jobs.runs(str(number)))


@pytest.mark.long
def test_every_combination_of_a_grid(jobs):
    params = [
        {"parameterName": "kind", "type": "CATEGORICAL", "categoricalValues": ["a", "b"]},
        {"parameterName": "units", "type": "INTEGER", "minValue": 1, "maxValue": 3},
    ]
    grid = search(100, parallel=3, params=params, algorithm="GRID_SEARCH")
    output = jobs.train(hyperparameters=grid)
    tried = sorted((trial.hyperparameters["kind"], trial.hyperparameters["units"]) for trial in output.trials)
    assert tried == [("a", "1"), ("a", "2"), ("a", "3"), ("b", "1"), ("b", "2"), ("b", "3")]


class TestResumed:
    @pytest.mark.long
    def test_trials_of_an_earlier_job_are_known_and_not_counted(self, jobs):
        first = jobs.job(hyperparameters=search(10, parallel=5))
        batchpredict.train({**first, "jobId": "first"})
        spec = TrainingSpec.of(
            Job.submitted({**jobs.job(hyperparameters=search(1, resumePreviousJobId="first")), "jobId": "second"})
        )
        assert spec.tuning is not None
        earlier = earlier_trials(spec)
        assert len(earlier) == 10
        output = batchpredict.train({"jobId": "second", "trainingInput": dict(spec.source)})
        assert output.completed_trial_count == 1
        # What it has tried is what the search chooses that knows of them, and not what it would begin with.
        (trial,) = output.trials
        assert trial.hyperparameters is not None
        folder = TrainingFolder.of(jobs.job_dir, spec.fingerprint())
        tried = float(trial.hyperparameters["x"])
        assert tried == Study(spec.tuning, _seed(folder), earlier).ask([])["x"]
        assert tried != Study(spec.tuning, _seed(folder)).ask([])["x"]

    def test_of_a_job_that_there_was_not(self, jobs):
        with pytest.raises(JobFailed, match=r"resumePreviousJobId: there was no job 'none' with the jobDir"):
            jobs.train(hyperparameters=search(2, resumePreviousJobId="none"))
