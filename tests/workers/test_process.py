"""A worker process and its supervisor's side of it, with real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from typing import Any

import psutil
import pytest
import support

from batchpredict.errors import JobFailed, ModelUnusable
from batchpredict.ledger.staging import Staging
from batchpredict.prediction.prepare import Prepared, prepare
from batchpredict.prediction.request import Request
from batchpredict.scoring.task import Task
from batchpredict.workers.process import Died, WorkerProcess
from batchpredict.workers.protocol import Progress, Setup


@pytest.fixture
def prepared(tmp_path: Any, out: str) -> Prepared:
    source = support.write(tmp_path / "in.json", map(str, range(20)))
    return prepare(Request(support.spec_of(support.job(support.model("double"), source, out))))


@pytest.fixture
def process(prepared: Prepared) -> Iterator[WorkerProcess]:
    worker = WorkerProcess(setup_of(prepared))
    yield worker
    worker.close()


def setup_of(prepared: Prepared) -> Setup:
    return Setup(prepared.request.spec.to_json(), prepared.plan.fingerprint, 1, prepared.plan.model)


def workers() -> list[psutil.Process]:
    children = support.alive(psutil.Process().children())
    return [child for child in children if "batchpredict.workers.worker" in " ".join(child.cmdline())]


def run(worker: WorkerProcess, task: Task) -> Any:
    told: list[Progress] = []
    return worker.run(task, told.append, lambda warning: pytest.fail(warning.message))


def test_a_split_is_scored_and_committed_once(process: WorkerProcess, prepared: Prepared) -> None:
    task = Task(support.split(prepared, 0))
    manifest = run(process, task)
    assert (manifest.predictions, manifest.tensorflow) == (20, metadata.version("tensorflow"))
    assert Staging(prepared.staging.output_path, prepared.plan.fingerprint).read(0) == manifest
    assert run(process, task) is None


def test_one_that_is_killed_has_died_and_says_how(process: WorkerProcess, prepared: Prepared) -> None:
    process.kill()
    with pytest.raises(Died) as caught:
        run(process, Task(support.split(prepared, 0)))
    assert (str(caught.value), caught.value.calling, caught.value.ready) == ("was killed by SIGKILL", None, False)


def test_what_it_wrote_last_is_kept(prepared: Prepared, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    support.write(tmp_path / "fake" / "tensorflow.py", "import os\nos.write(2, b'no such library')\nos._exit(3)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "fake"))
    worker = WorkerProcess(setup_of(prepared))
    with pytest.raises(Died) as caught:
        run(worker, Task(support.split(prepared, 0)))
    worker.close()
    assert (str(caught.value), caught.value.tail) == ("exited with status 3", "no such library")


def test_what_the_job_cannot_survive_is_raised_as_it_was(prepared: Prepared) -> None:
    setup = setup_of(prepared)
    worker = WorkerProcess(Setup(setup.spec, setup.fingerprint, 1, "another model"))
    with pytest.raises(ModelUnusable, match="has changed since the job was planned"):
        run(worker, Task(support.split(prepared, 0)))
    worker.close()


def test_nothing_of_it_is_left_when_it_is_closed(prepared: Prepared) -> None:
    handles = set(os.listdir("/proc/self/fd"))
    worker = WorkerProcess(setup_of(prepared))
    assert len(workers()) == 1
    worker.close()
    worker.close()
    assert workers() == []
    assert set(os.listdir("/proc/self/fd")) == handles


SUPERVISOR = """
import sys, time
from batchpredict.workers.process import WorkerProcess
from batchpredict.workers.protocol import Setup
held = WorkerProcess(Setup(sys.argv[1], "f00d", 1))
print("started", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_it_ends_with_its_supervisor_however_that_ends(end: int, prepared: Prepared) -> None:
    spec = prepared.request.spec.to_json()
    with subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR, spec], stdout=subprocess.PIPE, text=True, cwd=support.ROOT
    ) as supervisor:
        assert supervisor.stdout is not None
        assert supervisor.stdout.readline() == "started\n"
        (worker,) = psutil.Process(supervisor.pid).children()
        supervisor.send_signal(end)
    support.wait_until(lambda: not support.alive([worker]), what="the worker's end")


@pytest.mark.parametrize("what", ["subprocess.Popen", "tempfile.TemporaryFile", "os.pipe"])
def test_one_that_cannot_be_started_is_said_so_and_leaves_nothing(
    what: str, prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: Any, **keywords: Any) -> Any:
        raise OSError(12, "Cannot allocate memory")

    handles = set(os.listdir("/proc/self/fd"))
    with monkeypatch.context() as patched:
        patched.setattr(what, refuse)
        with pytest.raises(JobFailed, match=r"^A worker process cannot be started: .*Cannot allocate memory"):
            WorkerProcess(setup_of(prepared))
    assert set(os.listdir("/proc/self/fd")) == handles


def test_no_room_for_its_notes_fails_the_job(process: WorkerProcess, prepared: Prepared) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "pwrite", full)
        with pytest.raises(JobFailed, match=r"Temporary files cannot be written .*No space left"):
            run(process, Task(support.split(prepared, 0)))
