"""Which work a job stands for."""

from __future__ import annotations

import pytest
import support

from batchpredict.errors import InvalidJob
from batchpredict.job import Job
from batchpredict.launch import work_of

TRAINING = {
    "scaleTier": "BASIC",
    "packageUris": ["gs://bucket/trainer.tar.gz"],
    "pythonModule": "trainer.task",
    "region": "us-central1",
}


def test_a_prediction_job_is_a_work_with_its_name_and_needs():
    work = work_of(Job.submitted(support.job("model", "in/*", "out", maxWorkerCount="3")))
    assert work.job_id == "test_job"
    assert work.needs.max_workers == 3


def test_there_is_no_work_of_a_training_job():
    job = Job.submitted({"jobId": "train", "trainingInput": TRAINING})
    with pytest.raises(InvalidJob) as error:
        work_of(job)
    (violation,) = error.value.violations
    assert violation.field == "job.prediction_input"


def test_a_model_by_name_is_scored_with_the_folder_that_it_stands_for():
    document = support.job("model", "in/*", "out")
    del document["predictionInput"]["uri"]
    document["predictionInput"]["modelName"] = "projects/p/models/m"
    job = Job.submitted(document)
    work = work_of(job, model="/copies/m_v1")
    assert dict(work.places())["prediction_input.uri"] == "/copies/m_v1"
    with pytest.raises(InvalidJob):
        work_of(job)
