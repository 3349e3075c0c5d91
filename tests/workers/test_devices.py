"""A GPU belongs to one process at a time, and to nobody once that process is gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from batchpredict.workers.devices import claim, visible_gpus

CLAIM = """
import sys
from batchpredict.workers.devices import claim
held = claim(["0", "1"], sys.argv[1])
print(held.gpu or "cpu", flush=True)
sys.stdin.read()
"""


class Claimant:
    """A process that claims one of two GPUs and keeps it until it ends."""

    def __init__(self, folder: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", CLAIM, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    @property
    def gpu(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def end(self, kill: bool = False) -> None:
        if kill:
            os.kill(self._process.pid, signal.SIGKILL)
        self._process.communicate()


@pytest.fixture
def claimants(tmp_path: Any) -> Iterator[Any]:
    started: list[Claimant] = []

    def start() -> Claimant:
        started.append(Claimant(str(tmp_path / "locks")))
        return started[-1]

    yield start
    for claimant in started:
        claimant.end()


def test_of_four_processes_two_get_the_gpus_and_two_the_cpu(claimants: Any) -> None:
    everyone = [claimants() for _ in range(4)]
    assert sorted(one.gpu for one in everyone) == ["0", "1", "cpu", "cpu"]


@pytest.mark.parametrize("kill", [True, False])
def test_a_process_that_ends_gives_its_gpu_back(claimants: Any, kill: bool) -> None:
    first, second = claimants(), claimants()
    held = first.gpu
    assert {held, second.gpu} == {"0", "1"}
    first.end(kill)
    assert claimants().gpu == held
    assert claimants().gpu == "cpu"


class TestClaim:
    def test_without_gpus_is_for_the_cpu_and_leaves_no_trace(self, tmp_path: Any) -> None:
        assert claim([], str(tmp_path / "locks")).gpu is None
        assert not (tmp_path / "locks").exists()

    def test_may_be_given_back(self, tmp_path: Any) -> None:
        first = claim(["0"], str(tmp_path))
        assert claim(["0"], str(tmp_path)).gpu is None
        first.release()
        first.release()
        again = claim(["0"], str(tmp_path))
        assert again.gpu == "0"
        again.release()

    def test_takes_names_as_the_driver_gives_them(self, tmp_path: Any) -> None:
        name = "MIG-GPU-a5b1/3/0"
        held = claim([name], str(tmp_path))
        assert held.gpu == name
        held.release()

    def test_shows_tensorflow_the_one_gpu_and_takes_its_memory_as_needed(self, tmp_path: Any) -> None:
        held = claim(["3"], str(tmp_path))
        environ = {"CUDA_VISIBLE_DEVICES": "2,3"}
        held.apply(environ)
        held.release()
        assert environ == {"CUDA_VISIBLE_DEVICES": "3", "TF_FORCE_GPU_ALLOW_GROWTH": "true"}

    def test_hides_every_gpu_from_a_process_of_the_cpu(self) -> None:
        environ: dict[str, str] = {}
        claim([]).apply(environ)
        assert environ == {"CUDA_VISIBLE_DEVICES": "-1"}


class TestVisible:
    @pytest.mark.parametrize(
        ("named", "gpus"),
        [
            ("0,1", ["0", "1"]),
            (" 2 , GPU-8932f937 ", ["2", "GPU-8932f937"]),
            ("", []),
            ("-1", []),
            ("0,-1,1", ["0"]),
        ],
    )
    def test_are_those_of_the_environment(self, named: str, gpus: list[str]) -> None:
        assert visible_gpus({"CUDA_VISIBLE_DEVICES": named}) == gpus

    def test_else_those_of_the_driver(self, monkeypatch: pytest.MonkeyPatch) -> None:
        files = ["/dev/nvidia10", "/dev/nvidia2", "/dev/nvidiactl", "/dev/nvidia-uvm"]
        monkeypatch.setattr("glob.glob", lambda _: files)
        assert visible_gpus({}) == ["2", "10"]
