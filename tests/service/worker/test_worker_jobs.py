"""Jobs run by a real worker: real processes, a real store, real models."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import psutil
import pytest
import support
from service.worker_support import digits_job, ended, eventually, processes_of, state_of, texts, working

from batchpredict.job import State
from batchpredict.service.queue.lifecycle import Cancel, Fail
from batchpredict.service.store import NewJob, Store

LONG_ROWS = 10_000


@pytest.fixture
def long_input(tmp_path) -> str:
    """Rows for the slow model: with a batch of one, ten seconds of work and more on any machine."""
    frame = support.frame(support.example([0.5] * 16))
    return support.write(tmp_path / "long.tfrecord", frame * LONG_ROWS)


def long_job(job_id: str, path: str, output: str) -> NewJob:
    document = support.job(
        support.model("stateful_free_slow"), path, output, "TF_RECORD",
        batchSize="1", splitBytes="20000", maxWorkerCount="1",
    )  # fmt: skip
    return NewJob("p", job_id, {**document, "jobId": job_id})


def states(store: Store, job_id: str) -> list[State]:
    return [change.after for change in store.history("p", job_id)]


def job_processes(worker: str) -> list[psutil.Process]:
    """Those that run a job, in the order in which they were started: job process, then its TensorFlow workers."""
    return [
        process
        for process in sorted(processes_of(f"{worker}/"), key=lambda process: process.create_time())
        if not any("worker.guard" in part for part in process.cmdline())
    ]


def committed(store: Store, job_id: str) -> int:
    progress = store.job("p", job_id).progress or {}
    return int(progress.get("done", 0))


def test_a_job_is_run_and_told_of(store, tmp_path, out):
    store.create_job(digits_job("j", out))
    with working(store, tmp_path / "state"):
        job = ended(store, "j")
    assert states(store, "j") == [State.QUEUED, State.PREPARING, State.RUNNING, State.SUCCEEDED]
    assert job.output is not None
    assert support.counts(dict(job.output)) == (support.ROWS, 0)
    assert job.output == support.outcome(out).to_wire()
    assert job.standing.start_time is not None
    assert job.standing.end_time is not None
    assert job.created <= job.standing.start_time <= job.standing.end_time
    lines = texts(store, "j")
    assert lines[:3] == [
        "Validating job requirements...",
        "Job creation request has been successfully validated.",
        "Job j is queued.",
    ]
    assert lines[-1] == "Job completed successfully."


@pytest.mark.long
def test_a_spare_process_runs_the_next_job(store, tmp_path, out):
    with working(store, tmp_path / "state", spare=True) as worker:
        (first, *_) = eventually(lambda: job_processes(worker.worker))
        store.create_job(digits_job("j", out))
        assert ended(store, "j").standing.state == State.SUCCEEDED
        assert not support.alive([first])
        # Used once: the next one is another.
        assert eventually(lambda: job_processes(worker.worker))


def test_what_is_wrong_with_a_job_is_its_error_message(store, tmp_path, out):
    document = support.job(str(tmp_path / "no-model"), support.digits("text", "part-*"), out)
    store.create_job(NewJob("p", "j", document))
    with working(store, tmp_path / "state"):
        job = ended(store, "j")
    assert job.standing.state == State.FAILED
    assert "no-model" in job.standing.message
    last = store.log("p", "j")[-1]
    assert (last.severity, last.text) == ("ERROR", job.standing.message)


@pytest.mark.long
def test_a_model_and_paths_that_were_pinned_are_used(store, tmp_path, out):
    document = support.job("", "nowhere/*", "elsewhere")
    del document["predictionInput"]["uri"]
    document["predictionInput"]["modelName"] = "projects/p/models/m"
    pinned = {
        "uri": support.DIGITS_MODEL,
        "version": "projects/p/models/m/versions/v",
        "inputPaths": [support.digits("text", "part-0.json")],
        "outputPath": out,
    }
    store.create_job(NewJob("p", "j", document, pinned=pinned))
    with working(store, tmp_path / "state"):
        assert ended(store, "j").standing.state == State.SUCCEEDED
    assert len(support.results(out)) == 599


class TestAJobUnderWay:
    @pytest.fixture
    def worker(self, store, tmp_path) -> Iterator[str]:
        with working(store, tmp_path / "state") as worker:
            yield worker.worker

    @pytest.fixture
    def running(self, worker: str, store, long_input, out) -> str:
        """A job that has committed something and has more to do."""
        store.create_job(long_job("j", long_input, out))
        eventually(lambda: committed(store, "j") > 0, 120)
        assert state_of(store, "j") == State.RUNNING
        return worker

    def test_shows_how_far_it_is(self, running, store, long_input, out):
        job = store.job("p", "j")
        assert job.output is not None
        assert job.progress is not None
        assert 0 < int(job.output["predictionCount"]) < LONG_ROWS
        assert job.output["outputPath"] == out
        assert job.output["nodeHours"] >= 0
        assert job.progress["total"] == os.path.getsize(long_input)
        store.cancel("p", "j", Cancel("enough"))

    def test_knows_no_secret_of_the_service(self, store, tmp_path, long_input, out, monkeypatch):
        monkeypatch.setenv("BATCHPREDICT_DATABASE", "postgresql://u:hunter2@h/d")
        monkeypatch.setenv("PGPASSWORD", "hunter2")
        with working(store, tmp_path / "other") as worker:
            store.create_job(long_job("j", long_input, out))
            eventually(lambda: committed(store, "j") > 0, 120)
            environments = [process.environ() for process in processes_of(f"{worker.worker}/")]
            store.cancel("p", "j", Cancel("enough"))
            ended(store, "j", 10)
        assert len(environments) >= 3
        for environ in environments:
            assert not [name for name, value in environ.items() if "hunter2" in value]

    def test_is_cancelled_within_ten_seconds_and_leaves_no_process(self, running, store, out):
        processes = processes_of(f"{running}/")
        assert len(processes) >= 3
        store.cancel("p", "j", Cancel("Cancelled by user."))
        began = time.monotonic()
        eventually(lambda: not support.alive(processes), 10)
        job = ended(store, "j", 10 - (time.monotonic() - began))
        assert (job.standing.state, job.standing.message) == (State.CANCELLED, "Cancelled by user.")
        assert support.names(out, "results") == []

    @pytest.mark.long
    def test_is_cancelled_also_where_nothing_of_it_answers(self, running, store):
        processes = processes_of(f"{running}/")
        for process in job_processes(running):
            process.suspend()
        store.cancel("p", "j", Cancel("no"))
        eventually(lambda: not support.alive(processes), 10)
        assert ended(store, "j", 10).standing.state == State.CANCELLED

    @pytest.mark.long
    @pytest.mark.parametrize("whom", ["job process", "guard", "everything"])
    def test_goes_on_after_its_processes_were_killed(self, whom, running, store, long_input, out):
        everything = processes_of(f"{running}/")
        job = job_processes(running)[0]
        guard = psutil.Process(job.ppid())
        for process in {"job process": [job], "guard": [guard], "everything": everything}[whom]:
            process.kill()
        eventually(lambda: not support.alive(everything), 10)
        done = ended(store, "j", 240)
        assert done.standing.state == State.SUCCEEDED
        assert support.counts(dict(done.output or {})) == (LONG_ROWS, 0)
        assert len(support.lines(out)) == LONG_ROWS
        assert states(store, "j") == [
            State.QUEUED,
            *(State.PREPARING, State.RUNNING, State.QUEUED),
            *(State.PREPARING, State.RUNNING, State.SUCCEEDED),
        ]
        assert any(text.startswith("resuming: ") for text in texts(store, "j"))

    def test_what_it_prints_is_in_its_log(self, running, store):
        job = job_processes(running)[0]
        with open(f"/proc/{job.pid}/fd/2", "w") as stderr:
            stderr.write("W0000 00:00:00 x.cc:1] token=abcdefghijklmnop was used\n")
        line = eventually(lambda: [line for line in store.log("p", "j") if "x.cc" in line.text])[0]
        assert (line.severity, line.task) == ("WARNING", "master-replica-0")
        assert line.text == "W0000 00:00:00 x.cc:1] token=*** was used"
        store.cancel("p", "j", Cancel("enough"))


@pytest.mark.long
def test_a_shutdown_gives_jobs_back_and_the_next_worker_goes_on(store, tmp_path, long_input, out):
    store.create_job(long_job("j", long_input, out))
    with working(store, tmp_path / "state"):
        eventually(lambda: committed(store, "j") > 0, 120)
        began = time.monotonic()
    assert time.monotonic() - began < 10
    assert state_of(store, "j") == State.QUEUED
    with working(store, tmp_path / "state"):
        done = ended(store, "j", 240)
    assert done.standing.state == State.SUCCEEDED
    assert support.counts(dict(done.output or {})) == (LONG_ROWS, 0)
    assert done.standing.generation == 2
    assert done.standing.losses == 0


@pytest.mark.long
def test_a_job_whose_lease_is_taken_away_is_ended_and_writes_nothing_more(store, tmp_path, long_input, out):
    store.create_job(long_job("j", long_input, out))
    with working(store, tmp_path / "state", jobs=1) as worker:
        eventually(lambda: committed(store, "j") > 0, 120)
        processes = processes_of(f"{worker.worker}/")
        # As after the store came back from a copy: the job has moved on without this worker.
        store.tell("p", "j", Fail(1, "by hand"))
        lines = len(store.log("p", "j"))
        eventually(lambda: not support.alive(processes), 10)
    assert store.job("p", "j").standing.message == "by hand"
    assert len(store.log("p", "j")) == lines


@pytest.mark.long
def test_a_worker_that_was_stopped_by_a_signal_loses_its_processes_before_its_leases(
    store, tmp_path, long_input, out
):
    """A whole worker hangs; its jobs are gone before another worker may take them."""
    program = (
        "import sys; from batchpredict.service.store import open_store;"
        "from batchpredict.service.worker import JobWorker, WorkerOptions;"
        f"w = JobWorker(open_store({str(tmp_path / 'jobs.db')!r}),"
        f" WorkerOptions(state={str(tmp_path / 'state')!r}, lease=9.0, spare=False, workers=2));"
        "print(w.worker, flush=True); w.run()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": support.ROOT},
    )
    try:
        assert process.stdout is not None
        worker = process.stdout.readline().strip()
        store.create_job(long_job("j", long_input, out))
        eventually(lambda: committed(store, "j") > 0, 120)
        processes = processes_of(f"{worker}/")
        assert len(processes) >= 3
        process.send_signal(signal.SIGSTOP)
        eventually(lambda: not support.alive(processes), 10)
        standing = store.job("p", "j").standing
        assert standing.lease is not None
        assert store.now() < standing.lease.until
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
    # The next worker of this machine finds that it is dead, and does not wait for the lease to end.
    with working(store, tmp_path / "state"):
        eventually(lambda: state_of(store, "j") != State.RUNNING, 10)
        store.cancel("p", "j", Cancel("enough"))
        ended(store, "j", 15)
