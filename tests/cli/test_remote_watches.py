"""`batchpredict watches …`: what is sent, what is shown, what is said when it is refused."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import pytest
import support
from scripted_server import Answer, Asked, in_turn, recording, refusal
from served import Served, serving

from batchpredict.cli import main

pytest.importorskip("fastapi", reason="pip install 'batchpredict[serve]'")

WATCH = {
    "name": "projects/p/watches/night",
    "watchId": "night",
    "state": "PAUSED",
    "epochs": "12",
    "setAsideEpochs": "1",
    "createTime": "2026-11-30T00:00:00Z",
}
EPOCHS = [
    {"epoch": "2", "state": "SET_ASIDE", "files": "3", "bytes": "9", "failures": "5"},
    {"epoch": "1", "state": "SUCCEEDED", "files": "1", "job": "projects/p/jobs/night_epoch_00000001"},
]


@pytest.fixture(scope="module")
def service(folder, rows) -> Iterator[Served]:
    """One that nobody works for: its watches wait."""
    with serving(folder, "--root=.", f"--root={support.TESTDATA}", "--role=api") as served:
        yield served


def creation(watch: str, *more: str) -> list[str]:
    return ["watches", "create", watch, "--input-paths=arriving/*.json", "--data-format=text", *more]


def sent(*flags: str, watch: str = "night") -> Any:
    """The Watch that `watches create` sends."""
    with recording(lambda asked: Answer(WATCH)) as server:
        assert main([*creation(watch, *flags), f"--endpoint={server.endpoint}", "--project=p"]) == 0
    assert server.lines == ["POST /v1/projects/p/watches"]
    return server.asked[0].body


def test_the_life_of_a_watch(call, folder):
    model = f"--model-dir={support.model('double')}"
    flags = (model, "--output-path=out/life", "--every=2m", "--changed=ignore", "--labels=team=blue")
    _, err = call(*creation("life", *flags, "--validate-only"))
    assert err == "life could be created; nothing was\n"
    assert call("watches", "list")[1] == "Listed 0 items.\n"
    out, err = call(*creation("life", *flags))
    watch = json.loads(out)
    project = os.environ["BATCHPREDICT_PROJECT"]
    assert err == f"created projects/{project}/watches/life\n"
    assert watch["predictionInput"] == {
        "uri": support.model("double"),
        "inputPaths": [os.path.join(folder, "arriving/*.json")],
        "dataFormat": "TEXT",
        "outputPath": os.path.join(folder, "out/life"),
        "region": "local",
    }
    assert (watch["every"], watch["changed"], watch["labels"]) == ("120s", "IGNORE", {"team": "blue"})
    assert "settle" not in watch
    assert json.loads(call("watches", "describe", "life")[0]) == watch
    head, row = call("watches", "list")[0].splitlines()
    assert head.split() == ["WATCH_ID", "STATE", "EPOCHS", "SET_ASIDE", "CREATED"]
    assert row.split()[:4] == ["life", "ACTIVE", "0", "0"]
    assert call("watches", "epochs", "life")[1] == "Listed 0 items.\n"

    out, err = call("watches", "pause", "life", "--format=value(state)")
    assert (out, err) == ("PAUSED\n", "life is paused; a job that is under way comes to its end\n")
    assert call("watches", "resume", f"projects/{project}/watches/life", "--format=value(state)")[0] == "ACTIVE\n"
    _, err = call("watches", "retry", "life", status=1)
    assert err.endswith("No epoch of the watch was set aside.\n")
    assert call("watches", "delete", "life", "--quiet") == ("", "")
    _, err = call("watches", "describe", "life", status=1)
    assert err == 'batchpredict watches describe: The watch resource: "life" was not found.\n'


def test_an_id_is_of_one_watch(call):
    flags = (f"--model-dir={support.model('double')}", "--output-path=out/once")
    call(*creation("once", *flags))
    _, err = call(*creation("once", *flags), status=1)
    assert "a watch 'once' exists already (it is the same watch, ACTIVE), and an id is of one watch; " in err
    assert err.endswith("'batchpredict watches describe once' shows it\n")
    _, err = call(*creation("once", *flags, "--every=1h"), status=1)
    assert "(it is another watch, ACTIVE)" in err


def test_a_create_whose_answer_is_lost_takes_effect_once(monkeypatch, capsys):
    monkeypatch.setattr("batchpredict.cli.remote.creating.time.sleep", lambda seconds: None)
    made: list[Any] = []

    def answers(asked: Asked) -> Answer:
        if asked.line.startswith("GET"):
            return Answer({**made[0], "state": "ACTIVE"})
        made.append(asked.body)
        return Answer(cut=0) if len(made) == 1 else refusal(409, "ALREADY_EXISTS", "There is one.")

    with recording(answers) as server:
        assert main([*creation("night"), f"--endpoint={server.endpoint}"]) == 0
    assert json.loads(capsys.readouterr().out)["state"] == "ACTIVE"
    assert len(made) == 2


def test_what_is_wrong_is_said_of_its_flag(call, folder):
    flags = (f"--model-dir={support.model('double')}", "--output-path=out/wrong")
    os.makedirs(os.path.join(folder, "no_versions"), exist_ok=True)
    for wrong, said in (
        ("--labels=watch=x", "--labels: "),
        ("--output-path=/elsewhere", '--output-path: "/elsewhere" is not below a folder'),
        ("--output-path=arriving", "--input-paths: "),
        ("--batch-size=0", "--batch-size: "),
    ):
        _, err = call(*creation("wrong", *flags, wrong), status=2)
        assert f"batchpredict watches create: {said}" in err
    _, err = call(*creation("wrong", "--model-base=no_versions", "--output-path=out/wrong"), status=2)
    assert "watches create: --model-base: " in err
    _, err = call(*creation("wrong", "--output-path=out/wrong"), status=2)
    assert "watches create: --model, --model-dir or --model-base: a job needs a model." in err
    _, err = call("watches", "pause", "1", status=2)
    assert "watches pause: WATCH: '1': A name should start with a letter" in err
    assert call("watches", "list")[1] == "Listed 0 items.\n"


@pytest.mark.parametrize("flag", ["--model=census", "--model-dir=/m"])
def test_a_watch_has_one_model(flag, capsys):
    assert main([*creation("night"), "--model-base=/m", flag]) == 2
    wrong = flag.partition("=")[0]
    said = f"batchpredict watches create: --model-base: not with {wrong}: a watch has one model\n"
    assert capsys.readouterr().err == said


def test_a_model_is_a_folder_of_versions_or_one_of_the_project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = sent("--model-base=models/census")
    assert (found["predictionInput"]["uri"], found["newestVersion"]) == (str(tmp_path / "models/census"), True)
    found = sent("--model=census")
    assert found["predictionInput"]["modelName"] == "projects/p/models/census"
    assert "newestVersion" not in found
    found = sent("--model=census", "--version=v1")
    assert found["predictionInput"]["versionName"] == "projects/p/models/census/versions/v1"


def test_times_and_sizes_are_sent_as_the_service_takes_them():
    found = sent("--model-dir=/m", "--every=1d", "--settle=0s", "--max-files=5", "--max-bytes=1000000", "--tries=2")
    assert (found["every"], found["settle"], found["tries"]) == ("86400s", "0s", 2)
    assert (found["maxFiles"], found["maxBytes"]) == (5, 1000000)


FILE = """\
predictionInput:
  uri: models/census
  outputPath: out
  dataFormat: JSON
