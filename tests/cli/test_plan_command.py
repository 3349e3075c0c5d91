"""`batchpredict plan` as its users run it: what it says of a job, and that it leaves nothing behind."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import tempfile
import time
from typing import Any

import psutil
import pytest
import support
from support import run_cli, wait_until

from batchpredict.cli import main
from batchpredict.cli.plan_table import show

LINES = 600


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> str:
    return str(tmp_path_factory.mktemp("planned"))


@pytest.fixture(scope="module")
def document(folder) -> support.Document:
    """A job over three files, of whose records one in ten is bad."""
    lines = ["bad" if number % 10 == 5 else str(1000 + number) for number in range(LINES)]
    for part in range(3):
        support.write(os.path.join(folder, "in", f"{part}.json"), lines[part::3])
    return support.job(
        support.model("double"), os.path.join(folder, "in", "*"), os.path.join(folder, "out"), maxErrors="1%"
    )


def tree(folder: str) -> list[tuple[str, int, float]]:
    """Every file and folder, with size and time of its last change."""
    found = []
    for path, _, names in os.walk(folder):
        for name in ("", *names):
            state = os.stat(os.path.join(path, name))
            found.append((os.path.join(path, name), state.st_size, state.st_mtime))
    return sorted(found)


def scratch() -> set[str]:
    return {name for name in os.listdir(tempfile.gettempdir()) if name.startswith("batchpredict-plan-")}


@pytest.fixture(scope="module")
def planned(folder, document) -> Any:
    """The command run once, with what it left behind looked at."""
    job = support.write_json(os.path.join(folder, "job.json"), document)
    before = tree(folder), scratch()
    found = run_cli(
        "plan", f"--job={job}", "--sample=200", "--workers=1,50", "--price-per-node-hour=0.12", "--format=json"
    )
    assert found.returncode == 0, found.stderr
    assert (tree(folder), scratch()) == before
    return json.loads(found.stdout), found.stderr


def test_what_the_job_is(planned, document):
    said, _ = planned
    plan, _ = support.planned(document)
    source = said["input"]
    assert (source["files"], source["bytes"], source["splits"]) == (3, plan.bytes, plan.splits)
    assert said["job"]["fingerprint"] == plan.fingerprint
    records = source["records"]
    assert records["low"] <= LINES <= records["high"]
    assert records["estimate"] == pytest.approx(LINES, rel=0.1)
    assert records["how"].startswith("by the mean size of ")


def test_errors_by_kind_with_an_example_and_the_verdict_on_the_budget(planned, folder):
    errors = planned[0]["errors"]
    share = errors["share"]
    assert share["low"] < 0.1 < share["high"]
    assert share["low"] > 0.02
    assert errors["records"]["estimate"] == pytest.approx(LINES / 10, rel=0.5)
    (kind,) = errors["kinds"]
    assert kind["code"] == "INVALID_INPUTS"
    assert kind["failed"] == errors["failed"]
    example = kind["example"]
    assert example["instance"] == "bad"
    with open(example["source"], "rb") as file:
        file.seek(example["offset"])
        assert file.readline() == b"bad\n"
    assert (errors["maxErrors"], errors["budget"]) == ("1%", "would be spent")


def test_what_comes_out_of_it(planned):
    output = planned[0]["output"]
    assert output["fields"] == [{"name": "y", "dtype": "float32", "shape": []}]
    # {"y":1234.0} and a newline for nine in ten.
    assert output["bytes"]["estimate"] == pytest.approx(0.9 * LINES * 13, rel=0.1)
    assert (output["refusal"], output["writable"], output["committedSplits"]) == (None, True, 0)


def test_how_fast_it_is_and_why(planned):
    said = planned[0]
    for speed in said["speed"]:
        assert speed["recordsPerSecond"] > 100
        assert sum(stage["share"] for stage in speed["stages"].values()) == pytest.approx(1, abs=0.01)
        assert speed["stages"][speed["bottleneck"]]["share"] == max(
            one["share"] for one in speed["stages"].values()
        )
        assert speed["peakMemoryBytesPerWorker"] > 100 << 20
    sizes = said["batchSizes"]["tried"]
    assert [one["batchSize"] for one in sizes] == [2**at for at in range(len(sizes))]
    assert said["batchSizes"]["enough"] in sizes
    assert sizes[-1]["batchSize"] <= LINES * 1.1


def test_time_node_hours_and_cost_by_workers(planned):
    forecasts = planned[0]["forecasts"]
    assert [one["workers"] for one in forecasts] == [1, 50]
    splits = planned[0]["input"]["splits"]
    assert forecasts[1]["workersUsed"] == min(50, splits)
    for one in forecasts:
        elapsed = one["elapsedSeconds"]
        assert 0 < elapsed["low"] <= elapsed["estimate"] <= elapsed["high"] < 60
        assert one["cost"]["estimate"] == pytest.approx(0.12 * one["nodeHours"]["estimate"], rel=1e-3)


def test_progress_is_told_on_stderr(planned):
    assert planned[1].splitlines()[0] == "planning …"
    assert "sampling 200 records at 4 places …" in planned[1]


def fields(value: Any) -> set[str]:
    """The names of all fields of a document."""
    if isinstance(value, list):
        return set().union(*map(fields, value))
    return set(value).union(*map(fields, value.values())) if isinstance(value, dict) else set()


def test_every_field_is_in_the_documentation(planned):
    with open(os.path.join(support.ROOT, "docs", "planning.md")) as file:
        text = file.read()
    assert [name for name in sorted(fields(planned[0])) if not re.search(rf"[`\"]{name}[`\"]", text)] == []


def test_people_get_a_table(planned, capsys):
    show(planned[0])
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    titles = [line.split()[0] for line in shown.splitlines() if line and not line.startswith(" ")]
    assert titles == ["job", "records", "errors", "output", "speed", "batch", "time"]
    for text in (
        "3 files, ", " x INVALID_INPUTS: ", "maxErrors 1% would be spent", "a result has y float32",
        "< takes most", "node hours", "cost",
    ):  # fmt: skip
        assert text in shown


@pytest.mark.parametrize(
    ("enough", "said"),
    [(0, "a doubling gains less than 5 %"), (-1, "is the fastest of those that were tried")],
)
def test_people_are_told_of_the_batch_that_is_enough(planned, capsys, enough, said):
    # Which one that is, a busy machine decides anew.
    sizes = planned[0]["batchSizes"]
    first = sizes["tried"][0]
    tried = [first, {**first, "batchSize": first["batchSize"] * 2}]
    sizes = {**sizes, "tried": tried, "enough": tried[enough], "modelEnough": first}
    show({**planned[0], "batchSizes": sizes})
    assert said in capsys.readouterr().out


# Refusals: in the words of `predict`, and before anything is started --------------------------------------------


@pytest.fixture
def both(capsys):
    """What `plan` and `predict` say of a job on stderr, without the names of the commands."""
    handler = signal.getsignal(signal.SIGTERM)

    def run(*arguments: str) -> tuple[str, str]:
        said = []
        for command in ("plan", "predict"):
            status = main([command, *arguments])
            out, err = capsys.readouterr()
            assert out == ""
            assert status == (1 if " the job " in err else 2)
            said.append(err.splitlines()[-1].replace(f"batchpredict {command}", "batchpredict"))
        return said[0].replace("would fail", "failed"), said[1]

    yield run
    # Both commands answer to it.
    signal.signal(signal.SIGTERM, handler)


def test_an_input_that_is_not_there(both, tmp_path, out):
    plan, predict = both(*support.flags(support.job(support.model("double"), str(tmp_path / "no*"), out))[1:])
    assert plan == predict
    assert "inputPaths" in plan or "--input-paths" in plan
    assert not os.path.exists(out)


@pytest.mark.parametrize(
    "text", ["{", '{"jobId": "j", "predictionInput": {}}', '{"jobId": "j", "trainingInput": {}}'], ids=len
)
def test_a_job_file_that_is_wrong(both, tmp_path, text):
    plan, predict = both(f"--job={support.write(tmp_path / 'job.json', text)}")
    assert plan == predict


def test_a_model_that_is_not_there(both, tmp_path, out):
    source = support.write(tmp_path / "in.json", "1\n")
    plan, predict = both(*support.flags(support.job(str(tmp_path / "none"), source, out))[1:])
    assert plan == predict


@pytest.mark.long
@pytest.mark.parametrize("model", ["not_a_model", "no_signatures"])
def test_a_model_that_does_not_load(both, tmp_path, out, model):
    source = support.write(tmp_path / "in.json", "1\n")
    plan, predict = both(*support.flags(support.job(support.model(model), source, out))[1:])
    assert plan == predict
    assert "cannot be loaded" in plan or "No signature" in plan


@pytest.mark.parametrize(
    ("flag", "said"),
    [
        ("--sample=0", "'0' is no number above 0"),
        ("--sample=1000000000", "'1000000000' is above 999999999, the most that is taken"),
        ("--workers=1,x", "'x' is no number above 0"),
        ("--workers=,", "',' is no list of numbers"),
        ("--price-per-node-hour=-1", "'-1' is no price"),
        ("--runner=Direct", "Direct"),
    ],
)
def test_a_flag_that_is_wrong(flag, said, tmp_path, out, capsys):
    found = support.run_here(capsys, "plan", *support.flags(support.job("m", str(tmp_path), out))[1:], flag)
    assert (found.returncode, found.stdout) == (2, "")
    assert said in found.stderr


@pytest.mark.long
def test_results_of_another_job_are_said_and_the_plan_is_made_all_the_same(tmp_path, out):
    source = support.write(tmp_path / "in.json", ["1", "2"])
    support.score_in_process(support.job(support.model("double"), source, out))
    before = tree(out)
    other = support.flags(support.job(support.model("refuses_negative"), source, out))[1:]
    found = run_cli("plan", *other, "--sample=50", "--quiet")
    assert found.returncode == 1
    (line,) = found.stderr.splitlines()
    assert line.startswith(
        f"batchpredict plan: predict would fail: outputPath: '{out}' holds the results of another"
    )
    assert f"predict would fail: outputPath: '{out}'" in found.stdout
    assert "all of them were read" in found.stdout
    assert tree(out) == before
    found = run_cli("plan", *other, "--sample=50", "--quiet", "--overwrite")
    assert (found.returncode, found.stderr) == (0, "")


@pytest.mark.long
def test_a_record_that_kills_the_process_is_one_of_the_errors(tmp_path, out):
    source = support.write(tmp_path / "in.json", ["1", "666", "2"])
    found = run_cli("plan", *support.flags(support.job(support.model("crashes"), source, out))[1:], "--format=json")
    assert found.returncode == 0, found.stderr
    said = json.loads(found.stdout)
    (kind,) = said["errors"]["kinds"]
    # Once in the sample, and where the speed is measured whenever its split is scored.
    assert kind["failed"] >= 1
    assert kind["example"]["instance"] == "666"
    assert said["batchSizes"]["stopped"].startswith("a batch of ")


@pytest.mark.long
def test_a_job_of_no_records(tmp_path, out):
    source = support.write(tmp_path / "in.json", "")
    found = run_cli("plan", *support.flags(support.job(support.model("double"), source, out))[1:])
    assert found.returncode == 0, found.stderr
    assert "nothing was sampled" in found.stdout
    assert not os.path.exists(out)


@pytest.mark.long
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_and_nothing_stays(document, number, status):
    before = scratch()
    with subprocess.Popen(
        support.command("plan", *support.flags(document)[1:]),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        wait_until(lambda: psutil.Process(process.pid).children(), what="a worker")
        time.sleep(1)
        children = psutil.Process(process.pid).children()
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
    assert process.returncode == status, said
    assert "Traceback" not in said
    wait_until(lambda: not support.alive(children), what="the end of the workers")
    assert scratch() == before
