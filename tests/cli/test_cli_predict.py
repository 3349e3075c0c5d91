"""`batchpredict predict` as its users run it: real processes, real terminals, real signals."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import pty
import random
import re
import select
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest
import support
from support import ROWS, alive, command, flags, run_cli, wait_until, workers_of

# What the README tells a new user to run.
MAIN = [
    "predict",
    "--model-dir", "testdata/digits/model",
    "--input-paths", "testdata/digits/text/*",
    "--data-format", "TEXT",
]  # fmt: skip


def test_the_main_command_then_the_same_again(out):
    found = run_cli(*MAIN, "--output-path", out, cwd=support.ROOT)
    assert found.returncode == 0, found.stderr
    output = json.loads(found.stdout)
    node_hours = output.pop("nodeHours")
    assert output == {"outputPath": out, "predictionCount": "1797", "errorCount": "0"}
    assert isinstance(node_hours, float)
    assert 0 < node_hours < 0.1
    assert "Traceback" not in found.stderr

    with open(support.digits("labels.json")) as file:
        labels = json.load(file)
    predicted = [one["digit"] for one in support.results(out)]
    assert len(predicted) == ROWS
    assert np.mean(np.equal(predicted, labels)) > 0.95

    before = support.published(out)
    code = (
        "import sys; from batchpredict.cli import main; status = main(sys.argv[1:]);"
        "heavy = [name for name in ('tensorflow', 'apache_beam') if name in sys.modules];"
        "sys.exit(status or (f'imported {heavy}' if heavy else 0))"
    )
    started = time.monotonic()
    again = subprocess.run(
        [sys.executable, "-c", code, *MAIN, "--output-path", out],
        cwd=support.ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert again.returncode == 0, again.stderr
    assert time.monotonic() - started < 3
    assert again.stdout == found.stdout
    assert support.published(out) == before


def test_a_job_file_with_flags_over_it_and_logs_as_json(tmp_path, out):
    source = support.write(tmp_path / "in.json", ['{"id": 7, "x": 1}', "bad", '{"id": 9, "x": 3}'])
    document = support.job(support.model("refuses_all"), "nowhere/*", out, "TF_RECORD", batchSize="2")
    document["predictionInput"]["instanceConfig"] = {"keyField": "none"}
    job = support.write_json(tmp_path / "job.json", document)
    found = run_cli(
        "predict", f"--job={job}", f"--model-dir={support.model('double')}", f"--input-paths={source}",
        "--data-format=text", "--key-field=id", "--json-logs", "--max-errors=1",
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    assert support.counts(json.loads(found.stdout)) == (2, 1)
    assert support.results(out) == [{"id": 7, "y": 2.0}, {"id": 9, "y": 6.0}]
    for line in found.stderr.splitlines():
        assert {"time", "severity", "message"} <= set(json.loads(line))

    # Another job into the same folder: its failure is a JSON line too.
    found = run_cli("predict", f"--job={job}", f"--input-paths={source}", "--json-logs")
    assert found.returncode == 1
    (line,) = map(json.loads, found.stderr.splitlines())
    assert line["severity"] == "ERROR"
    assert "holds the results of another job" in line["message"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"])


def test_quiet_says_nothing(tmp_path, out):
    document = support.job(support.model("double"), support.write(tmp_path / "in", "1\nbad\n"), out)
    found = run_cli(*flags(document), "--quiet")
    assert (found.returncode, found.stderr) == (0, "")
    assert support.counts(json.loads(found.stdout)) == (1, 1)


def test_a_terminal_shows_a_bar(tmp_path, out):
    source = support.write(tmp_path / "in.json", ["1", "bad", "3"])
    document = support.job(support.model("double"), source, out)
    ours, theirs = pty.openpty()
    shown = b""
    with subprocess.Popen(
        command(*flags(document)),
        stdout=subprocess.PIPE,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "120"},
    ) as process:
        os.close(theirs)
        # The other end is gone when the process has ended; Linux says so with an error.
        with contextlib.suppress(OSError):
            while select.select([ours], [], [], 60)[0] and (piece := os.read(ours, 65536)):
                shown += piece
        assert process.stdout is not None
        stdout = process.stdout.read()
    os.close(ours)
    assert process.returncode == 0
    assert support.counts(json.loads(stdout)) == (2, 1)
    text = shown.decode()
    assert "loading the model" in text
    assert "%" in text
    assert re.search(r"\d records, \d errors, 1 worker", text)
    assert "Traceback" not in text


# Stopping ---------------------------------------------------------------------------------------------------------


SLOW_ROWS = 12_000


@pytest.fixture(scope="module")
def slow_source(tmp_path_factory) -> str:
    """Rows for the slow model: some seconds of work, in 60 splits of 200 rows."""
    rng = random.Random(3)
    path = tmp_path_factory.mktemp("slow") / "rows.tfrecord"
    rows = ([rng.uniform(-1, 1) for _ in range(16)] for _ in range(SLOW_ROWS))
    frames = (support.frame(support.example(row)) for row in rows)
    return support.write(path, b"".join(frames))


def slow(source: str, output: str, rows: int = SLOW_ROWS, splits: int = 60) -> support.Document:
    size = os.path.getsize(source) // rows * (rows // splits)
    return support.job(
        support.model("stateful_free_slow"), source, output, "TF_RECORD",
        batchSize="8", splitBytes=str(size), maxWorkerCount="2",
    )  # fmt: skip


@pytest.fixture(scope="module")
def undisturbed(slow_source, tmp_path_factory) -> dict[str, bytes]:
    output = str(tmp_path_factory.mktemp("undisturbed") / "out")
    found = run_cli(*flags(slow(slow_source, output)))
    assert found.returncode == 0, found.stderr
    assert support.counts(json.loads(found.stdout)) == (SLOW_ROWS, 0)
    return support.published(output)


@contextlib.contextmanager
def started(document: support.Document):
    """A job in a process group of its own, and the workers that it ever had; none outlives the test."""
    process = subprocess.Popen(
        command(*flags(document)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        workers = workers_of(process.pid)
        process.kill()
        for worker in workers:
            with contextlib.suppress(psutil.NoSuchProcess):
                worker.kill()
        process.communicate()


def committed(document: support.Document) -> int:
    _, staging = support.planned(document)
    return len(support.committed(staging))


def until_committed(process, document: support.Document, splits: int) -> None:
    def reached() -> bool:
        assert process.poll() is None, process.communicate()
        return committed(document) >= splits

    wait_until(reached, what=f"{splits} committed splits")


@pytest.mark.long
@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.long)]
)
def test_a_stopped_job_ends_soon_keeps_what_it_has_and_goes_on(number, status, slow_source, undisturbed, out):
    document = slow(slow_source, out)
    with started(document) as process:
        until_committed(process, document, 3)
        workers = workers_of(process.pid)
        assert workers
        began = time.monotonic()
        os.killpg(process.pid, number)
        stdout, stderr = process.communicate(timeout=20)
        assert time.monotonic() - began < 5
    assert process.returncode == status
    assert stdout == ""
    said = re.search(r"stopped; (\d+) of 60 splits are committed and kept\. Run the same command again", stderr)
    assert said, stderr
    assert "Traceback" not in stderr
    assert alive(workers) == []
    kept = committed(document)
    assert 3 <= int(said[1]) <= kept < 60
    assert support.names(out) == []

    if number == signal.SIGTERM:
        # What follows is the same, and takes its time.
        return
    found = run_cli(*flags(document))
    assert found.returncode == 0, found.stderr
    assert f"resuming: {kept} of 60 splits are committed already" in found.stderr
    assert support.counts(json.loads(found.stdout)) == (SLOW_ROWS, 0)
    assert support.published(out) == undisturbed


def test_stopping_before_anything_is_scored(slow_source, out):
    document = slow(slow_source, out)
    with started(document) as process:
        workers = wait_until(lambda: workers_of(process.pid), what="a worker")
        os.killpg(process.pid, signal.SIGINT)
        _, stderr = process.communicate(timeout=5)
    assert process.returncode == 130
    assert "stopped; " in stderr
    wait_until(lambda: not alive(workers), 2, "the end of the workers")


def test_workers_end_with_a_driver_that_was_killed(slow_source, out):
    document = slow(slow_source, out)
    with started(document) as process:
        until_committed(process, document, 1)
        workers = workers_of(process.pid)
        assert len(workers) == 2
        process.kill()
        wait_until(lambda: not alive(workers), 2, "the end of the workers")


@pytest.mark.long
def test_kill_9_at_random_moments_changes_no_byte(slow_source, undisturbed, out):
    """20 and more kills of workers and drivers, spread over the job by how far it is; then a last run."""
    rng = random.Random(20)
    document = slow(slow_source, out)
    killed = {"driver": 0, "worker": 0}
    runs = 0

    def ready(process, goal):
        return process.poll() is not None or (committed(document) >= goal and workers_of(process.pid))

    while sum(killed.values()) < 22:
        runs += 1
        assert runs < 25, f"the kills go nowhere: {killed}"
        with started(document) as process:
            if rng.random() < 0.3:
                # In the middle of the start: before there is a worker, or while it loads.
                time.sleep(rng.uniform(0.1, 3))
            else:
                # A share of what is left, so that the job is never done before the last kill.
                done = committed(document)
                for share in sorted(rng.uniform(0, 0.12) for _ in range(3)):
                    goal = done + share * (60 - done)
                    wait_until(functools.partial(ready, process, goal), what=f"{goal} committed splits")
                    time.sleep(rng.uniform(0, 0.2))
                    workers = workers_of(process.pid)
                    if workers:
                        with contextlib.suppress(psutil.NoSuchProcess):
                            rng.choice(workers).kill()
                            killed["worker"] += 1
                time.sleep(rng.uniform(0, 0.5))
            if process.poll() is None:
                process.kill()
                killed["driver"] += 1
            assert process.wait() in (-9, 1), "the job was done before the last kill"
        assert support.names(out) == []
    assert killed["driver"] >= 5
    assert killed["worker"] >= 5
    assert committed(document) < 60

    found = run_cli(*flags(document))
    assert found.returncode == 0, found.stderr
    assert support.counts(json.loads(found.stdout)) == (SLOW_ROWS, 0)
    assert support.published(out) == undisturbed
