"""The training programs of testdata: by themselves, and as clusters of real processes with a TF_CONFIG."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Callable, Iterator

import pytest
from training.replica.trainers_support import DIGITS, Local, until

from batchpredict import api
from batchpredict.training.cluster import Replica
from batchpredict.training.replica import failure_sentence

Run = Callable[..., Local]


@pytest.fixture
def local(tmp_path: object) -> Iterator[Run]:
    begun: list[Local] = []

    def make(trainer: str, names: str, *args: str) -> Local:
        begun.append(Local(str(tmp_path), trainer, names.split(), args))
        return begun[-1]

    yield make
    for one in begun:
        one.end()


def losses(lines: list[str]) -> list[float]:
    found = (re.search(r": step \d+ loss ([0-9.]+)$", line) for line in lines)
    return [float(one[1]) for one in found if one]


def test_the_tuned_one_reports_as_hypertune_does(local: Run, tmp_path: object) -> None:
    cluster = local("tuned", "master-0", "--report", "hypertune", "--learning_rate=0.05", "--units=16")
    path = os.path.join(str(tmp_path), "metrics", "output.metrics")
    assert cluster.start("master-0", path).wait(60) == 0
    with open(path, encoding="utf-8") as file:
        entries = [json.loads(line) for line in file]
    assert [entry["global_step"] for entry in entries] == [str(epoch) for epoch in range(1, 11)]
    assert float(entries[-1]["training/hptuning/metric"]) > 0.5


def test_a_failure_is_told_with_the_end_of_its_traceback(local: Run) -> None:
    cluster = local("tuned", "master-0", "--report", "none", "--data", "/no/such/folder")
    child = cluster.start("master-0")
    status = child.wait(60)
    assert status == 1
    sentence = failure_sentence(Replica.parse("master-0"), status, child.last_lines)
    assert sentence.startswith(
        "The replica master 0 exited with a non-zero status of 1. Termination reason: Error."
    )
    assert "FileNotFoundError" in sentence.splitlines()[-1]


@pytest.mark.long
def test_mirrored_goes_on_after_a_death_and_is_scored(local: Run, tmp_path: object) -> None:
    names = "master-0 worker-0 worker-1"
    options = ("--data", DIGITS, "--steps", "150", "--checkpoint-steps", "50")
    first = local("mirrored", names, *options, "--step-seconds", "0.05")
    first.start_all()
    until(lambda: first.said("master-0", "step 50 loss"), "the first checkpoint is there")
    pid = first.children["worker-1"].pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    until(lambda: first.children["master-0"].poll() is not None, "the others cannot go on")
    assert first.children["worker-1"].wait(10) == -signal.SIGKILL
    first.end()

    again = local("mirrored", names, *options)
    again.start_all()
    for name, child in again.children.items():
        until(lambda child=child: child.poll() is not None, f"{name} ends")  # type: ignore[misc]
        assert child.poll() == 0
        assert again.said(name, "goes on after step 50")
        assert again.said(name, "done after step 150")
    assert losses(again.lines["master-0"]) == losses(again.lines["worker-1"])
    assert losses(again.lines["master-0"])[-1] < losses(first.lines["master-0"])[0]
    clusters = {line.partition(" of ")[2] for lines in again.lines.values() for line in lines if " of {" in line}
    assert len(clusters) == 1

    results = os.path.join(str(tmp_path), "results")
    export = os.path.join(str(tmp_path), "out", "export")
    assert right(export, results) > 0.9


@pytest.mark.long
def test_servers_go_on_without_a_worker_and_with_it_again(local: Run, tmp_path: object) -> None:
    names = "master-0 worker-0 worker-1 ps-0"
    cluster = local("servers", names, "--data", DIGITS, "--steps", "400", "--step-seconds", "0.05")
    cluster.start_all()
    until(lambda: cluster.said("master-0", "step 50 loss"), "the first steps are done")
    pid = cluster.children["worker-1"].pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert cluster.children["worker-1"].wait(10) == -signal.SIGKILL
    cluster.start("worker-1")
    until(lambda: cluster.children["master-0"].poll() is not None, "the master ends")
    assert cluster.children["master-0"].poll() == 0
    assert cluster.said("master-0", "done after step 400")
    assert losses(cluster.lines["master-0"])[-1] < losses(cluster.lines["master-0"])[0]
    assert right(os.path.join(str(tmp_path), "out", "export"), os.path.join(str(tmp_path), "results")) > 0.9


def right(model: str, results: str) -> float:
    """Share of the digits that a trained model tells."""
    job = {
        "jobId": "digits",
        "predictionInput": {
            "dataFormat": "TEXT",
            "inputPaths": [f"{DIGITS}/text/*"],
            "outputPath": results,
            "region": "local",
            "uri": model,
        },
    }
    assert api.predict(job).prediction_count == 1797
    found = []
    for name in sorted(os.listdir(results)):
        if name.startswith("prediction.results-"):
            with open(os.path.join(results, name), encoding="utf-8") as file:
                found += [json.loads(line)["digit"] for line in file]
    with open(f"{DIGITS}/labels.json", encoding="utf-8") as file:
        labels = json.load(file)
    return sum(map(int.__eq__, found, labels)) / len(labels)
