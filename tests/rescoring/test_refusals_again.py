"""What is not taken: no finished job, other inputs, inputs that have changed, results that do not fit."""

from __future__ import annotations

import os
import shutil
from typing import Any

import pytest
import support
from again import REFUSES_NEGATIVE, again, prepared, request

import batchpredict
from batchpredict import storage
from batchpredict.errors import InvalidJob, NoInput, OutputRefused
from batchpredict.rescoring import FinishedJob
from batchpredict.scoring.task import Task


@pytest.fixture
def finished(tmp_path):
    """The output folder of a job over twelve files, in each of which one record failed."""
    paths = [support.write(tmp_path / f"in-{n:02}.json", ['{"x": 1}', '{"x": -1}']) for n in range(12)]
    document = support.job(REFUSES_NEGATIVE, paths, str(tmp_path / "out"), batchSize=7)
    assert support.counts(support.score_in_process(document)) == (12, 12)
    return str(tmp_path / "out")


def test_what_is_not_said_is_as_it_was(finished, tmp_path):
    spec = request(finished, tmp_path / "again").spec
    former = FinishedJob.at(finished).spec
    assert former is not None
    assert (spec.model_uri, spec.batch_size, spec.inputs) == (former.model_uri, 7, former.inputs)
    spec = request(finished, tmp_path / "again", batch_size=3, uri="another", maxErrors=5).spec
    assert (spec.model_uri, spec.batch_size, spec.max_errors) == ("another", 3, "5")


def test_a_budget_is_not_taken(tmp_path):
    path = support.write(tmp_path / "in.json", ['{"x": 1}', '{"x": -1}'])
    support.score_in_process(support.job(REFUSES_NEGATIVE, path, str(tmp_path / "out"), maxErrors="50%"))
    assert request(str(tmp_path / "out"), tmp_path / "again").spec.max_errors is None


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"inputPaths": ["other/*"]}, "input_paths"),
        ({"data_format": "TF_RECORD"}, "data_format"),
        ({"splitBytes": 1000}, "split_bytes"),
    ],
)
def test_where_the_records_are_cannot_be_said_anew(finished, tmp_path, fields, field):
    with pytest.raises(InvalidJob, match=rf"prediction_input\.{field} ") as raised:
        request(finished, tmp_path / "again", **fields)
    assert len(raised.value.violations) == 1


def test_the_job_itself_with_another_folder_is_taken(finished, tmp_path):
    former = FinishedJob.at(finished).spec
    assert former is not None
    found = request(finished, tmp_path / "again", inputPaths=list(former.inputs), dataFormat="JSON")
    assert found.spec.data_format == "TEXT"


def test_no_folder(tmp_path):
    with pytest.raises(NoInput, match=r"onlyErrorsOf: there is no folder '.*nowhere'\."):
        FinishedJob.at(str(tmp_path / "nowhere"))


def test_a_folder_without_results(tmp_path):
    with pytest.raises(NoInput, match="onlyErrorsOf: no job has published results in "):
        FinishedJob.at(str(tmp_path))


def test_a_folder_that_nobody_here_can_read():
    with pytest.raises(NoInput, match="onlyErrorsOf: 'nosuch://folder' cannot be used: "):
        FinishedJob.at("nosuch://folder")


def test_a_job_that_is_not_finished(finished):
    os.unlink(os.path.join(finished, "_SUCCESS"))
    with pytest.raises(NoInput, match="is not finished; run it to its end first"):
        FinishedJob.at(finished)


def test_results_that_are_not_whole(finished):
    os.unlink(os.path.join(finished, support.error_names(finished)[0]))
    with pytest.raises(NoInput, match=r"onlyErrorsOf: .*prediction\.errors-00000-of-00001 is gone"):
        FinishedJob.at(finished)


def test_inputs_that_have_changed_are_named_and_counted(finished, tmp_path):
    for number in range(0, 12, 2):
        support.write(tmp_path / f"in-{number:02}.json", ['{"x": 1}', '{"x": -1}', '{"x": 2}'])
    os.unlink(tmp_path / "in-01.json")
    with pytest.raises(NoInput) as raised:
        prepared(finished, tmp_path / "again")
    said = str(raised.value)
    assert said.startswith("onlyErrorsOf: 7 input files are not what they were when that job read them: ")
    assert "in-00.json' (had 19 bytes and has 28 now), '" in said
    assert "in-01.json' (is gone)" in said
    assert said.count("in-") == 5
    assert " and 2 more. " in said


def test_an_input_of_the_same_size_with_another_content(finished, tmp_path):
    support.write(tmp_path / "in-03.json", ['{"x": 2}', '{"x": -2}'])
    with pytest.raises(NoInput, match=r"1 input file is not what it was .*in-03\.json' \(its content is another\)"):
        prepared(finished, tmp_path / "again", merge=True)


