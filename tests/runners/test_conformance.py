"""What a job is on every runner: the same files, the same counts, the same sentence when it fails.

One suite for all runners; what each must give is what a job gives that is scored in this very process.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections import Counter
from typing import Any

import pytest
import support
from engines import ENGINES, flags_of
from prediction.test_job_nested_records import text_frame
from recorder import Recorder

from batchpredict.errors import BudgetSpent, JobFailed, ModelUnusable, NoInput
from batchpredict.prediction import Request
from batchpredict.runners import Runner, choose, run

# Beam's threads die noisily when a pipeline whose workers are in this process is stopped.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")


@pytest.fixture(params=ENGINES)
def runner(request) -> Runner:
    """A runner that can take jobs."""
    return choose(*flags_of(request))


def run_job(runner: Runner, document: support.Document, observer: Recorder | None = None, **how) -> tuple[int, int]:
    """Predictions and errors of a job."""
    return support.counts(run(runner, support.work(document, **how), observer))


def digits(output: str, data_format: str = "TEXT", **fields) -> support.Document:
    parts, signature = (
        ("text", {}) if data_format == "TEXT" else ("tfrecord", {"signatureName": "serving_examples"})
    )
    fields = {"splitBytes": 40_000, "maxWorkerCount": 2, **signature, **fields}
    return support.job(support.DIGITS_MODEL, support.digits(parts, "*"), output, data_format, **fields)


@pytest.mark.parametrize("data_format", ["TEXT", pytest.param("TF_RECORD", marks=pytest.mark.rare_on_flink)])
def test_the_files_are_those_of_a_job_in_this_process(runner, tmp_path, data_format):
    """With one bad record, which costs one record; and progress that rises to the end."""
    folder = "text" if data_format == "TEXT" else "tfrecord"
    bad = b"not a digit\n" if data_format == "TEXT" else support.frame(b"not a digit")
    with open(support.digits(folder, f"part-1.{'json' if data_format == 'TEXT' else 'tfrecord'}"), "rb") as file:
        source = support.write(tmp_path / "in" / "digits", bad + file.read())
    found, expected = (digits(str(tmp_path / name), data_format) for name in ("found", "expected"))
    for document in (found, expected):
        document["predictionInput"]["inputPaths"] = [source]
    support.score_in_process(expected)
    observer = Recorder()
    assert run_job(runner, found, observer) == (599, 1)
    assert support.published(str(tmp_path / "found")) == support.published(str(tmp_path / "expected"))

    assert observer.messages == []
    records = [snapshot.tally.records for snapshot in observer.snapshots]
    assert records == sorted(records)
    assert all(snapshot.resumed.records == 0 for snapshot in observer.snapshots)


@pytest.mark.rare_on_flink
def test_a_job_that_is_resumed_does_only_the_rest(runner, tmp_path, out):
    from batchpredict.prediction.prepare import prepare
    from batchpredict.scoring.task import Task

    document = digits(out)
    prepared = prepare(Request(support.spec_of(document)))
    predict = support.predictor_of(prepared)
    done = list(support.todo(prepared))[::2]
    for split in done:
        predict(Task(split))
    before = {manifest.split: manifest for manifest in support.manifests(document)}
    observer = Recorder()
    assert run_job(runner, document, observer) == (support.ROWS, 0)
    after = {manifest.split: manifest for manifest in support.manifests(document)}
    assert {number: after[number] for number in before} == before
    assert len(after) > len(before)
    assert observer.snapshots[0].splits_done >= len(done)

    # A finished job answers again, and scores nothing.
    assert run_job(runner, document) == (support.ROWS, 0)
    assert {manifest.split: manifest for manifest in support.manifests(document)} == after

    # Unless it is to be done afresh.
    assert run_job(runner, document, fresh=True) == (support.ROWS, 0)
    anew = {manifest.split: manifest for manifest in support.manifests(document)}
    assert all(anew[number].start_time > after[number].end_time for number in after)


def failing(tmp_path, what: str) -> tuple[support.Document, type[JobFailed]]:
    document = digits(str(tmp_path / "out"))
    fields = document["predictionInput"]
    if what == "no input":
        fields["inputPaths"] = [str(tmp_path / "no*such")]
        return document, NoInput
    if what == "model unusable":
        fields["signatureName"] = "nope"
        return document, ModelUnusable
    fields["maxErrors"] = "0"
    fields["inputPaths"] = [support.write(tmp_path / "in.json", ["bad", "worse"])]
    return document, BudgetSpent


@pytest.mark.parametrize(
    "what",
    [
        pytest.param("no input", marks=pytest.mark.rare_on_flink),
        pytest.param("model unusable", marks=pytest.mark.rare_on_flink),
        "error budget spent",
    ],
)
def test_a_job_that_fails_says_the_same_one_sentence(runner, tmp_path, what):
    document, kind = failing(tmp_path, what)
    with pytest.raises(kind) as expected:
        run(choose("DirectRunner", []), support.work(document))
    began = time.monotonic()
    with pytest.raises(kind) as found:
        run_job(runner, document, fresh=True)
    assert str(found.value) == str(expected.value)
    assert time.monotonic() - began < 60
    assert support.names(str(tmp_path / "out")) == []


@pytest.mark.rare_on_flink
def test_wrongly_guessed_borders_are_mended(runner, tmp_path):
    import random

    rng = random.Random(7)
    records = [b"".join(text_frame(rng) for _ in range(rng.randrange(1, 6))) for _ in range(24)]
    source = support.write(tmp_path / "nested.tfrecord", b"".join(map(support.frame, records)))

    def document(name: str) -> support.Document:
        output = str(tmp_path / name)
        return support.job(
            support.model("echo_string"), source, output, "TF_RECORD", splitBytes=150, maxWorkerCount=2
        )

    support.score_in_process(document("expected"))
    assert run_job(runner, document("found")) == (24, 0)
    assert support.published(str(tmp_path / "found")) == support.published(str(tmp_path / "expected"))
    assert any(manifest.forced_start is not None for manifest in support.manifests(document("found")))


class Stops:
    """Stops the job, as a Ctrl-C does, when some of it is committed."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.splits_done = 0

    def progress(self, snapshot) -> None:
        stop, self.splits_done = not self.splits_done, snapshot.splits_done
        if stop and snapshot.splits_done:
            raise KeyboardInterrupt

    def warning(self, message: str) -> None:
        pass

    def message(self, text: str, task: str = "") -> None:
        self.messages.append(text)


