"""The command, whole and killed, and the Python call."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from typing import Any

import pytest
import support
from again import REFUSES_NEGATIVE, again, prepared

import batchpredict
from batchpredict import storage
from batchpredict.scoring.task import Task


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> str:
    """The output folder of a job in which half of the records failed, by the hundred."""
    folder = tmp_path_factory.mktemp("finished")
    rows = [json.dumps({"x": -number if number % 200 >= 100 else number}) for number in range(6000)]
    path = support.write(folder / "in.json", rows)
    document = support.job(REFUSES_NEGATIVE, path, str(folder / "out"), splitBytes=5000, batchSize=4)
    assert support.counts(support.score_in_process(document)) == (3000, 3000)
    return str(folder / "out")


@pytest.mark.parametrize("merge", [False, True])
def test_a_job_over_errors_goes_on_where_it_was(finished, tmp_path, lenient_rows, merge):
    wishes: dict[str, Any] = {"merge": merge, "uri": lenient_rows}
    expected = again(finished, tmp_path / "whole", **wishes)
    ready = prepared(finished, tmp_path / "again", **wishes)
    splits = list(support.todo(ready))
    predict = support.predictor_of(ready)
    for split in splits[1::2]:
        predict(Task(split))
    # Another process finds the same plan, and what was committed of it.
    ready = prepared(finished, tmp_path / "again", **wishes)
    assert list(support.todo(ready)) == splits[::2]
    output = again(finished, tmp_path / "again", **wishes)
    assert support.counts(output) == support.counts(expected)
    assert support.published(str(tmp_path / "again")) == support.published(str(tmp_path / "whole"))
    assert support.counts(again(finished, tmp_path / "again", **wishes)) == support.counts(expected)


@pytest.mark.parametrize("merge", [False, True])
def test_a_part_that_is_lost_is_scored_again(finished, tmp_path, lenient_rows, merge):
    """From its plan: a manifest does not say which records were selected."""
    wishes: dict[str, Any] = {"merge": merge, "uri": lenient_rows}
    expected = again(finished, tmp_path / "whole", **wishes)
    ready = prepared(finished, tmp_path / "again", **wishes)
    predict = support.predictor_of(ready)
    for split in support.todo(ready):
        predict(Task(split))
    parts = storage.list_names(ready.staging.parts)
    os.unlink(os.path.join(ready.staging.parts, parts[2]))
    output = support.publish_prepared(ready, predict)
    assert support.counts(output) == support.counts(expected)
    assert support.published(str(tmp_path / "again")) == support.published(str(tmp_path / "whole"))


def test_the_python_call(finished, tmp_path, lenient_rows):
    wanted = {"predictionInput": {"outputPath": str(tmp_path / "again"), "uri": lenient_rows}}
    output = batchpredict.predict(wanted, only_errors_of=finished, merge=True, workers=1)
    assert support.counts(output) == (6000, 0)


def _command(finished: str, output: str, *more: str) -> list[str]:
    return ["predict", "--only-errors-of", finished, "--output-path", output, *more]


@pytest.mark.long
@pytest.mark.parametrize("more", [[], ["--merge"]], ids=["apart", "merged"])
def test_killed_again_and_again_it_loses_nothing(finished, tmp_path, lenient_rows, more):
    output = str(tmp_path / "again")
    arguments = [*_command(finished, output, "--model-dir", lenient_rows, "--batch-size", "1"), *more]
    committed = 0
    for number in range(3):
        process = subprocess.Popen(
            support.command(*arguments, "--quiet", "--max-worker-count", "2"),
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        before = committed
        support.wait_until(lambda: _committed(output) > before, 60, f"progress in round {number}")  # noqa: B023
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        committed = _committed(output)
        assert not os.path.exists(os.path.join(output, "_SUCCESS"))
    finished_run = support.run_cli(*arguments)
    assert finished_run.returncode == 0, finished_run.stderr
    assert support.counts(json.loads(finished_run.stdout)) == ((6000, 0) if more else (3000, 0))
    expected = again(finished, tmp_path / "whole", uri=lenient_rows, batchSize=1, merge=bool(more))
    assert support.published(output) == support.published(str(tmp_path / "whole"))
    assert support.counts(expected) == ((6000, 0) if more else (3000, 0))


@pytest.mark.long
def test_a_record_that_crashes_the_model_is_named_by_its_place_in_the_file(tmp_path):
    rows = [json.dumps({"x": 666 if n == 201 else n}) for n in range(300)]
    path = support.write(tmp_path / "in.json", rows)
    document = support.job(support.model("refuses_all"), path, str(tmp_path / "out"), batchSize=8)
    assert support.counts(support.score_in_process(document)) == (0, 300)
    output = str(tmp_path / "again")
    run = support.run_cli(*_command(str(tmp_path / "out"), output, "--model-dir", support.model("crashes")))
    assert run.returncode == 0, run.stderr
    assert support.counts(json.loads(run.stdout)) == (299, 1)
    (error,) = support.errors(output)
    known = support.errors(str(tmp_path / "out"))[201]
    assert (error["index"], error["line"], error["offset"]) == (201, 202, known["offset"])
    assert "crash" in error["message"]


def test_a_budget_is_of_what_is_scored(finished, tmp_path):
    run = support.run_cli(*_command(finished, str(tmp_path / "again"), "--max-errors", "10", "--quiet"))
    assert run.returncode == 1
    assert "More errors than maxErrors (10) allows" in run.stderr


def _committed(output: str) -> int:
    """How many splits are committed."""
    folders = os.walk(os.path.join(output, "_batchpredict"))
    return sum(len(names) for folder, _, names in folders if os.path.basename(folder) == "manifests")


def test_the_command(finished, tmp_path, lenient_rows):
    output = str(tmp_path / "again")
    run = support.run_cli(*_command(finished, output, "--model-dir", lenient_rows))
    assert run.returncode == 0, run.stderr
    assert support.counts(json.loads(run.stdout)) == (3000, 0)
    assert support.results(output)[0]["source"] == support.errors(finished)[0]["source"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (
            ["--input-paths", "x"],
            "--input-paths: --only-errors-of says which records are scored",
        ),
        (["--job", "job.json"], "--job: --only-errors-of says which records are scored; give one of the two."),
        (["--data-format", "PARQUET"], "--data-format: The records that are scored again are those of"),
        (["--only-errors-of", "nowhere"], "--only-errors-of: there is no folder 'nowhere'."),
    ],
)
def test_what_the_command_refuses(finished, tmp_path, more, said):
    support.write_json(str(tmp_path / "job.json"), {"jobId": "one", "predictionInput": {}})
    run = support.run_cli(*_command(finished, "again", *more), cwd=str(tmp_path))
    assert run.returncode == 2
    assert said in run.stderr
    assert not os.path.exists(tmp_path / "again")


def test_merge_alone_is_refused():
    run = support.run_cli("predict", "--merge", "--output-path", "again")
    assert run.returncode == 2
    assert "--merge: only results of records that had failed are merged; name --only-errors-of." in run.stderr
