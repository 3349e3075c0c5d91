"""A search for hyperparameters through Google's own client library, from its creation to its TrainingOutput."""

from __future__ import annotations

import pytest
from service import rest_support, worker_support
from service.rest_support import PROJECT, eventually
from training.training_support import Jobs, search


@pytest.fixture
def world(tmp_path):
    with rest_support.world(str(tmp_path)) as made, worker_support.working(made.store, tmp_path / "worker"):
        yield made


@pytest.mark.long
def test_a_search_of_eight_trials(world):
    jobs = Jobs(world.folder)
    asked = jobs.job(hyperparameters=search(8, parallel=2))
    ml = world.ml()
    created = ml.projects().jobs().create(parent=f"projects/{PROJECT}", body=asked).execute()
    assert created["trainingInput"] == asked["trainingInput"]
    assert created["state"] == "QUEUED"

    def ended():
        job = ml.projects().jobs().get(name=f"projects/{PROJECT}/jobs/one").execute()
        assert job["state"] != "FAILED", job["errorMessage"]
        return job if job["state"] == "SUCCEEDED" else None

    output = eventually(ended, 120)["trainingOutput"]
    assert output["completedTrialCount"] == "8"
    assert output["isHyperparameterTuningJob"] is True
    values = [trial["finalMetric"]["objectiveValue"] for trial in output["trials"]]
    assert values == sorted(values)
    assert {trial["trialId"] for trial in output["trials"]} == {str(number) for number in range(1, 9)}
    assert all(float(trial["hyperparameters"]["x"]) ** 2 in values for trial in output["trials"])
    assert output["consumedMLUnits"] > 0
