"""One work from a shell: what is said, where, and the exit status."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
import support
from carrying import NO_WORK, Reporter, Runner, loose

from batchpredict.errors import InvalidJob, JobFailed, Violation, WrongFlag
from batchpredict.launch import carry, refuse, stopped_early

CARRYING = os.path.join(os.path.dirname(os.path.abspath(__file__)), "carrying.py")


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """`carry` is made for the end of a process; this one goes on."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def test_a_success_is_json_on_stdout_and_the_rest_on_stderr(capsys):
    runner = Runner()
    assert carry("prog", loose(runner), NO_WORK, Reporter(), remark=lambda outcome: "it is well") == 0
    said = capsys.readouterr()
    assert json.loads(said.out) == {"total": "3"}
    assert said.err.splitlines() == ["message: resuming: 1 of 4", "closed", "message: it is well"]
    assert runner.closed


def test_nothing_to_remark_is_not_said(capsys):
    assert carry("prog", loose(Runner()), NO_WORK, Reporter(), remark=lambda outcome: "") == 0
    assert capsys.readouterr().err.splitlines() == ["message: resuming: 1 of 4", "closed"]


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (JobFailed("outputPath: no"), 1, "the job failed: --output-path: no"),
        (
            InvalidJob([Violation("outputPath", "no")]),
            2,
            "the job failed: Field: --output-path Error: no",
        ),
        (WrongFlag("--x: no"), 2, "--x: no"),
        (
            OSError(5, "Input/output error"),
            1,
            "the job failed: What became of the job cannot be told: [Errno 5] Input/output error. What is "
            "committed is kept; run the same command again to go on from there, or to be told that it is done.",
        ),
    ],
)
def test_a_failure_is_one_line(error, status, line, capsys):
    def worded(message: str) -> str:
        return message.replace("outputPath", "--output-path")

    assert carry("prog", loose(Runner(error)), NO_WORK, Reporter(), worded=worded) == status
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines() == ["message: resuming: 1 of 4", f"error: prog: {line}", "closed"]


@contextlib.contextmanager
def carried(slow_error: float = 0.0) -> Iterator[subprocess.Popen[str]]:
    """A work that goes on in a process of its own, and has begun."""
    env = {**os.environ, "PYTHONPATH": support.ROOT}
    process = subprocess.Popen(
        [sys.executable, CARRYING, str(slow_error)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env,
    )  # fmt: skip
    try:
        assert process.stderr is not None
        assert process.stderr is not None
        assert process.stderr.readline() == "message: resuming: 1 of 4\n"
        assert process.stderr is not None
        assert process.stderr.readline() == "waited for\n"
        yield process
    finally:
        process.kill()
        process.communicate()


STOPPED = [
    "message: it is cancelled",
    "error: prog: stopped; 2 of 4 are kept. Run the same command again to go on.",
]


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_cancels_and_says_what_is_kept(number, status):
    with carried() as process:
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=20)
    assert (process.returncode, stdout) == (status, "cancelling\n")
    assert stderr.splitlines()[:2] == STOPPED


def test_a_second_ctrl_c_does_not_cut_the_last_word_short():
    with carried(slow_error=1.0) as process:
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        assert process.stderr.readline() == f"{STOPPED[0]}\n"
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=20)
    assert process.returncode == 130
    assert stderr.splitlines()[0] == STOPPED[1]


def test_a_wrong_call_is_refused_line_by_line(capsys):
    wrong = InvalidJob([Violation("a", "no"), Violation("b", "neither")])
    assert refuse("prog", wrong) == 2
    assert capsys.readouterr().err == "prog: Field: a Error: no\nprog: Field: b Error: neither\n"


def test_a_ctrl_c_before_there_is_a_work(capsys):
    assert stopped_early("prog") == 130
    assert capsys.readouterr().err == "prog: stopped; nothing was begun.\n"
