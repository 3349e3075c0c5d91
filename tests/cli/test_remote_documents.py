"""What the client reads from files, and the values that it prints for scripts; both as gcloud has them."""

from __future__ import annotations

import io
import json
import os
from typing import Any

import pytest
import support
from scripted_server import Answer, recording

from batchpredict.cli import main

VERSION = """\
# As in gcloud's own help.
description: A free-form description of the version.
deploymentUri: here
runtimeVersion: 2.10
autoScaling:
  minNodes: 0
labels:
  step: 2
"""
DONE = Answer({"name": "projects/p/operations/o", "done": True, "response": {"name": "v"}})


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path) -> None:
    for name in ("ENDPOINT", "PROJECT", "TOKEN"):
        monkeypatch.delenv(f"BATCHPREDICT_{name}", raising=False)
    monkeypatch.chdir(tmp_path)


def created(*flags: str) -> Any:
    """The Version that `versions create v --model=m` sends."""
    with recording(lambda asked: DONE) as server:
        assert main(["versions", "create", "v", "--model=m", *flags, f"--endpoint={server.endpoint}"]) == 0
    return server.asked[0].body


def test_a_version_is_described_by_a_file_and_flags_go_before_it(tmp_path):
    (tmp_path / "v.yaml").write_text(VERSION)
    found = created("--config=v.yaml")
    # Every value is text: a version is no number that loses its last digit.
    assert found == {
        "name": "v",
        "description": "A free-form description of the version.",
        "deploymentUri": str(tmp_path / "here"),
        "runtimeVersion": "2.10",
        "autoScaling": {"minNodes": "0"},
        "labels": {"step": "2"},
    }
    found = created("--config=v.yaml", "--origin=gs://b/m", "--description=Mine.", "--labels=a=b")
    assert (found["deploymentUri"], found["description"], found["labels"]) == ("gs://b/m", "Mine.", {"a": "b"})
    assert found["runtimeVersion"] == "2.10"


def test_a_version_is_described_in_json_too_and_by_stdin(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO('{"deployment_uri": "gs://b/m", "name": "other"}'))
    assert created("--config=-") == {"deployment_uri": "gs://b/m", "name": "v"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "--config: 'v.yaml' cannot be read: No such file or directory"),
        ("a: b: c", "--config: 'v.yaml' is neither JSON nor YAML: mapping values are not allowed here"),
        ('{"deploymentUri": ', "--config: 'v.yaml' is no JSON: "),
        ("- a", "--config: 'v.yaml' is no Version: it holds no JSON or YAML object"),
        (
            "description: x",
            "--origin: the folder of the SavedModel is needed here, or as deploymentUri in --config",
        ),
    ],
)
def test_a_file_that_is_no_version_is_named(text, said, tmp_path, capsys):
    if text is not None:
        (tmp_path / "v.yaml").write_text(text)
    assert main(["versions", "create", "v", "--model=m", "--config=v.yaml"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"batchpredict versions create: {said}")


def test_a_policy_may_be_yaml(call, folder):
    call("models", "create", "shared")
    support.write(
        os.path.join(folder, "policy.yaml"),
        ["version: 1", "bindings:", "- role: roles/ml.viewer", "  members:", "  - user:ann@example.org"],
    )
    policy = json.loads(call("models", "set-iam-policy", "shared", "policy.yaml")[0])
    assert policy["bindings"] == [{"role": "roles/ml.viewer", "members": ["user:ann@example.org"]}]
    call("models", "delete", "shared")


JOB = {
    "jobId": "j",
    "state": "SUCCEEDED",
    "labels": {"a": "b", "c": "d"},
    "predictionInput": {"inputPaths": ["/in/1", "/in/2"]},
    "predictionOutput": {"predictionCount": "5"},
}


@pytest.mark.parametrize(
    ("form", "printed"),
    [
        ("value(state)", "SUCCEEDED\n"),
        ("value(jobId, predictionOutput.predictionCount)", "j\t5\n"),
        ("value(predictionInput.inputPaths,endTime,labels)", "/in/1;/in/2\t\ta=b;c=d\n"),
    ],
)
def test_a_script_asks_for_the_values_that_it_needs(form, printed, capsys):
    with recording(lambda asked: Answer(JOB)) as server:
        assert main(["jobs", "describe", "j", f"--format={form}", f"--endpoint={server.endpoint}"]) == 0
    assert capsys.readouterr().out == printed
    with recording(lambda asked: Answer({"jobs": [JOB, JOB]})) as server:
        assert main(["jobs", "list", f"--format={form}", f"--endpoint={server.endpoint}"]) == 0
    assert capsys.readouterr().out == printed * 2


@pytest.mark.parametrize("form", ["yaml", "value()", "value(state", "value(name.basename())"])
def test_a_format_that_is_not_there_is_refused_with_those_that_are(form, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["jobs", "list", f"--format={form}"])
    assert f"--format: '{form}' is none of table, json, value(FIELD,…)\n" in capsys.readouterr().err
