"""Jobs that take their time: who waits for them, who is told of them, and what outlasts what."""

from __future__ import annotations

import json
import os
import pty
import random
import re
import select
import signal
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import support
from remote_calls import prediction
from scripted_server import Answer, recording
from served import Served, serving

from batchpredict.cli import main

pytest.importorskip("fastapi", reason="pip install 'batchpredict[serve]'")


@pytest.fixture(scope="module")
def long_source(folder) -> str:
    """Rows for the slow model: minutes of work."""
    rng = random.Random(3)
    rows = [[rng.uniform(-1, 1) for _ in range(16)] for _ in range(500)]
    path = os.path.join(folder, "rows.tfrecord")
    return support.write(path, b"".join(support.frame(support.example(row)) for row in rows) * 400)


def long_job(job_id: str) -> list[str]:
    return [
        "jobs", "submit", "prediction", job_id, f"--model-dir={support.model('stateful_free_slow')}",
        "--input-paths=rows.tfrecord", "--data-format=tf-record", f"--output-path=out/{job_id}", "--batch-size=8",
    ]  # fmt: skip


def described(call: Any, job_id: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(call("jobs", "describe", job_id)[0])
    return found


@pytest.fixture
def begin(folder) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Begin a command in the user's folder; it ends with the test."""
    begun: list[subprocess.Popen[str]] = []

    def run(*arguments: str, cwd: str = folder) -> subprocess.Popen[str]:
        begun.append(
            subprocess.Popen(
                support.command(*arguments), cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
        )
        return begun[-1]

    yield run
    for process in begun:
        process.kill()
        process.communicate()


def lines_until(process: subprocess.Popen[str], part: str) -> list[str]:
    """What a command says on stderr, to the first line that has a part in it."""
    assert process.stderr is not None
    found = []
    for line in process.stderr:
        found.append(line)
        if part in line:
            return found
    raise AssertionError(f"'{part}' was not said:\n{''.join(found)}")


@pytest.mark.long
def test_on_a_terminal_the_progress_is_a_bar(call, folder, long_source):
    call(*long_job("shown"), "--quiet")
    ours, theirs = pty.openpty()
    waiting = subprocess.Popen(
        support.command("jobs", "wait", "shown"), cwd=folder, stdout=subprocess.DEVNULL, stderr=theirs
    )
    os.close(theirs)
    shown = b""
    try:
        while not re.search(rb"scoring.*\d+%.*\d records, 0 errors.*2 workers", shown):
            assert select.select([ours], [], [], 120)[0], shown
            shown += os.read(ours, 65536)
        waiting.send_signal(signal.SIGINT)
        assert waiting.wait(60) == 130
    finally:
        waiting.kill()
        waiting.wait()
        os.close(ours)
        call("jobs", "cancel", "shown")


@pytest.mark.long
def test_ctrl_c_ends_the_waiting_and_a_cancel_the_job(call, begin, long_source):
    waiting = begin(*long_job("long"), "--wait", "--json-logs")
    report = json.loads(lines_until(waiting, '"workers": 2')[-1])
    assert (report["message"], int(report["totalBytes"])) == ("progress", os.path.getsize(long_source))
    waiting.send_signal(signal.SIGINT)
    out, err = waiting.communicate(timeout=60)
    assert (waiting.returncode, out) == (130, "")
    assert err.splitlines()[-1] == (
        "batchpredict jobs submit prediction: stopped waiting; the job goes on. 'batchpredict jobs wait long' "
        "watches it, 'batchpredict jobs cancel long' ends it."
    )
    assert described(call, "long")["state"] == "RUNNING"

    waiting = begin("jobs", "wait", "long")
    call("jobs", "cancel", "long")
    _, err = waiting.communicate(timeout=120)
    assert waiting.returncode == 1
    said = "batchpredict jobs wait: the job was cancelled: The job was cancelled by a request."
    assert err.splitlines()[-1] == said
    assert described(call, "long")["state"] == "CANCELLED"
    _, err = call("jobs", "cancel", "long", status=1)
    assert err.startswith("batchpredict jobs cancel: ")
    assert len(err.splitlines()) == 1


@pytest.mark.long
def test_who_waits_outlasts_a_service_that_is_killed_and_started_again(begin, tmp_path):
    folder, roots = str(tmp_path), ("--root=.", f"--root={support.TESTDATA}", "--lease=2")
    support.write(os.path.join(folder, "in.json"), ['{"x": 1}'] * 3)
    first = Served(folder, ("--port=0", *roots), {})
    try:
        where = f"--endpoint={first.endpoint}"
        waiting = begin(*prediction("patient", "out", "--wait"), where, cwd=folder)
        assert lines_until(waiting, "patient is ")[0] == "patient was submitted\n"
    finally:
        first.kill()
    with serving(folder, f"--port={first.endpoint.rpartition(':')[2]}", *roots):
        out, err = waiting.communicate(timeout=200)
    assert waiting.returncode == 0, err
    assert support.counts(json.loads(out)) == (3, 0)


@pytest.mark.long
def test_a_webhook_is_told_of_each_state(folder, tmp_path, monkeypatch, capsys):
    secret = support.write(tmp_path / "key", "0123456789abcdef")
    allowed = {"BATCHPREDICT_WEBHOOK_SECRET_FILE": secret, "BATCHPREDICT_WEBHOOK_PRIVATE": "127.0.0.0/8"}
    support.write(tmp_path / "in.json", ['{"x": 1}'])
    monkeypatch.chdir(tmp_path)
    roots = ("--root=.", f"--root={support.TESTDATA}")
    with (
        recording(lambda asked: Answer()) as receiver,
        serving(str(tmp_path), "--webhook-host=127.0.0.1", *roots, environment=allowed) as served,
    ):
        where = f"--endpoint={served.endpoint}"
        assert main([*prediction("told", "out", f"--webhook={receiver.endpoint}/hook", "--wait"), where]) == 0
        support.wait_until(lambda: len(receiver.asked) >= 3, what=f"three posts: {receiver.lines}, {served.said}")
        assert main([*prediction("untold", "out", "--webhook=http://elsewhere.example/"), where]) == 2
    said = 'jobs submit prediction: --webhook: Webhooks may not be sent to "elsewhere.example"'
    assert said in capsys.readouterr().err
    posts = sorted(receiver.asked, key=lambda asked: int(asked.headers["webhook-id"]))
    assert [asked.body["state"] for asked in posts] == ["PREPARING", "RUNNING", "SUCCEEDED"]
    assert {asked.line for asked in posts} == {"POST /hook"}
    assert posts[-1].body["predictionOutput"]["predictionCount"] == "1"
    assert all(asked.headers["webhook-signature"].startswith("v1,") for asked in posts)
