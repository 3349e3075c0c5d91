"""TensorFlow's own strategies on the machines of a Flink cluster, of which something dies in the middle."""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Iterator
from typing import Any

import psutil
import pytest
import support
from clusters.flink import MISSING, FlinkCluster
from recorder import Recorder
from training.training_support import custom, eventually

import batchpredict
from batchpredict.training import pack

pytestmark = [
    pytest.mark.flink,
    pytest.mark.timeout(400),
    pytest.mark.skipif(bool(MISSING), reason=MISSING),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
]

STEPS = 300
DIGITS = os.path.join(support.ROOT, "testdata", "digits")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory) -> Iterator[FlinkCluster]:
    """Two machines of two slots: room for four replicas."""
    cluster = FlinkCluster(str(tmp_path_factory.mktemp("flink") / "cluster"), slots=2)
    try:
        yield cluster.start()
    finally:
        cluster.stop()


class Training:
    """A trainer of `testdata/trainers` that is under way on a cluster.

    Attributes:
      job_dir: where its checkpoints go.
      seen: what its observer was told.
    """

    def __init__(self, cluster: FlinkCluster, folder: str, trainer: str, **counts: int) -> None:
        self.job_dir = os.path.join(folder, "out")
        self.seen = Recorder()
        source = os.path.join(support.ROOT, "testdata", "trainers", trainer, "trainer")
        self._job = {
            "jobId": trainer,
            "trainingInput": {
                "region": "here",
                "pythonModule": "trainer.task",
                "packageUris": [pack(source, os.path.join(folder, "packages"))],
                "args": ["--data", DIGITS, "--steps", str(STEPS), "--step-seconds", "0.1"],
                "jobDir": self.job_dir,
                **custom(**counts),
            },
        }
        name, *flags = cluster.flags
        self._runner: dict[str, Any] = {
            "runner": name.partition("=")[2],
            "runner_flags": [*flags, "--parallelism=4"],
        }
        self._came: list[object] = []
        self._thread = threading.Thread(target=self._train, daemon=True)
        self._thread.start()

    def _train(self) -> None:
        try:
            self._came.append(batchpredict.train(self._job, observer=self.seen, **self._runner))
        except BaseException as error:
            self._came.append(error)

    def said(self, part: str) -> list[str]:
        """The lines of its replicas with a part in them."""
        return [line for line in self.seen.messages if part in line]

    def until_saved(self) -> None:
        """Wait until it has a checkpoint, and so something to go on from."""
        eventually(lambda: self.said("master-replica-0: chief 0: step 50 loss"), 180)

    def replica(self, task: str) -> psutil.Process:
        """The process of a replica, such as "worker 1"."""
        for process in psutil.process_iter():
            try:
                arguments, config = process.cmdline(), process.environ().get("TF_CONFIG", "{}")
            except (psutil.Error, OSError):
                continue
            # A guard has the same environment, and its program only behind it.
            if arguments[1:3] == ["-m", "trainer.task"] and self.job_dir in arguments:
                found = json.loads(config).get("task", {})
                if task == f"{found.get('type')} {found.get('index')}":
                    return process
        raise AssertionError(f"there is no {task}")

    def output(self) -> batchpredict.TrainingOutput:
        """What it came to."""
        self._thread.join(300)
        assert not self._thread.is_alive()
        (output,) = self._came
        assert isinstance(output, batchpredict.TrainingOutput), output
        return output


def losses(training: Training) -> list[float]:
    found = (re.search(r"chief 0: step \d+ loss ([0-9.]+)$", line) for line in training.said("master-replica-0"))
    return [float(one[1]) for one in found if one]


def clusters(training: Training) -> list[tuple[str, str]]:
    """Which replica saw which cluster, in the order in which they said so."""
    found = (re.search(r"-replica-\d+: (\w+ \d+) of (\{.*\})$", line) for line in training.seen.messages)
    return [(one[1], one[2]) for one in found if one]


def check(training: Training, replicas: list[str], target: str) -> None:
    """It went on from its checkpoint, came to its last step, and has learnt."""
    assert training.output().consumed_ml_units
    assert training.said("chief 0: goes on after step")
    assert training.said(f"chief 0: done after step {STEPS}")
    assert losses(training)[-1] < losses(training)[0] / 2
    seen = clusters(training)[-len(replicas) :]
    assert sorted(name for name, _ in seen) == replicas
    assert len({cluster for _, cluster in seen}) == 1
    model = os.path.join(training.job_dir, "export")
    job: dict[str, Any] = support.job(model, f"{DIGITS}/text/*", target)
    assert batchpredict.predict(job).prediction_count == 1797


def test_collectives_go_on_after_a_replica_was_killed(cluster, tmp_path):
    training = Training(cluster, str(tmp_path), "mirrored", workers=2)
    training.until_saved()
    training.replica("worker 1").kill()
    check(training, ["chief 0", "worker 0", "worker 1"], str(tmp_path / "scored"))


@pytest.mark.kills
def test_collectives_go_on_after_a_machine_was_lost(cluster, tmp_path):
    training = Training(cluster, str(tmp_path), "mirrored", workers=2)
    training.until_saved()
    cluster.task_managers[1].kill()
    cluster.pools[1].kill()
    cluster.start_pool(1)
    cluster.pools[1].wait_ready()
    cluster.start_task_manager(1)
    check(training, ["chief 0", "worker 0", "worker 1"], str(tmp_path / "scored"))


@pytest.mark.rare_on_flink
def test_parameter_servers_go_on_after_the_workers_of_beam_were_killed(cluster, tmp_path):
    training = Training(cluster, str(tmp_path), "servers", workers=2, servers=1)
    training.until_saved()
    hosts = {
        parent
        for name in ("chief 0", "worker 1")
        for parent in training.replica(name).parents()
        if any("SdkHarness" in argument for argument in parent.cmdline())
    }
    assert hosts
    for host in hosts:
        host.kill()
    check(training, ["chief 0", "ps 0", "worker 0", "worker 1"], str(tmp_path / "scored"))
