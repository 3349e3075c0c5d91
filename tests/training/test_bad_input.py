"""What may be wrong with a training job: one clear message each, naming the field, the package or the replica.

Combinations of tier, types and counts are in `cluster/test_combinations.py`, all that a parameter may be in
`tests/job/test_hyperparameters.py`, and what an installer says in `replica/test_packages.py`; here is what a user
is told by the whole of it.
"""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from training.replica import packages_support as made
from training.training_support import alive, custom, eventually, search

from batchpredict.errors import InvalidJob, JobFailed

TASK = {"trainer/__init__.py": "", "trainer/task.py": "print('trained')\n"}


@pytest.fixture
def fails(jobs) -> Callable[..., str]:
    """Why a job failed."""

    def run(*args: str, **fields: Any) -> str:
        with pytest.raises(JobFailed) as error:
            jobs.train(*args, **fields)
        return str(error.value)

    return run


# Fields -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"scaleTier": "BASIC_TPU"}, "training_input.scale_tier Error: There are no TPUs here"),
        ({"scaleTier": "HUGE"}, "training_input.scale_tier Error: "),
        ({"scaleTier": "BASIC", "workerCount": 1}, "training_input.worker_count Error: Can only be used when"),
        ({"scaleTier": "CUSTOM"}, "training_input.master_type Error: Required when scale_tier is CUSTOM."),
        (custom(workers=1) | {"workerType": None}, "training_input.worker_type Error: Required when worker_count"),
        (
            custom(servers=1) | {"parameterServerType": "pumpkin"},
            'training_input.parameter_server_type Error: Unknown machine type "pumpkin".',
        ),
        (custom(workers=-1), "training_input.worker_count Error: "),
        (custom(workers=10**12), "training_input.worker_count Error: "),
        ({"pythonModule": None}, "training_input.python_module Error: "),
        ({"pythonModule": ""}, "training_input.python_module Error: "),
        ({"packageUris": [f"p{number}.whl" for number in range(101)]}, "training_input.package_uris Error: "),
        (
            {"masterConfig": {"imageUri": "gcr.io/p/i"}},
            "training_input.master_config.image_uri Error: Containers are not run",
        ),
        (
            {"masterConfig": {"acceleratorConfig": {"count": 1, "type": "NVIDIA_TESLA_T4"}}},
            "training_input.master_config.accelerator_config Error: Can only be used with an N1 machine type",
        ),
        ({"scheduling": {"maxRunningTime": "soon"}}, "training_input.scheduling.max_running_time Error: "),
        ({"hyperparameters": search(1, params=[])}, "hyperparameters.params Error: At least one parameter is req"),
        (
            {"hyperparameters": search(1, params=[{"parameterName": "x", "type": "DOUBLE", "minValue": 1}])},
            "hyperparameters.params[0].max_value Error: Required for a parameter of type DOUBLE.",
        ),
        (
            {
                "hyperparameters": search(
                    1, params=[{"parameterName": "x", "type": "INTEGER", "minValue": 2, "maxValue": 1}]
                )
            },
            "hyperparameters.params[0].max_value Error: Must not be less than min_value",
        ),
        (
            {
                "hyperparameters": search(
                    1,
                    params=[
                        {
                            "parameterName": "x",
                            "type": "DOUBLE",
                            "minValue": 0,
                            "maxValue": 1,
                            "scaleType": "UNIT_LOG_SCALE",
                        }
                    ],
                )
            },
            "hyperparameters.params[0].min_value Error: The feasible space must be strictly positive",
        ),
        (
            {"hyperparameters": search(1, params=[{"parameterName": "x", "type": "CATEGORICAL"}])},
            "hyperparameters.params[0].categorical_values Error: Required for a parameter of type CATEGORICAL.",
        ),
        (
            {"hyperparameters": search(1, algorithm="GRID_SEARCH")},
            "hyperparameters.params[0]",
        ),
        ({"hyperparameters": search(0)}, "hyperparameters.max_trials Error: "),
    ],
    ids=range(21),
)
def test_a_field_is_named_before_anything_begins(jobs, fields, said):
    with pytest.raises(InvalidJob) as error:
        jobs.train(**fields)
    assert said in str(error.value)
    assert not os.path.exists(jobs.job_dir)


