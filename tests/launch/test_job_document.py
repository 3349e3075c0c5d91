"""Job files: where they may be, and what is said of one that is none."""

from __future__ import annotations

import io
import json
import os
import sys
import threading

import pytest
import support

from batchpredict.errors import WrongCall
from batchpredict.launch import load_job, read_document

RIGHT = support.job("model", "in/*", "out")


def test_a_file(tmp_path):
    path = support.write_json(tmp_path / "job.json", RIGHT)
    assert read_document(path) == RIGHT
    assert load_job(path).job_id == "test_job"


def test_a_file_on_any_store(memory):
    from batchpredict import storage

    url = f"{memory}/job.json"
    storage.replace_bytes(url, json.dumps(RIGHT).encode())
    assert read_document(url) == RIGHT


def test_standard_input(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(json.dumps(RIGHT).encode())))
    assert read_document("-") == RIGHT


def test_a_pipe(tmp_path):
    path = str(tmp_path / "pipe")
    os.mkfifo(path)

    def write() -> None:
        with open(path, "w") as file:
            json.dump(RIGHT, file)

    writer = threading.Thread(target=write)
    writer.start()
    assert read_document(path) == RIGHT
    writer.join()


@pytest.mark.parametrize("folder", ["", "memory://nowhere/"])
def test_a_file_that_is_not_there(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(WrongCall) as error:
        read_document(f"{folder}job.json")
    assert str(error.value) == f"--job: there is no file '{folder}job.json'"


@pytest.mark.parametrize(
    ("url", "words"), [(".", r"'\.' cannot be read: "), ("nope://x", "'nope://x' cannot be read: ")]
)
def test_what_cannot_be_read(url, words):
    with pytest.raises(WrongCall, match=f"^--job: {words}"):
        read_document(url)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "\ufeff!", '{"a": 1, "a": 2}'])
def test_what_is_not_the_json_of_an_object(text, tmp_path):
    path = support.write(tmp_path / "job.json", text)
    with pytest.raises(WrongCall) as error:
        read_document(path)
    assert str(error.value).startswith(f"--job: '{path}' is not a Job: ")
    assert "\n" not in str(error.value)


def test_every_field_that_is_wrong_is_named_with_the_file(tmp_path):
    wrong = support.job("model", "in/*", "out", batchSize="none", maxErrors="many")
    path = support.write_json(tmp_path / "job.json", wrong)
    assert read_document(path) == wrong, "what it says is not checked"
    with pytest.raises(WrongCall) as error:
        load_job(path)
    lines = str(error.value).splitlines()
    assert len(lines) == 2
    for line, field in zip(lines, ("batch_size", "max_errors"), strict=True):
        assert line.startswith(f"{path}: Field: prediction_input.{field} Error: ")


@pytest.mark.parametrize("name", ["predictionInput", "prediction_input"])
def test_the_fields_of_an_input_by_themselves(name, tmp_path):
    path = support.write_json(tmp_path / "job.json", {"region": "here", "data_format": "TEXT", "uri": "m"})
    with pytest.raises(WrongCall, match=r"holds the fields of a predictionInput by themselves; a Job has them in"):
        read_document(path)
    whole = support.write_json(tmp_path / "whole.json", {name: {"region": "here"}})
    assert read_document(whole) == {name: {"region": "here"}}


def test_the_fields_of_a_training_input_by_themselves(tmp_path):
    path = support.write_json(tmp_path / "job.json", {"region": "here", "scaleTier": "BASIC"})
    with pytest.raises(WrongCall, match=r'{"jobId": "…", "trainingInput": {…}}'):
        read_document(path)
