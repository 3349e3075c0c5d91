"""Which work a job stands for."""

from __future__ import annotations

import pytest
import support

from batchpredict.errors import InvalidJob
from batchpredict.job import Job
from batchpredict.launch import prediction_work, training_work, work_of

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


def test_a_training_job_is_a_work_that_needs_a_worker_for_each_replica():
    job = Job.submitted({"jobId": "train", "trainingInput": {**TRAINING, "scaleTier": "STANDARD_1"}})
    work = work_of(job, pinned={"packageUris": ["/data/trainer.tar.gz"], "jobDir": "/data/out"})
    assert work.job_id == "train"
    assert work.needs.max_workers == 8
    assert list(work.places()) == [
        ("training_input.package_uris", "/data/trainer.tar.gz"),
        ("training_input.job_dir", "/data/out"),
    ]


def test_a_job_of_one_kind_is_no_work_of_the_other():
    with pytest.raises(InvalidJob, match="this is not a prediction job"):
        prediction_work(Job.submitted({"jobId": "train", "trainingInput": TRAINING}))
    with pytest.raises(InvalidJob, match="this is not a training job"):
        training_work(Job.submitted(support.job("model", "in/*", "out")))


def test_what_a_job_names_may_stand_for_something_else():
    document = support.job("model", "in/*", "out")
    del document["predictionInput"]["uri"]
    document["predictionInput"]["modelName"] = "projects/p/models/m"
    job = Job.submitted(document)
    pinned = {"uri": "/copies/m_v1", "version": "v1", "inputPaths": ["/data/in/*"], "outputPath": "/data/out"}
    assert list(work_of(job, pinned=pinned).places()) == [
        ("prediction_input.uri", "/copies/m_v1"),
        ("prediction_input.input_paths", "/data/in/*"),
        ("prediction_input.output_path", "/data/out"),
    ]
    with pytest.raises(InvalidJob):
        work_of(job)
