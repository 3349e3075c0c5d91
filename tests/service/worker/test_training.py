"""Training jobs in the service: the same queue, processes, logs and ends as for any other job."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import pytest
from service.worker_support import ended, eventually, processes_of, state_of, working
from training.training_support import Jobs, alive, custom, search

from batchpredict.job import State
from batchpredict.service.queue.lifecycle import Cancel
from batchpredict.service.store import NewJob, Store, StoredJob


@pytest.fixture
def jobs(tmp_path) -> Jobs:
    return Jobs(str(tmp_path))


def create(store: Store, job_id: str, document: dict[str, Any]) -> None:
    store.create_job(NewJob("p", job_id, {**document, "jobId": job_id}))


def output_of(job: StoredJob) -> Mapping[str, Any]:
    assert job.output is not None
    return job.output


def test_a_cluster_is_trained_and_its_log_tells_who_wrote(store, jobs):
    create(store, "j", jobs.job("--steps", "2", **custom(workers=1)))
    with working(store, jobs.folder) as worker:
        job = ended(store, "j")
    assert job.standing.state is State.SUCCEEDED, job.standing.message
    assert output_of(job)["consumedMLUnits"] > 0
    wrote = {line.task: line.text for line in store.log("p", "j") if "goes on from" in line.text}
    assert wrote == {"master-replica-0": "chief-0 goes on from 0", "worker-replica-0": "worker-0 goes on from 0"}
    assert processes_of(f"{worker}/") == []


@pytest.mark.long
def test_a_search_is_seen_while_it_runs(store, jobs):
    create(store, "j", jobs.job("--pause", "0.3", hyperparameters=search(4, parallel=2)))
    with working(store, jobs.folder):
        eventually(lambda: (store.job("p", "j").output or {}).get("completedTrialCount") == "2", 90)
        job = ended(store, "j")
    assert output_of(job)["completedTrialCount"] == "4"
    assert output_of(job)["isHyperparameterTuningJob"] is True
    assert [trial["trialId"] for trial in output_of(job)["trials"]]


def test_a_failure_is_told_in_the_words_of_the_service(store, jobs):
    create(store, "j", jobs.job("--raise", "no such column"))
    with working(store, jobs.folder):
        job = ended(store, "j")
    assert job.standing.state is State.FAILED
    assert job.standing.message.startswith(
        "The replica master 0 exited with a non-zero status of 1. Termination reason: Error."
    )
    assert "no such column" in job.standing.message


def test_a_cancel_ends_every_replica(store, jobs):
    create(store, "j", jobs.job("--steps", "1000", **custom(workers=1)))
    with working(store, jobs.folder):
        eventually(lambda: len(jobs.runs()) == 2, 90)
        store.cancel("p", "j", Cancel("enough"))
        eventually(lambda: state_of(store, "j") is State.CANCELLED, 15)
        assert not any(alive(run["pid"]) for run in jobs.runs())
    assert os.path.exists(os.path.join(jobs.job_dir, "saved-chief-0"))
