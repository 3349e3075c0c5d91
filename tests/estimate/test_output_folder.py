"""What `predict` would say of an output folder, in its words, and without a trace."""

from __future__ import annotations

import os

import pytest
import support

from batchpredict.errors import OutputRefused
from batchpredict.estimate.folder import Folder, look
from batchpredict.prediction.prepare import prepare
from batchpredict.prediction.request import Request
from batchpredict.scoring import Task


@pytest.fixture
def document(tmp_path, out) -> support.Document:
    source = support.write(tmp_path / "in.json", [str(number) for number in range(20)])
    return support.job(support.model("double"), source, out, splitBytes="20")


def found(document: support.Document, **more: bool) -> Folder:
    plan, staging = support.planned(document)
    return look(staging.output_path, plan, **{"overwrite": False, "fresh": False, **more})


def refused(document: support.Document) -> str:
    """What `predict` says."""
    with pytest.raises(OutputRefused) as caught:
        support.score_in_process(document)
    return str(caught.value)


def test_a_folder_that_is_not_there_is_not_made(document, out):
    assert found(document) == Folder()
    assert not os.path.exists(out)


def test_results_of_another_job(document, out):
    support.score_in_process(document)
    other = support.job(support.model("refuses_negative"), document["predictionInput"]["inputPaths"], out)
    before = support.published(out)
    assert found(other).refusal == refused(other)
    assert found(other, overwrite=True) == Folder()
    assert support.published(out) == before


def test_a_job_that_is_done(document):
    support.score_in_process(document)
    plan, _ = support.planned(document)
    assert found(document) == Folder(finished=True, committed=plan.splits)
    assert found(document, fresh=True) == Folder()


def test_a_job_that_was_interrupted(document):
    prepared = prepare(Request(support.spec_of(document)))
    predict = support.predictor_of(prepared)
    splits = list(support.todo(prepared))
    for split in splits[:2]:
        predict(Task(split))
    assert len(splits) > 2
    assert found(document) == Folder(committed=2)


def test_a_file_where_the_folder_should_be(document, tmp_path):
    document["predictionInput"]["outputPath"] = support.write(tmp_path / "file", "")
    assert found(document).refusal == refused(document)


def test_a_file_where_a_folder_above_should_be(document, tmp_path):
    support.write(tmp_path / "file", "")
    document["predictionInput"]["outputPath"] = str(tmp_path / "file" / "out")
    said = found(document).refusal
    assert said.startswith(f"outputPath: cannot write to '{tmp_path}/file/out': [Errno 20] Not a directory")
    assert refused(document).startswith(said.partition(": [")[0])


def test_a_folder_that_may_not_be_written_to(document, tmp_path, monkeypatch):
    # Whoever runs tests as root may write everywhere.
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert "[Errno 13] Permission denied" in found(document).refusal


def test_whether_a_store_can_be_written_to_is_not_known(document, memory):
    document["predictionInput"]["outputPath"] = f"{memory}/out"
    assert found(document) == Folder(checked=False)
