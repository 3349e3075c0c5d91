"""A job on a Flink cluster while its parts are killed: nothing is lost, nothing is doubled.

The moments are random but seeded. BATCHPREDICT_TEST_ROUNDS runs every scenario so often, each with other moments.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator

import pytest
import support
from clusters.flink import FlinkCluster

pytestmark = [pytest.mark.flink, pytest.mark.timeout(400)]

ROWS, SPLITS = 10_000, 200
ROUNDS = range(int(os.environ.get("BATCHPREDICT_TEST_ROUNDS", "1")))


class Case:
    """A job of 200 splits that takes two slots a quarter of a minute, and what it must come to."""

    def __init__(self, folder: str, data_format: str) -> None:
        self._folder = folder
        self._format = data_format
        rows = [{"x": [row % 97 / 8] * 16} for row in range(ROWS)]
        if data_format == "TEXT":
            data = "".join(f"{json.dumps(row)}\n" for row in rows).encode()
            bad = b'{"x": "not a row"}\n'
        else:
            data = b"".join(support.frame(support.example(row["x"])) for row in rows)
            bad = support.frame(b"not a tf.Example")
        self._source = support.write(os.path.join(folder, "in", data_format), bad + data)
        self._split_bytes = -(-(len(data) + len(bad)) // SPLITS)
        expected = self.document("expected")
        assert support.counts(support.score_in_process(expected)) == (ROWS, 1)
        assert support.planned(expected)[0].splits == SPLITS
        self.expected = support.published(expected["predictionInput"]["outputPath"])

    def document(self, name: str) -> support.Document:
        signature = "dense" if self._format == "TEXT" else "serving_default"
        output = os.path.join(self._folder, self._format, name)
        fields = {"signatureName": signature, "splitBytes": self._split_bytes, "batchSize": 1, "maxWorkerCount": 2}
        model = support.model("stateful_free_slow")
        return support.job(model, self._source, output, self._format, **fields)


@pytest.fixture(scope="module")
def cases(tmp_path_factory) -> dict[str, Case]:
    return {name: Case(str(tmp_path_factory.mktemp("deaths")), name) for name in ("TEXT", "TF_RECORD")}


@pytest.fixture
def case(request, cases) -> Case:
    found: Case = cases[request.param]
    return found


def scenario(*formats: str) -> pytest.MarkDecorator:
    """A scenario runs with one format, in the next round with the other: a cluster takes its time."""
    rounds = [(formats[round_ % len(formats)], round_) for round_ in ROUNDS]
    return pytest.mark.parametrize(("case", "round_"), rounds, indirect=["case"])


class Driver:
    """The command as a user runs it, on the cluster."""

    def __init__(self, cluster: FlinkCluster, document: support.Document, name: str) -> None:
        folder = document["predictionInput"]["outputPath"]
        self.document = document
        self._job = support.write_json(f"{folder}.{name}.json", document)
        self._cluster = cluster
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            support.command("predict", "--job", self._job, *self._cluster.flags),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def wait_for_splits(self, count: int) -> None:
        """Wait until so many splits are committed; the job must not have ended before."""
        folder = os.path.join(self.document["predictionInput"]["outputPath"], "_batchpredict")

        def there() -> bool:
            assert self.process.poll() is None, self.process.communicate()
            plans = [name for name in os.listdir(folder) if len(name) == 16] if os.path.isdir(folder) else []
            names = [os.path.join(folder, name, "manifests") for name in plans]
            return sum(len(os.listdir(name)) for name in names if os.path.isdir(name)) >= count

        support.wait_until(there, 120, f"{count} splits")

    def end(self, seconds: float = 200) -> tuple[int, str, str]:
        stdout, stderr = self.process.communicate(timeout=seconds)
        return self.process.returncode, stdout, stderr

    def succeed(self, case: Case) -> str:
        """The job ends as it would have without any deaths; gives what was said on stderr."""
        status, stdout, stderr = self.end()
        assert status == 0, stderr
        assert support.counts(json.loads(stdout)) == (ROWS, 1)
        assert support.published(self.document["predictionInput"]["outputPath"]) == case.expected
        return stderr


@pytest.fixture
def driver(flink_cluster, case, request) -> Iterator[Callable[..., Driver]]:
    """Starts drivers; all of them are gone at the end, and the cluster is whole again."""
    started: list[Driver] = []
    name = "".join(sign if sign.isalnum() else "_" for sign in request.node.name)

    def start() -> Driver:
        started.append(Driver(flink_cluster, case.document(name), str(len(started))))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
            one.process.communicate()
    for job in flink_cluster.running():
        flink_cluster.cancel(job)
    flink_cluster.wait_for_slots(2)


def moment(case: Case, *scenario: object) -> int:
    """A random number of committed splits at which somebody dies: the same in every run of this test."""
    return random.Random(repr(scenario)).randrange(1, SPLITS // 2)


@scenario("TEXT", "TF_RECORD")
def test_a_task_manager_dies(case, driver, flink_cluster, round_):
    job = driver()
    job.wait_for_splits(moment(case, "task manager", round_))
    machine = round_ % 2
    flink_cluster.task_managers[machine].kill()
    flink_cluster.start_task_manager(machine)
    job.succeed(case)


@scenario("TF_RECORD", "TEXT")
def test_a_worker_pool_dies_with_its_workers(case, driver, flink_cluster, round_):
    job = driver()
    job.wait_for_splits(moment(case, "pool", round_))
    machine = round_ % 2
    flink_cluster.pools[machine].kill()
    flink_cluster.start_pool(machine)
    job.succeed(case)


@scenario("TEXT", "TF_RECORD")
def test_the_job_server_dies(case, driver, flink_cluster, round_):
    """The cluster goes on with the job, and the driver finds its results."""
    job = driver()
    job.wait_for_splits(moment(case, "job server", round_))
    flink_cluster.job_server.kill()
    flink_cluster.start_job_server()
    flink_cluster.job_server.wait_ready()
    assert "is lost; its cluster may go on with the job" in job.succeed(case)


@scenario("TF_RECORD", "TEXT")
def test_the_client_dies(case, driver, flink_cluster, round_):
    """Its job goes on; the same command meets it, and both work on the same splits."""
    job = driver()
    job.wait_for_splits(moment(case, "client", round_))
    os.kill(job.process.pid, signal.SIGKILL)
    job.end()
    driver().succeed(case)


@pytest.mark.parametrize("case", ["TF_RECORD"], indirect=True)
def test_a_cancelled_job_frees_its_slots_and_goes_on_later(case, driver, flink_cluster):
    job = driver()
    job.wait_for_splits(moment(case, "cancel"))
    asked = time.monotonic()
    job.process.send_signal(signal.SIGINT)
    status, _, stderr = job.end(60)
    assert status == 130
    assert f"the job on FlinkRunner at {flink_cluster.endpoint} is cancelled" in stderr
    assert "Traceback" not in stderr
    flink_cluster.wait_for_slots(2, 30 - (time.monotonic() - asked))
    kept = len(support.manifests(job.document))
    assert 0 < kept < SPLITS
    driver().succeed(case)


def test_a_record_that_crashes_its_process_is_one_error(flink_cluster, tmp_path, out):
    source = support.write(tmp_path / "in.json", [*map(str, range(30)), "666.0", "7.0"])
    document = support.job(support.model("crashes"), source, out, batchSize=10)
    found = support.run_cli("predict", "--job", support.write_json(tmp_path / "j", document), *flink_cluster.flags)
    assert found.returncode == 0, found.stderr
    assert support.counts(json.loads(found.stdout)) == (31, 1)
    (error,) = support.errors(out)
    assert (error["index"], error["code"]) == (30, "FAILED_TO_RUN_MODEL")
    assert "crashed its process: it was killed by SIGABRT" in error["message"]
