"""Training jobs whose replicas meet in the service that runs them."""

from __future__ import annotations

import glob
import hashlib
import os
from collections.abc import Iterator
from datetime import timedelta

import pytest
from service.rest_support import serving
from service.worker_support import claimed, ended, eventually, state_of, working
from starlette.applications import Starlette
from training.training_support import Jobs, alive, custom

from batchpredict.job import State
from batchpredict.service.measures import Measures
from batchpredict.service.queue.lifecycle import Cancel
from batchpredict.service.rest import rendezvous
from batchpredict.service.store import NewJob, NotAdmitted, Store, Visitor
from batchpredict.service.worker.admission import admit
from batchpredict.service.worker.events import Run
from batchpredict.service.worker.protocol import Order, read_order, to_line


@pytest.fixture
def url(store) -> Iterator[str]:
    """Of the service."""
    with serving(Starlette(routes=rendezvous.routes(store, Measures()))) as url:
        yield url


@pytest.fixture
def jobs(tmp_path) -> Jobs:
    return Jobs(str(tmp_path))


def create(store: Store, jobs: Jobs, *args: str, **fields: object) -> None:
    store.create_job(NewJob("p", "j", {**jobs.job(*args, **fields), "jobId": "j"}))


def gangs(jobs: Jobs) -> list[str]:
    """Folders of the jobDir in which replicas have met."""
    return glob.glob(os.path.join(jobs.job_dir, "_batchpredict", "training", "*", "*gang-*"))


def test_a_cluster_meets_in_the_service_and_nowhere_else(store, url, jobs):
    create(store, jobs, "--steps", "2", **custom(workers=1))
    with working(store, jobs.folder, rendezvous=url):
        job = ended(store, "j")
    assert job.standing.state is State.SUCCEEDED, job.standing.message
    assert job.output is not None
    assert job.output["consumedMLUnits"] > 0
    assert sorted(run["config"]["task"]["type"] for run in jobs.runs()) == ["chief", "worker"]
    assert gangs(jobs) == []
    # The token is in no log.
    assert not any("token" in line.text.lower() for line in store.log("p", "j"))


@pytest.mark.long
def test_a_job_whose_process_dies_goes_on_with_the_next_lease(store, url, jobs):
    create(store, jobs, "--steps", "40", "--pause", "0.2", **custom(workers=1))
    with working(store, jobs.folder, rendezvous=url) as worker:
        saved = [os.path.join(jobs.job_dir, f"saved-{task}") for task in ("chief-0", "worker-0")]
        eventually(lambda: all(map(os.path.exists, saved)), 60)
        for process in worker._processes.values():
            process.kill()
        job = ended(store, "j", 200)
    assert job.standing.state is State.SUCCEEDED, job.standing.message
    assert job.standing.generation == 2
    masters = [run for run in jobs.runs() if run["config"]["task"]["type"] == "chief"]
    assert len(masters) == 2
    assert masters[1]["step"] > 0
    assert gangs(jobs) == []


@pytest.mark.long
def test_a_cancel_ends_every_replica(store, url, jobs):
    create(store, jobs, "--steps", "1000", **custom(workers=1))
    with working(store, jobs.folder, rendezvous=url):
        eventually(lambda: len(jobs.runs()) == 2, 90)
        store.cancel("p", "j", Cancel("enough"))
        eventually(lambda: state_of(store, "j") is State.CANCELLED, 15)
        assert not any(alive(run["pid"]) for run in jobs.runs())


@pytest.mark.flink
def test_machines_of_a_cluster_meet_in_the_service(store, url, jobs, flink_cluster):
    create(store, jobs, "--steps", "20", "--pause", "0.1", **custom(workers=1))
    name, *flags = flink_cluster.flags
    runner = {"runner": name.partition("=")[2], "runner_flags": (*flags, "--parallelism=2")}
    with working(store, jobs.folder, rendezvous=url, **runner):
        job = ended(store, "j", 240)
    assert job.standing.state is State.SUCCEEDED, job.standing.message
    assert sorted(run["config"]["task"]["type"] for run in jobs.runs()) == ["chief", "worker"]
    assert len({str(run["config"]["cluster"]) for run in jobs.runs()}) == 1
    assert gangs(jobs) == []


def test_an_address_where_there_is_no_service_is_said(store, url, jobs):
    create(store, jobs, "--steps", "2")
    with working(store, jobs.folder, rendezvous=f"{url}/nosuch"):
        job = ended(store, "j")
    assert job.standing.state is State.FAILED
    assert f"The service at {url}/nosuch/internal/v1/projects/p/jobs/j/rendezvous refuses with status 404" in (
        job.standing.message
    )
    # A host that is refused has no say in what came of the job: the jobDir knows nothing of it.
    assert glob.glob(os.path.join(jobs.job_dir, "_batchpredict", "training", "*", "done-*")) == []


def test_an_order_has_a_token_that_admits(store):
    store.create_job(NewJob("p", "j", {"trainingInput": {}}))
    job = store.claim("p", "j", "w", timedelta(minutes=5), 1)
    assert job is not None
    order = Order({"trainingInput": {}}, {}, 1, "DirectRunner", [])
    given = admit(store, "https://h/", Run.of(job), order)
    assert given.rendezvous == "https://h/internal/v1/projects/p/jobs/j/rendezvous"
    assert len(given.token) >= 40
    assert read_order(to_line(given)) == given
    with pytest.raises(NotAdmitted):
        store.documents(Visitor("p", "j", given.token), "g")
    assert store.documents(Visitor("p", "j", _hash(given.token)), "g") == ([], False)
    # Each order has one of its own, and the one before is of no use.
    assert admit(store, "https://h/", Run.of(job), order).token != given.token
    with pytest.raises(NotAdmitted):
        store.documents(Visitor("p", "j", _hash(given.token)), "g")


def test_who_has_no_need_of_a_token_gets_none(store):
    run = Run.of(claimed())
    prediction = Order({"predictionInput": {}}, {}, 1, "DirectRunner", [])
    training = Order({"trainingInput": {}}, {}, 1, "DirectRunner", [])
    assert admit(store, "https://h", run, prediction) is prediction
    assert admit(store, "", run, training) is training


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