# Packages ---------------------------------------------------------------------------------------------------------


def test_a_package_that_does_not_install_is_named(jobs, fails, tmp_path):
    path = made.source(str(tmp_path), {**TASK, "setup.py": "raise ValueError('no way to build')\n"})
    said = fails(packageUris=[path])
    assert said == f"The package {path} cannot be installed: ValueError: no way to build."
    assert jobs.runs() == []


def test_what_a_package_needs_and_nobody_has_is_named(fails, tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("UV_OFFLINE", "1")
    path = made.wheel(str(tmp_path), "trainer", needs=("no-such-thing>=3",))
    assert fails(packageUris=[path]).startswith("trainer needs no-such-thing>=3, which cannot be installed: ")


def test_a_package_that_hangs_while_it_is_installed_ends_by_a_deadline(fails, tmp_path, monkeypatch):
    from dataclasses import replace

    from batchpredict.training import hosting

    monkeypatch.setattr(hosting, "_HERE", replace(hosting._HERE, prepare=1.5))
    mark = tmp_path / "pid"
    setup = f"import os, time\nopen({str(mark)!r}, 'w').write(str(os.getpid()))\ntime.sleep(1000)\n"
    path = made.source(str(tmp_path), {**TASK, "setup.py": setup})
    began = time.monotonic()
    assert fails(packageUris=[path]) == "master 0 did not get ready within 1.5 seconds."
    assert time.monotonic() - began < 20
    eventually(lambda: not alive(int(mark.read_text())), 10)


# Programs ---------------------------------------------------------------------------------------------------------


def program(folder: object, text: str) -> list[str]:
    """packageUris of a package whose module trainer.task is this."""
    return [made.wheel(str(folder), "trainer", files={"trainer/task.py": text})]


def test_a_module_that_is_not_there_is_named(fails, tmp_path):
    said = fails(packageUris=program(tmp_path, ""), pythonModule="trainer.tusk")
    assert said.startswith("The replica master 0 exited with a non-zero status of 1. Termination reason: Error.")
    assert said.endswith("No module named trainer.tusk")


def test_an_exception_at_import_is_quoted(fails, tmp_path):
    said = fails(packageUris=program(tmp_path, "import nosuchmodule_at_all\n"))
    assert said.startswith(
        "The replica master 0 exited with a non-zero status of 1. Termination reason: Error. Traceback"
    )
    assert said.endswith("ModuleNotFoundError: No module named 'nosuchmodule_at_all'")


def test_a_module_that_cannot_be_parsed_is_quoted(fails, tmp_path):
    said = fails(packageUris=program(tmp_path, "def broken(:\n"))
    assert said.startswith("The replica master 0 exited with a non-zero status of 1.")
    assert "SyntaxError" in said


@pytest.mark.parametrize(("role", "name"), [("worker", "worker 1"), ("ps", "ps 0")])
def test_the_exit_status_of_any_replica_is_told_with_its_name(fails, tmp_path, role, name):
    text = f"""
import json, os, sys, time
task = json.loads(os.environ["TF_CONFIG"])["task"]
if (task["type"], task["index"]) == ({name.split()[0]!r}, {name.split()[1]}):
    sys.exit(9)
time.sleep(60)
"""
    said = fails(packageUris=program(tmp_path, text), **custom(workers=2, servers=1))
    assert said == f"The replica {name} exited with a non-zero status of 9. Termination reason: Error."


def test_a_signal_is_told_by_its_name(fails, tmp_path):
    said = fails(packageUris=program(tmp_path, "import os\nos.kill(os.getpid(), 11)\n"))
    assert said.startswith("The replica master 0 exited with a non-zero status of 139.")
    assert "Termination reason: Signal 11 (SIGSEGV)." in said


def test_a_program_that_hangs_at_its_start_ends_by_a_deadline(fails, tmp_path, monkeypatch):
    monkeypatch.setattr("batchpredict.training.replica.startup.STARTUP_SECONDS", 2.0)
    monkeypatch.setattr("batchpredict.training.replica.startup._LOOK_FROM", 1.0)
    began = time.monotonic()
    said = fails(packageUris=program(tmp_path, "import threading\nthreading.Event().wait()\n"))
    assert said.startswith("The replica master 0 exited with a non-zero status of 1. Termination reason: Error.")
    assert "It was ended because it hangs: since its start" in said
    assert time.monotonic() - began < 20


def test_of_a_job_that_takes_too_long_those_are_named_that_never_said_anything(fails, tmp_path):
    text = """
import json, os, time
if json.loads(os.environ["TF_CONFIG"])["task"]["type"] == "chief":
    print("waiting for the others")
time.sleep(60)
"""
    said = fails(packageUris=program(tmp_path, text), scheduling={"maxRunningTime": "3s"}, **custom(workers=1))
    assert said == (
        "The job has run longer than scheduling.maxRunningTime allows: 3 seconds. "
        "Since the start nothing was written by worker 0."
    )


def test_a_search_that_takes_too_long_is_ended(fails, jobs):
    fields = {"hyperparameters": search(50, parallel=2), "scheduling": {"maxRunningTime": "3s"}}
    assert fails("--steps", "1000", **fields) == (
        "The job has run longer than scheduling.maxRunningTime allows: 3 seconds."
    )
    assert not any(alive(run["pid"]) for number in ("1", "2") for run in jobs.runs(number))


# Places -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path) -> Iterator[str]:
    """A file system of its own, of 256 KiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "none", str(place)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    yield str(place)
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(folder: str) -> None:
    with open(os.path.join(folder, "filler"), "wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            pass


def test_a_job_dir_on_a_full_disk_is_said_at_once(fails, small_disk):
    fill(small_disk)
    began = time.monotonic()
    said = fails(jobDir=f"{small_disk}/out")
    assert f"'{small_disk}/out" in said
    assert "No space left on device" in said
    assert said.startswith("jobDir: ")
    assert time.monotonic() - began < 15


FILLING = """
import os, sys
with open(os.path.join(sys.argv[sys.argv.index("--job-dir") + 1], "checkpoint"), "wb", buffering=0) as file:
    while True:
        file.write(b"x" * 4096)
"""


def test_a_program_that_fills_the_disk_of_its_job_dir_is_told_so(fails, small_disk, tmp_path):
    began = time.monotonic()
    said = fails(jobDir=f"{small_disk}/out", packageUris=program(tmp_path, FILLING))
    assert "No space left on device" in said
    assert said.startswith(("jobDir: ", "The replica master 0 exited"))
    assert time.monotonic() - began < 30


@pytest.mark.long
def test_a_disk_that_is_full_while_a_program_computes_ends_the_job(fails, jobs, small_disk):

    def fill_it() -> None:
        eventually(lambda: os.path.exists(f"{small_disk}/out/runs.jsonl"))
        fill(small_disk)

    filled = threading.Thread(target=fill_it)
    filled.start()
    began = time.monotonic()
    # It saves what is as long as what is there.
    said = fails("--steps", "1", "--pause", "120", jobDir=f"{small_disk}/out")
    filled.join()
    assert said.startswith("jobDir: ")
    assert "No space left on device" in said
    assert time.monotonic() - began < 60


def test_a_job_dir_that_nobody_may_write_to_is_named(fails):
    assert fails(jobDir="/proc/nowhere").startswith("jobDir: '/proc/nowhere' cannot be used: ")
