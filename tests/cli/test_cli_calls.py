"""How the command is called: help, version, and one clear message for each wrong call. Nothing is scored here."""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
import sysconfig

import pytest
import support
from support import run_cli, run_here

from batchpredict.cli import main

HEAVY = ("tensorflow", "apache_beam", "keras", "pyarrow", "rich", "fastapi", "sqlalchemy", "uvicorn", "httpx")

RIGHT = {
    "--model-dir": support.model("double"),
    "--input-paths": support.digits("text", "*"),
    "--data-format": "TEXT",
    "--output-path": "out",
}


def call(**changes: str | None) -> list[str]:
    """A right call with some flags changed; None leaves one out."""
    flags = {**RIGHT, **{f"--{name.replace('_', '-')}": value for name, value in changes.items()}}
    return ["predict", *(f"{name}={value}" for name, value in flags.items() if value is not None)]


INSTANT = {
    "help": (["--help"], 0),
    "help of a command": (["predict", "--help"], 0),
    "version": (["--version"], 0),
    "bare": ([], 0),
    "unknown flag": (["predict", "--batch-sise", "3"], 2),
    "missing flag": (["predict", "--model-dir", "x"], 2),
    "wrong value": (call(batch_size="0"), 2),
    "no job file": (["predict", "--job", "nowhere.json"], 2),
    "help of the service": (["serve", "--help"], 0),
    "settings of the service": (["serve", "--check"], 0),
    "help of a submit": (["jobs", "submit", "prediction", "--help"], 0),
    "typo in the client": (["jobs", "lst"], 2),
    "no service": (["jobs", "list", "--endpoint=http://127.0.0.1:9"], 1),
}


@pytest.mark.parametrize("name", INSTANT)
def test_help_and_wrong_calls_answer_at_once(name, tmp_path):
    arguments, status = INSTANT[name]
    seconds: list[float] = []
    # Processor time, which is the answer's time on an idle machine; on a busy one it takes attempts to see it.
    while len(seconds) < 8 and min(seconds, default=1.0) >= 0.5:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert run_cli(*arguments, cwd=tmp_path).returncode == status
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(seconds) < 0.5


@pytest.mark.parametrize("name", INSTANT)
def test_help_and_wrong_calls_import_nothing_heavy(name, tmp_path):
    arguments, status = INSTANT[name]
    child = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "batchpredict", *arguments],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    imported = set(re.findall(r"\| +([a-z_]+)$", child.stderr, re.MULTILINE))
    assert child.returncode == status
    assert "argparse" in imported
    assert imported.isdisjoint(HEAVY)


def test_importing_the_package_imports_nothing_heavy():
    code = f"import sys, batchpredict, batchpredict.cli; print([name for name in {HEAVY} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_version():
    from batchpredict import __version__

    found = run_cli("--version")
    assert (found.stdout, found.stderr) == (f"batchpredict {__version__}\n", "")


def test_the_installed_command_is_the_module():
    # Beside the interpreter, which is where an environment has its commands, on the PATH or not.
    command = os.path.join(sysconfig.get_path("scripts"), "batchpredict")
    found = subprocess.run([command, "--version"], capture_output=True, text=True, check=True)
    assert found.stdout == run_cli("--version").stdout


def test_help_names_every_flag():
    text = run_cli("predict", "--help").stdout
    named = (
        "job model-dir input-paths data-format output-path output-data-format batch-size max-worker-count "
        "signature-name runtime-version region key-field include-fields exclude-fields max-errors max-record-bytes "
        "split-bytes fresh overwrite quiet json-logs"
    )
    for flag in named.split():
        assert f"--{flag}" in text
    assert "130" in text


def test_bare_it_prints_its_help():
    found = run_cli()
    assert (found.returncode, found.stderr) == (0, "")
    assert found.stdout == run_cli("--help").stdout
    assert "predict" in found.stdout