def slow(tmp_path, name: str, rows: int = 3000) -> support.Document:
    """A job of a second for every hundred records and worker."""
    source = str(tmp_path / "slow.json")
    if not os.path.exists(source):
        support.write(source, (json.dumps({"x": [row % 7 + 0.5] * 16}) for row in range(rows)))
    output = str(tmp_path / name)
    fields: dict[str, Any] = {"signatureName": "dense", "splitBytes": 4_000, "batchSize": 1, "maxWorkerCount": 2}
    return support.job(support.model("stateful_free_slow"), source, output, **fields)


@pytest.mark.long
@pytest.mark.rare_on_flink
def test_a_job_that_is_cancelled_goes_on_where_it_was(runner, tmp_path):
    document = slow(tmp_path, "out")
    observer = Stops()
    with pytest.raises(KeyboardInterrupt):
        run(runner, support.work(document), observer)
    if runner.name != "DirectRunner":
        (said,) = observer.messages
        assert "is cancelled" in said
    kept = {manifest.split for manifest in support.manifests(document)}
    assert 0 < len(kept) < support.planned(document)[0].splits
    time.sleep(2)
    assert {manifest.split for manifest in support.manifests(document)} == kept
    assert support.names(str(tmp_path / "out")) == []
    assert run_job(runner, document) == (3000, 0)


def test_the_splits_are_spread_over_the_workers(runner, tmp_path):
    document = slow(tmp_path, "out", 1000)
    assert run_job(runner, document) == (1000, 0)
    done = Counter(manifest.worker for manifest in support.manifests(document))
    assert len(done) == 2, done
    # Prism gives out what it has in bundles of its own choice.
    share = 0 if runner.name == "PrismRunner" else done.total() / 4
    assert min(done.values()) >= share, done


@pytest.mark.rare_on_flink
def test_two_drivers_of_one_job_end_with_one_output(runner, tmp_path):
    if runner.name == "DirectRunner":
        pytest.skip("one process has one pool for a job; two processes are tested with the command")
    documents = [slow(tmp_path, "out", 600), slow(tmp_path, "expected", 600)]
    support.score_in_process(documents[1])
    found: list[object] = []

    def drive() -> None:
        try:
            found.append(run_job(runner, documents[0]))
        except Exception as error:
            found.append(error)

    threads = [threading.Thread(target=drive) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [(600, 0), (600, 0)]
    assert support.published(str(tmp_path / "out")) == support.published(str(tmp_path / "expected"))
