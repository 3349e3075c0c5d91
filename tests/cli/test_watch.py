"""`batchpredict watch` as its users run it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess

import pytest
import support
from support import command, run_cli

from batchpredict.cli import main
from batchpredict.cli.parser import build


def flags(tmp_path, *more: str) -> list[str]:
    return [
        "watch", f"--model-dir={support.model('double')}", f"--input-paths={tmp_path}/in/**/*.json",
        "--data-format=TEXT", f"--output-path={tmp_path}/out", "--settle=1s", *more,
    ]  # fmt: skip


def lines(text: str) -> list[support.Document]:
    return [json.loads(line) for line in text.splitlines()]


def test_what_is_there_is_scored_and_then_what_has_come(tmp_path):
    support.write(tmp_path / "in" / "a" / "1.json", "1\n2\n")
    support.write(tmp_path / "in" / "2.json", "3\nbad\n")
    found = run_cli(*flags(tmp_path, "--once"))
    assert found.returncode == 0, found.stderr
    (line,) = lines(found.stdout)
    assert (line["epoch"], line["files"], line["bytes"]) == (1, 2, 10)
    assert line["model"] == support.model("double")
    folder = str(tmp_path / "out" / "epoch=00000001")
    assert support.counts(line["predictionOutput"]) == (3, 1)
    assert support.results(folder) == [{"y": 6.0}, {"y": 2.0}, {"y": 4.0}]
    assert support.counts(support.outcome(folder)) == (3, 1)
    assert "epoch 1: 2 files, 10 bytes" in found.stderr
    assert f"1 of 4 records failed; see {folder}/prediction.errors-*" in found.stderr

    # Nothing new: nothing is imported and nothing is written.
    again = run_cli(*flags(tmp_path, "--once", "--quiet"))
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    support.write(tmp_path / "in" / "0.json", "5\n")
    third = run_cli(*flags(tmp_path, "--once", "--quiet"))
    (line,) = lines(third.stdout)
    assert (line["epoch"], line["files"]) == (2, 1)
    assert support.results(str(tmp_path / "out" / "epoch=00000002")) == [{"y": 10.0}]


def test_ctrl_c_while_it_waits_and_while_it_works(tmp_path):
    os.mkdir(tmp_path / "in")
    with subprocess.Popen(
        command(*flags(tmp_path, "--every=1s")), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        assert process.stdout is not None
        assert "no file yet matches" in process.stderr.readline()
        support.write(tmp_path / "in" / "1.json", "1\n")
        assert "epoch 1: 1 file" in process.stderr.readline()
        # What is under way is brought to its end.
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
        assert "ends when what is under way is done; Ctrl-C again ends it at once" in rest
        assert rest.endswith("batchpredict watch: stopped. Run the same command again to go on.\n")
        (line,) = lines(process.stdout.read())
        assert support.counts(line["predictionOutput"]) == (1, 0)
    assert process.returncode == 130


@pytest.mark.long
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_end_at_once(tmp_path, number, status):
    support.write(tmp_path / "in" / "1.json", "1\n")
    with subprocess.Popen(command(*flags(tmp_path)), stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert "epoch 1: 1 file" in process.stderr.readline()
        process.send_signal(number)
        if number == signal.SIGINT:
            assert "ends when" in process.stderr.readline()
            process.send_signal(number)
        said = process.stderr.read()
        assert "stopped; what is committed is kept. Run the same command again to go on." in said
    assert process.returncode == status
    # And the next one goes on with the epoch that was begun.
    found = run_cli(*flags(tmp_path, "--once"))
    assert found.returncode == 0, found.stderr
    assert [line["epoch"] for line in lines(found.stdout)] == [1]


@pytest.mark.long
def test_each_epoch_takes_the_newest_version_of_the_model(tmp_path):
    base = tmp_path / "models"
    shutil.copytree(support.model("double"), base / "9")
    os.makedirs(base / "11")
    support.write(base / "12" / "readme.txt", "not a model")
    support.write(tmp_path / "in" / "1.json", "1\n")
    arguments = flags(tmp_path, "--once", "--quiet", f"--model-base={base}")
    del arguments[1]
    found = run_cli(*arguments)
    assert [line["model"] for line in lines(found.stdout)] == [str(base / "9")], found.stderr
    shutil.copytree(support.model("double"), base / "10")
    support.write(tmp_path / "in" / "2.json", "1\n")
    found = run_cli(*arguments)
    assert [line["model"] for line in lines(found.stdout)] == [str(base / "10")], found.stderr


@pytest.mark.long
def test_a_spent_budget_sets_files_aside_and_retry_takes_them_up_with_another(tmp_path):
    bad = support.write(tmp_path / "in" / "1.json", "1\nbad\nworse\n")
    found = run_cli(*flags(tmp_path, "--once", "--tries=1", "--max-errors=1"))
    assert found.returncode == 1
    assert found.stdout == ""
    assert "epoch 1 is set aside after 1 try (" in found.stderr
    assert "batchpredict watch: not everything is scored: epoch 1: " in found.stderr
    with open(tmp_path / "out" / "_set-aside.jsonl") as file:
        (line,) = map(json.loads, file)
    assert (line["file"], line["epoch"], line["tries"]) == (bad, 1, 1)
    found = run_cli(*flags(tmp_path, "--once", "--retry", "--max-errors=2"))
    assert found.returncode == 0, found.stderr
    assert support.counts(lines(found.stdout)[0]["predictionOutput"]) == (1, 2)
    assert not os.path.exists(tmp_path / "out" / "_set-aside.jsonl")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--every=0s"], "argument --every: '0s' is no pause; write 1s or more"),
        (["--settle=soon"], "argument --settle: 'soon' is no time; write 10s, 5m, 1h or 1d"),
        (["--max-bytes=1.5"], "argument --max-bytes: '1.5' is no number of bytes above 0"),
        (["--changed=perhaps"], "argument --changed: invalid choice: 'perhaps'"),
        (["--fresh"], "there is no flag '--fresh'"),
        (["--model-base=m"], "--model-base: give one model by --model-dir or a folder of versions, not both"),
        (["--data-format=CSV"], "--data-format: "),
        (["--input-paths=nope://a"], "--input-paths: 'nope://a' cannot be used"),
        (["--runner=FlunkRunner"], "--runner: there is no runner 'FlunkRunner'"),
    ],
)
def test_a_wrong_call_is_named(tmp_path, capsys, more, said):
    found = support.run_here(capsys, *flags(tmp_path), *more)
    assert (found.returncode, found.stdout) == (2, "")
    assert said in found.stderr
    assert not os.path.exists(tmp_path / "out")


def test_inputs_in_the_output_folder_are_refused(tmp_path, capsys):
    arguments = flags(tmp_path)
    arguments[2] = f"--input-paths={tmp_path}/out/in/*.json"
    assert main(arguments) == 2
    assert "lies in the folder of --output-path" in capsys.readouterr().err


def test_a_model_that_is_not_there_is_said_at_once(tmp_path, capsys):
    arguments = flags(tmp_path)
    arguments[1] = f"--model-dir={tmp_path}/none"
    assert main(arguments) == 1
    assert f"--model-dir: '{tmp_path}/none' is not a SavedModel" in capsys.readouterr().err
    arguments[1] = f"--model-base={tmp_path}"
    assert main(arguments) == 1
    assert f"--model-base: '{tmp_path}' holds no version" in capsys.readouterr().err
    assert main(["watch", "--input-paths=in/*", "--output-path=out"]) == 2
    assert "--model-dir: This field is required." in capsys.readouterr().err


def test_the_page_has_every_flag_that_is_its_own():
    _, commands = build()
    flags = set(commands["watch"].flags()) - set(commands["predict"].flags())
    with open(os.path.join(support.ROOT, "docs", "watching.md")) as file:
        text = file.read()
    assert [flag for flag in sorted(flags) if f"`{flag}`" not in text] == []