WRONG = {
    "no command": (["--quiet"], "batchpredict: a command comes before '--quiet': predict or inspect or clean"),
    "unknown command": (["predit"], "there is no command 'predit'; did you mean 'predict'?"),
    "unknown flag": ([*call(), "--batch-sise=3"], "there is no flag '--batch-sise'; did you mean '--batch-size'?"),
    "abbreviated flag": ([*call(), "--batch=3"], "there is no flag '--batch'"),
    "stray argument": ([*call(), "more"], "there is no argument 'more'"),
    "flag without a value": (["predict", "--model-dir"], "--model-dir: expected one argument"),
    "no model": (call(model_dir=None), "--model-dir: This field is required."),
    "no input": (call(input_paths=None), "--input-paths: "),
    "empty input": (call(input_paths=","), "--input-paths: "),
    "no output": (call(output_path=None), "--output-path: "),
    "no format": (call(data_format=None), "--data-format: "),
    "unknown format": (call(data_format="AVRO"), "--data-format: .*AVRO"),
    "output format as input": (call(data_format="CSV"), "--data-format: CSV is not a format of input files"),
    "unknown output format": (call(output_data_format="XML"), "--output-data-format: .*XML"),
    "batch of none": (call(batch_size="0"), "--batch-size: "),
    "batch of words": (call(batch_size="many"), "--batch-size: .*many"),
    "workers": (call(max_worker_count="-1"), "--max-worker-count: "),
    "split": (call(split_bytes="0"), "--split-bytes: "),
    "record": (call(max_record_bytes="x"), "--max-record-bytes: "),
    "budget": (call(max_errors="-3"), "--max-errors: Expected a number of records like"),
    "budget percentage": (call(max_errors="101%"), "--max-errors: "),
    "both field lists": (call(include_fields="a", exclude_fields="b"), "--exclude-fields: At most one of"),
    "key among the fields": (call(key_field="a", exclude_fields="a"), '--key-field: "a" cannot also be'),
    "table of unknown columns": (call(include_fields="a", output_data_format="CSV"), "--include-fields: Cannot be"),
    "runner": (call(runner="FlinkRuner"), "--runner: there is no runner 'FlinkRuner'; did you mean 'FlinkRunner'"),
    "no job file": (["predict", "--job=nowhere.json"], "--job: there is no file 'nowhere.json'"),
    "job folder": (["predict", "--job=."], r"--job: '\.' cannot be read"),
    "inspect nothing": (["inspect"], "the following arguments are required: MODEL_DIR"),
    "inspect as": (["inspect", "x", "--format=xml"], "--format: invalid choice: 'xml'"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_call_says_what_is_wrong(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    arguments, message = WRONG[name]
    found = run_here(capsys, *arguments)
    assert re.search(message, found.stderr), found.stderr
    assert (found.returncode, found.stdout) == (2, "")
    assert "Traceback" not in found.stderr
    assert len(found.stderr.splitlines()) <= 2


def test_several_mistakes_are_named_together(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    found = run_here(capsys, *call(batch_size="x", data_format="AVRO", output_path=None))
    for flag in ("--batch-size", "--data-format", "--output-path"):
        assert f"batchpredict predict: {flag}: " in found.stderr
    assert found.returncode == 2


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("{", "is not a Job: .*at line 1 column 2"),
        ("[]", "is not a Job: .*Expected an object"),
        ('{"jobId": "a", "predictionInput": 3}', "prediction_input"),
        ('{"jobId": "a", "colour": 3}', "colour"),
        ('{"jobId": "a-b"}', "job_id|prediction_input"),
    ],
)
def test_a_wrong_job_file_is_named(document, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    support.write(tmp_path / "job.json", document)
    found = run_here(capsys, "predict", "--job=job.json")
    assert found.returncode == 2
    assert "job.json" in found.stderr
    assert re.search(message, found.stderr)
    assert "Traceback" not in found.stderr


def test_a_field_of_the_job_file_and_a_flag_are_each_called_by_their_own_name(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    document = support.job(support.model("double"), "in", "out", batchSize="none", maxErrors="many")
    support.write_json(tmp_path / "job.json", document)
    found = run_here(capsys, "predict", "--job=job.json", "--max-errors=lots")
    assert "job.json: Field: prediction_input.batch_size Error: " in found.stderr
    assert "--max-errors: " in found.stderr
    assert "many" not in found.stderr


def test_a_model_of_a_registry_needs_one(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    document = support.job("x", "in", "out")
    del document["predictionInput"]["uri"]
    document["predictionInput"]["modelName"] = "projects/p/models/m"
    support.write_json(tmp_path / "job.json", document)
    found = run_here(capsys, "predict", "--job=job.json")
    assert found.returncode == 2
    assert "There is no model registry here" in found.stderr


FAILING = {
    "no input": (call(input_paths="nothing/*"), "--input-paths: 'nothing/*' matches no file"),
    "no model": (call(model_dir="nowhere"), "--model-dir: 'nowhere' is not a SavedModel: there is no such folder."),
    "no SavedModel": (call(model_dir=support.digits("text")), "there is no saved_model.pb in that folder"),
    "file as output": (call(output_path=support.digits("labels.json")), "is a file; it must be a folder"),
    "own output": (call(output_path=support.digits("text")), "is where the pattern"),
    "input of no known protocol": (call(input_paths="nope://x/*"), "--input-paths: 'nope://x/*' cannot be used: "),
    "output of no known protocol": (call(output_path="nope://x"), "--output-path: 'nope://x' cannot be used: "),
}


@pytest.mark.parametrize("name", FAILING)
def test_a_job_that_cannot_run_fails_with_one_line(name, tmp_path):
    arguments, message = FAILING[name]
    found = run_cli(*arguments, cwd=tmp_path)
    assert found.returncode == 1, found.stderr
    (line,) = found.stderr.splitlines()
    assert line.startswith("batchpredict predict: the job failed: ")
    assert message in line
    assert found.stdout == ""


def test_inspect_prints_for_people():
    found = run_cli("inspect", support.DIGITS_MODEL)
    assert (found.returncode, found.stderr) == (0, "")
    for part in (
        "tags: serve",
        "signature serving_default (used unless --signature-name says otherwise)",
        "signature serving_examples\n",
        "pixels  float32 [?, 64]",
        "probabilities  float32 [?, 10]",
        "a line of TEXT input:",
    ):
        assert part in found.stdout


def test_inspect_prints_for_programs(capsys):
    assert main(["inspect", support.model("two_inputs"), "--format=json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["tags"] == ["serve"]
    assert found["defaultSignature"] == "serving_default"
    signature = found["signatures"]["serving_default"]
    assert signature["inputs"]["a"] == {"dtype": "float32", "shape": [None, 2]}
    assert json.loads(signature["exampleLine"]) == {"a": [0.0, 0.0], "b": 0}


def test_inspect_says_what_a_sparse_input_takes():
    found = run_cli("inspect", support.model("transform_sparse"))
    assert (found.returncode, found.stderr) == (0, "")
    for part in (
        "tags: transform",
        "values  sparse float32 [?, ?]",
        '{"values":[0.0],"words":["text"],"x":0.0}',
        "note: input words is sparse: a list of any length is the values of a row, at its places 0, 1, …",
    ):
        assert part in found.stdout


def test_inspect_gives_no_example_for_a_signature_that_cannot_be_used(capsys):
    assert main(["inspect", support.model("without_batch"), "--format=json"]) == 0
    signatures = json.loads(capsys.readouterr().out)["signatures"]
    assert signatures["total"]["exampleLine"] is None
    assert signatures["total"]["remarks"][0].startswith("cannot be used for prediction: Output total of signature")
    assert signatures["threshold"]["remarks"] == [
        "input threshold of signature threshold has no batch dimension, so only records with equal values of it "
        "share a model call"
    ]


def test_inspect_describes_a_model_that_this_tensorflow_cannot_import(capsys):
    assert main(["inspect", support.model("no_such_op"), "--format=json"]) == 0
    signature = json.loads(capsys.readouterr().out)["signatures"]["serving_default"]
    assert signature["outputs"] == {"y": {"dtype": "float32", "shape": [None]}}


@pytest.mark.parametrize(("name", "message"), [("not_a_model", "saved_model.pb"), ("nowhere", "no such folder")])
def test_inspect_of_what_is_no_model(name, message, capsys):
    assert main(["inspect", support.model(name)]) == 1
    found = capsys.readouterr()
    (line,) = found.err.splitlines()
    assert line.startswith("batchpredict inspect: ")
    assert message in line
    assert found.out == ""


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (call(), "batchpredict predict: stopped; nothing was begun.\n"),
        (["clean", "--cache"], "batchpredict clean: stopped.\n"),
    ],
)
def test_a_ctrl_c_before_anything_is_begun_is_answered(command, said, capsys, monkeypatch):
    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(f"batchpredict.cli.{command[0]}.silence_logs", interrupted)
    assert main(command) == 130
    assert capsys.readouterr().err == said


def shell(text: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command within a line of shell, where it stands as "$@"."""
    return subprocess.run(
        ["bash", "-c", text, "bash", *support.command(*arguments)], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_stdout_that_cannot_take_the_answer_is_said_in_one_line(unbuffered, monkeypatch):
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    found = shell('"$@" >/dev/full', "inspect", support.model("double"))
    assert (found.returncode, found.stderr) == (
        1,
        "batchpredict: stdout cannot be written: No space left on device\n",
    )


def test_a_reader_that_has_gone_is_no_failure():
    found = shell('set -o pipefail; "$@" | true', "inspect", support.model("double"))
    assert (found.returncode, found.stderr) == (0, "")


def test_a_closed_stderr_changes_nothing():
    found = shell('"$@" 2>&-', "inspect", support.model("double"))
    assert found.returncode == 0
    assert found.stdout == run_cli("inspect", support.model("double")).stdout


@pytest.mark.parametrize("where", ["-", "/dev/stdin"])
def test_a_job_may_come_through_a_pipe(where):
    found = shell(f'echo "{{" | "$@" --job {where}', "predict")
    assert found.returncode == 2
    assert "is not a Job: " in found.stderr


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"a":' * 100_000, '{"jobId":"a","jobId":"b"}', '{"a":' + "1" * 5000]
)
def test_a_hostile_job_file_is_one_line(text, tmp_path):
    found = run_cli("predict", "--job", support.write(tmp_path / "job.json", text))
    assert found.returncode == 2
    assert len(found.stderr.splitlines()) == 1
    assert "is not a Job: " in found.stderr
