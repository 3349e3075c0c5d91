from __future__ import annotations

import pytest

from batchpredict.training.cluster import Replica
from batchpredict.training.replica import failure_sentence

MASTER = Replica.parse("master-0")
TRACEBACK = [
    "Traceback (most recent call last):",
    '  File "/site/trainer/task.py", line 3, in <module>',
    "    main()",
    "ValueError: no data in gs://b/in",
]


def test_the_sentence_is_the_services_with_the_traceback() -> None:
    tail = ["2026-01-01 10:00:00.1: I tensorflow/core/x.cc:1] hello", *TRACEBACK]
    assert failure_sentence(MASTER, 1, tail) == (
        "The replica master 0 exited with a non-zero status of 1. Termination reason: Error. "
        + "\n".join(TRACEBACK)
    )


def test_of_several_tracebacks_the_last_counts() -> None:
    tail = [
        *TRACEBACK,
        "",
        "During handling of the above exception, another exception occurred:",
        "",
        "Traceback (most recent call last):",
        '  File "a.py", line 1, in f',
        "KeyError: 'x'",
    ]
    assert failure_sentence(MASTER, 1, tail).endswith(
        "Error. Traceback (most recent call last):\n  File \"a.py\", line 1, in f\nKeyError: 'x'"
    )


def test_what_loggers_write_afterwards_is_left_out() -> None:
    tail = [*TRACEBACK, "Did you mean x?", "W0000 00:00:1 context.cc:1] shutting down", "2026-01-01 10:00 bye"]
    sentence = failure_sentence(MASTER, 1, tail)
    assert sentence.endswith("ValueError: no data in gs://b/in\nDid you mean x?")


def test_a_deep_traceback_keeps_its_head_and_its_end() -> None:
    frames = [text for n in range(40) for text in (f'  File "f{n}.py", line {n}, in f', f"    f({n})")]
    lines = failure_sentence(MASTER, 1, [TRACEBACK[0], *frames, "RecursionError: deep"]).split("\n")
    assert len(lines) == 20
    assert lines[1] == "  ..."
    assert lines[-2:] == ["    f(39)", "RecursionError: deep"]


def test_without_a_traceback_the_last_lines_are_given() -> None:
    sentence = failure_sentence(Replica.parse("worker-2"), 1, ["/bin/python: No module named trainer.tusk"])
    assert sentence == (
        "The replica worker 2 exited with a non-zero status of 1. Termination reason: Error. "
        "/bin/python: No module named trainer.tusk"
    )


def test_what_tensorflow_says_of_its_doings_is_no_reason() -> None:
    tail = [
        "F0000 00:00:1.5 7 x.cc:1] Check failed: a == b",
        "I0000 00:00:1.6 7 y.cc:1] Started server",
        "W0000 0:0 z",
    ]
    assert failure_sentence(MASTER, -6, tail).endswith("(SIGABRT). F0000 00:00:1.5 7 x.cc:1] Check failed: a == b")


@pytest.mark.parametrize("status", [-9, -15])
def test_a_kill_has_nothing_to_do_with_what_was_written_last(status: int) -> None:
    assert failure_sentence(MASTER, status, [*TRACEBACK, "}"]).endswith(").")


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (-9, "status of 137. Termination reason: Signal 9 (SIGKILL)."),
        (-11, "status of 139. Termination reason: Signal 11 (SIGSEGV)."),
        (-64, "status of 192. Termination reason: Signal 64 (SIGRTMAX)."),
        (-99, "status of 227. Termination reason: Signal 99."),
        (137, "status of 137. Termination reason: Error."),
        (3, "status of 3. Termination reason: Error."),
    ],
)
def test_a_silent_end_is_its_status(status: int, text: str) -> None:
    assert failure_sentence(MASTER, status, []) == f"The replica master 0 exited with a non-zero {text}"