def test_an_input_without_errors_may_have_changed(tmp_path):
    paths = [support.write(tmp_path / f"{n}.json", [f'{{"x": {n}}}']) for n in (1, -1)]
    support.score_in_process(support.job(REFUSES_NEGATIVE, paths, str(tmp_path / "out")))
    os.unlink(paths[0])
    assert support.counts(again(tmp_path / "out", tmp_path / "merged", merge=True)) == (1, 1)


def test_the_folder_of_the_finished_job_is_not_written_to(finished):
    with pytest.raises(OutputRefused, match="is the folder whose errors are scored again"):
        prepared(finished, finished)
    os.symlink(finished, f"{finished}-link")
    with pytest.raises(OutputRefused, match="is the folder whose errors are scored again"):
        prepared(finished, f"{finished}-link", merge=True)


def test_results_are_merged_in_their_own_format(finished, tmp_path):
    with pytest.raises(NoInput, match=r"outputDataFormat: .* in their format, which is JSON, and not as CSV"):
        prepared(finished, tmp_path / "merged", merge=True, outputDataFormat="CSV")
    assert support.counts(again(finished, tmp_path / "again", outputDataFormat="CSV")) == (0, 12)


def test_results_of_errors_alone_are_nothing_to_merge_into(finished, tmp_path):
    again(finished, tmp_path / "again")
    with pytest.raises(NoInput, match=r"which are not whole; merge into those of '.*out'"):
        prepared(tmp_path / "again", tmp_path / "merged", merge=True)


def test_kept_results_that_change_under_the_job(finished, tmp_path):
    ready = prepared(finished, tmp_path / "merged", merge=True)
    predict = support.predictor_of(ready)
    (split,) = support.todo(ready)
    (name,) = support.result_names(finished)
    with open(os.path.join(finished, name), "ab") as file:
        file.write(b"{}\n")
    with pytest.raises(NoInput, match=r"onlyErrorsOf: '.*prediction\.results-.*: it has changed"):
        predict(Task(split))


def test_a_job_without_errors_has_an_empty_output(tmp_path):
    path = support.write(tmp_path / "in.json", ['{"x": 1}'])
    support.score_in_process(support.job(REFUSES_NEGATIVE, path, str(tmp_path / "out")))
    assert support.counts(again(tmp_path / "out", tmp_path / "again")) == (0, 0)
    assert storage.exists(str(tmp_path / "again" / "_SUCCESS"))
    assert support.counts(again(tmp_path / "out", tmp_path / "merged", merge=True)) == (1, 0)
    assert support.published(str(tmp_path / "merged")) == support.published(str(tmp_path / "out"))


@pytest.fixture
def golden(tmp_path):
    """What version 1 has published, whose input is where it was, and of which it had no version."""
    output = str(tmp_path / "old")
    shutil.copytree(os.path.join(support.TESTDATA, "golden", "v1", "out"), output)
    errors = support.errors(output)
    lines = bytearray(b"\n" * 200)
    for error in errors:
        text = b"%d" % error["index"]
        lines[error["offset"] : error["offset"] + len(text)] = text
    storage.replace_bytes("memory:///golden/in.json", bytes(lines))
    yield output
    storage.delete("memory:///golden/in.json")


def test_an_output_of_a_version_that_did_not_keep_its_spec(golden, tmp_path):
    with pytest.raises(InvalidJob) as raised:
        request(golden, tmp_path / "again")
    fields = [violation.field for violation in raised.value.violations]
    assert fields == ["prediction_input.data_format", "prediction_input.uri"]
    assert "is of a version that did not keep what its job was told" in str(raised.value)
    told: dict[str, Any] = {"dataFormat": "TEXT", "uri": support.model("double")}
    assert support.counts(again(golden, tmp_path / "again", **told)) == (2, 0)
    assert [one["y"] for one in support.results(str(tmp_path / "again"))] == [8.0, 22.0]
    output = again(golden, tmp_path / "merged", merge=True, **told)
    assert support.counts(output) == (12, 0)
    found = support.results(str(tmp_path / "merged"))
    assert (found[4], found[11]) == ({"y": 8.0}, {"y": 22.0})
    assert [one.get("id", number) for number, one in enumerate(found)] == list(range(12))


def test_records_of_another_format_than_the_errors_are_of(golden, tmp_path):
    with pytest.raises(NoInput, match=r"the records that .* names are lines: dataFormat is another"):
        prepared(golden, tmp_path / "again", dataFormat="TF_RECORD", uri=support.model("double"))


def test_merge_needs_to_know_into_what():
    with pytest.raises(ValueError, match="name only_errors_of"):
        batchpredict.predict({}, merge=True)
