"""Whether a program hangs at its start."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from batchpredict.training.replica import STARTUP_SECONDS, Startup, computed


class Processor:
    """Counts what it is told that a program has used."""

    def __init__(self, *used: float | None) -> None:
        self.used = list(used)

    def __call__(self) -> float | None:
        return self.used.pop(0)


def judged(startup: Startup) -> list[bool]:
    """What is said of it, every ten seconds, from the beginning and well beyond."""
    return [startup.hangs(now) for now in range(0, int(2 * STARTUP_SECONDS), 10)]


def test_who_says_nothing_and_does_nothing_hangs():
    # Its imports took five seconds of processor.
    startup = Startup(0.0, Processor(5.0, 5.01))
    found = judged(startup)
    assert found.index(True) * 10 == STARTUP_SECONDS
    assert found.count(True) == 1, "it is said once"
    assert startup.silent


def test_who_computes_does_not():
    assert not any(judged(Startup(0.0, Processor(5.0, 6.0))))


def test_who_has_written_a_line_is_not_asked_any_more():
    startup = Startup(0.0, Processor())
    startup.wrote()
    assert not any(judged(startup))
    assert not startup.silent


def test_who_writes_late_does_not():
    startup = Startup(0.0, Processor(5.0))
    assert not startup.hangs(STARTUP_SECONDS / 2)
    startup.wrote()
    assert not startup.hangs(STARTUP_SECONDS + 1)


@pytest.mark.parametrize("used", [(None,), (5.0, None)])
def test_where_nobody_counts_nobody_hangs(used):
    assert not any(judged(Startup(0.0, Processor(*used))))


def test_what_was_used_is_that_of_all_below():
    program = """
import os, time
if os.fork() == 0:
    while time.process_time() < 0.3:
        pass
    print("used", flush=True)
time.sleep(60)
"""
    command = [sys.executable, "-S", "-c", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "used\n"
        used = computed(process.pid)
        assert used is not None
        assert used >= 0.29
        time.sleep(0.1)
        assert computed(process.pid) == used
        os.killpg(process.pid, signal.SIGKILL)
    assert computed(None) is None
    assert computed(2**22 + 1) is None
    assert computed(os.getpid()) is not None