newestVersion: true
every: 60s
tries: 3
labels:
  team: blue
"""


def test_a_watch_is_described_by_a_file_and_flags_go_before_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "watch.yaml").write_text(FILE)
    found = sent("--config=watch.yaml", "--every=5m")
    assert found == {
        "watchId": "night",
        "predictionInput": {
            "uri": str(tmp_path / "models/census"),
            "outputPath": str(tmp_path / "out"),
            "dataFormat": "TEXT",
            "inputPaths": [str(tmp_path / "arriving/*.json")],
            "region": "local",
        },
        "newestVersion": True,
        "every": "300s",
        "tries": "3",
        "labels": {"team": "blue"},
    }
    # One model in the place of the newest of a folder.
    assert "newestVersion" not in sent("--config=watch.yaml", "--model-dir=/m")


def test_a_file_that_is_no_watch_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "watch.json").write_text("[]")
    assert main([*creation("night"), "--config=watch.json"]) == 2
    said = "watches create: --config: 'watch.json' is no Watch: it holds no JSON or YAML object\n"
    assert capsys.readouterr().err == f"batchpredict {said}"


def test_epochs_are_a_table_with_their_jobs_a_page_at_a_time(capsys):
    pages = (Answer({"epochs": EPOCHS[:1], "nextPageToken": "t"}), Answer({"epochs": EPOCHS[1:]}))
    with recording(in_turn(*pages)) as server:
        assert main(["watches", "epochs", "night", "--page-size=1", f"--endpoint={server.endpoint}"]) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split() == ["EPOCH", "STATE", "FILES", "JOB_ID", "FAILURES", "CREATED"]
    assert [row.split() for row in rows] == [
        ["2", "SET_ASIDE", "3", "5"],
        ["1", "SUCCEEDED", "1", "night_epoch_00000001", "0"],
    ]
    assert server.lines == [
        "GET /v1/projects/default/watches/night/epochs?pageSize=1",
        "GET /v1/projects/default/watches/night/epochs?pageSize=1&pageToken=t",
    ]


def test_watches_are_a_table_json_or_values(capsys):
    for form, printed in (
        ("table", "night  PAUSED  12  1  2026-11-30T00:00:00Z"),
        ("value(watchId,epochs)", "night 12"),
    ):
        with recording(lambda asked: Answer({"watches": [WATCH]})) as server:
            assert main(["watches", "list", f"--format={form}", f"--endpoint={server.endpoint}"]) == 0
        assert capsys.readouterr().out.splitlines()[-1].split() == printed.split()
    with recording(lambda asked: Answer({"watches": [WATCH]})) as server:
        assert main(["watches", "list", "--uri", f"--endpoint={server.endpoint}"]) == 0
        assert capsys.readouterr().out == f"{server.endpoint}/v1/projects/p/watches/night\n"
