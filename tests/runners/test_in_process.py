"""Jobs on this machine through the Python API: worker processes that die, refuse, or never come to life."""

from __future__ import annotations

import os

import pytest
import support
from recorder import Recorder

import batchpredict
from batchpredict.errors import BudgetSpent, InvalidJob, JobFailed, ModelUnusable, WorkerLost


@pytest.mark.long
def test_any_number_of_workers_gives_the_same_files(tmp_path):
    def document(name: str) -> support.Document:
        output = str(tmp_path / name)
        return support.job(support.DIGITS_MODEL, support.digits("text", "*"), output, splitBytes=20_000)

    support.score_in_process(document("one"))
    observer = Recorder()
    result = batchpredict.predict(document("two"), workers=2, observer=observer)
    assert support.counts(result) == (support.ROWS, 0)
    assert (observer.snapshots[-1].splits, observer.snapshots[-1].workers) == (15, 2)
    assert support.published(str(tmp_path / "two")) == support.published(str(tmp_path / "one"))


@pytest.mark.long
def test_a_record_that_crashes_its_process_is_one_error(tmp_path, out):
    values = [float(number) for number in range(60)]
    values[31] = values[34] = 666.0
    source = support.write(tmp_path / "in.json", map(str, values))
    document = support.job(support.model("crashes"), source, out, batchSize=10)
    result = batchpredict.predict(document, workers=2)
    assert support.counts(result) == (58, 2)
    assert [one["y"] for one in support.results(out)] == [value for value in values if value != 666.0]
    errors = support.errors(out)
    assert [(error["index"], error["line"], error["instance"]) for error in errors] == [
        (31, 32, "666.0"), (34, 35, "666.0"),
    ]  # fmt: skip
    for error in errors:
        assert error["code"] == "FAILED_TO_RUN_MODEL"
        assert "crashed its process: it was killed by SIGABRT" in error["message"]


def fake_tensorflow(tmp_path, monkeypatch, text: str) -> None:
    """A TensorFlow whose import does what that of a broken installation does, for the workers only."""
    support.write(tmp_path / "fake" / "tensorflow.py", text)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "fake"))


def test_workers_that_die_as_they_start_fail_the_job(tmp_path, out, monkeypatch):
    fake_tensorflow(tmp_path, monkeypatch, "import os\nos.write(2, b'Illegal instruction\\n')\nos.abort()\n")
    source = support.write(tmp_path / "in.json", ["1"])
    with pytest.raises(WorkerLost) as failure:
        batchpredict.predict(support.job(support.model("double"), source, out))
    message = str(failure.value)
    assert "was killed by SIGABRT before it had loaded the model" in message
    assert "Illegal instruction" in message
    assert support.names(out) == []


def test_workers_that_cannot_import_tensorflow_fail_the_job(tmp_path, out, monkeypatch):
    fake_tensorflow(tmp_path, monkeypatch, "raise ImportError('libcudart.so is missing')\n")
    source = support.write(tmp_path / "in.json", ["1"])
    with pytest.raises(JobFailed, match=r"A worker failed: ImportError: libcudart\.so is missing"):
        batchpredict.predict(support.job(support.model("double"), source, out))


@pytest.mark.parametrize(
    ("name", "fields", "message"),
    [
        ("not_a_model", {}, "not_a_model"),
        (
            "double",
            {"signatureName": "nope"},
            "No signature found for signature key nope. The model has: serving_default",
        ),
    ],
)
def test_a_model_that_cannot_be_used_fails_the_job(name, fields, message, tmp_path, out):
    source = support.write(tmp_path / "in.json", ["1"])
    with pytest.raises(ModelUnusable, match=message):
        batchpredict.predict(support.job(support.model(name), source, out, **fields))
    assert support.names(out) == []


def test_a_key_that_is_also_an_output_is_a_wrong_job(tmp_path, out):
    source = support.write(tmp_path / "in.json", ["1"])
    document = support.job(support.model("double"), source, out, instanceConfig={"keyField": "y"})
    with pytest.raises(InvalidJob, match='"y" is also an output of the model'):
        batchpredict.predict(document)


def test_a_count_of_errors_ends_the_job_early(tmp_path, out):
    good = [str(number) for number in range(500)]
    source = support.write(tmp_path / "in.json", [*good, *(["bad"] * 20_000)])
    document = support.job(support.model("double"), source, out, maxErrors="5", splitBytes=2000)
    with pytest.raises(BudgetSpent) as failure:
        batchpredict.predict(document, workers=1)
    message = str(failure.value)
    assert "maxErrors (5)" in message
    assert "6 of the " in message
    assert f"{source} at byte {len(''.join(good)) + 500}" in message
    assert len(support.manifests(document)) < 10
    assert support.names(out) == []


def test_a_model_that_refuses_everything_is_warned_of_once_and_ended_by_a_percentage(tmp_path, out):
    source = support.write(tmp_path / "in.json", map(str, range(12_000)))
    document = support.job(
        support.model("refuses_all"), source, out, maxErrors="12.5%", batchSize=8, splitBytes=4000
    )
    observer = Recorder()
    with pytest.raises(
        BudgetSpent, match=r"maxErrors \(12\.5%\).* records so far failed\. For example: .*accepted"
    ):
        batchpredict.predict(document, workers=2, observer=observer)
    assert len(support.manifests(document)) < 15 == support.planned(document)[0].splits
    (warning,) = observer.warnings
    assert "the model has refused every record of several batches" in warning
    assert "--max-errors" in warning


def test_a_budget_that_is_kept_ends_well(tmp_path, out):
    source = support.write(tmp_path / "in.json", ["1", "bad", "3", "4"])
    document = support.job(support.model("double"), source, out, maxErrors="25%")
    assert support.counts(support.score_in_process(document)) == (3, 1)
    assert not os.path.exists(os.path.join(out, "_batchpredict", "parts"))
