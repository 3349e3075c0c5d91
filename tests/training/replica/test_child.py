"""A user process and what is left of it: real processes, and signals that kill."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence

import psutil
import pytest

from batchpredict.training.replica import Child

SECONDS = 30.0

Start = Callable[..., tuple[Child, list[tuple[str, str]]]]


@pytest.fixture
def start(tmp_path: object) -> Iterator[Start]:
    """Start a Python program; its child, and the lines that it writes."""
    children: list[Child] = []

    def begin(program: str, *, command: Sequence[str] = ()) -> tuple[Child, list[tuple[str, str]]]:
        lines: list[tuple[str, str]] = []
        run = command or [sys.executable, "-I", "-S", "-c", program]
        env = {"PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1"}
        child = Child.start(run, env, str(tmp_path), lambda stream, line: lines.append((stream, line)))
        children.append(child)
        return child, lines

    yield begin
    for child in children:
        child.end(0)


def until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def gone(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


# A program that starts one that leaves its group and its session, and says both numbers.
FAMILY = """
import os, sys, time
child = os.fork()
if child == 0:
    os.setsid()
    time.sleep(1000)
print(os.getpid(), child, flush=True)
time.sleep(1000)
"""


def family(lines: list[tuple[str, str]]) -> list[int]:
    until(lambda: lines, "the program says who is there")
    return [int(number) for number in lines[0][1].split()]


def test_output_is_handed_on_by_stream_and_the_status_is_known(start: Start) -> None:
    child, lines = start(
        "import sys; print('one'); print('two', file=sys.stderr); print('three', end=''); sys.exit(7)"
    )
    assert child.wait(SECONDS) == 7
    assert sorted(lines) == [("stderr", "two"), ("stdout", "one"), ("stdout", "three")]
    assert child.last_lines == ["two"]
    assert child.poll() == 7


def test_it_runs_where_it_is_told_to_with_nothing_to_read(start: Start, tmp_path: object) -> None:
    child, lines = start("import os, sys; print(os.getcwd(), repr(sys.stdin.read()))")
    assert child.wait(SECONDS) == 0
    assert lines == [("stdout", f"{tmp_path} ''")]


def test_it_gets_its_environment_and_no_other(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "1")
    child, lines = start("import os; print(sorted(set(os.environ) - {'LC_CTYPE'}))")
    assert child.wait(SECONDS) == 0
    assert lines == [("stdout", "['PATH', 'PYTHONUNBUFFERED']")]


def test_a_program_that_is_not_there_is_an_end_with_a_reason(start: Start) -> None:
    child, lines = start("", command=["/no/such/program"])
    assert child.wait(SECONDS) == 127
    ((stream, line),) = lines
    assert stream == "stderr"
    assert line.startswith("The program cannot be started: [Errno 2] No such file or directory")
    assert child.last_lines == [line]


def test_a_program_takes_arguments_of_more_than_one_argument_may_have(start: Start) -> None:
    words = [str(number) * 1000 for number in range(100)]
    command = [sys.executable, "-I", "-S", "-c", "import sys; print(sum(map(len, sys.argv[1:])))", *words]
    child, lines = start("", command=command)
    assert child.wait(SECONDS) == 0
    assert lines == [("stdout", str(sum(map(len, words))))]


def test_a_signal_is_a_status_below_zero(start: Start) -> None:
    child, _ = start("import os; os.kill(os.getpid(), 6)")
    assert child.wait(SECONDS) == -signal.SIGABRT


def test_signals_do_to_a_program_what_they_do_in_a_shell(start: Start) -> None:
    # Python itself ignores SIGPIPE, so a shell is asked what it was started with.
    child, lines = start("", command=["/bin/sh", "-c", "trap; grep SigIgn /proc/self/status"])
    assert child.wait(SECONDS) == 0
    assert lines == [("stdout", "SigIgn:\t0000000000000000")]


def test_much_output_costs_no_memory_and_loses_no_line(start: Start) -> None:
    child, lines = start("import sys\nfor n in range(50000): sys.stdout.write(f'{n}\\n' * 2)")
    assert child.wait(SECONDS) == 0
    assert [line for _, line in lines] == [str(n) for n in range(50000) for _ in range(2)]


def test_a_log_that_fails_does_not_stop_the_program(tmp_path: object) -> None:
    def fails(stream: str, line: str) -> None:
        raise OSError("the disk is full")

    program = "print('x' * 80 + '\\n', end='') or [print('y' * 100) for _ in range(10000)]"
    child = Child.start([sys.executable, "-I", "-S", "-c", program], {}, str(tmp_path), fails)
    assert child.wait(SECONDS) == 0


def test_an_end_is_a_signal_to_the_group_first(start: Start) -> None:
    handler = "import signal, sys, time; signal.signal(15, lambda *_: sys.exit(3))"
    child, lines = start(f"{handler}; print('up', flush=True); time.sleep(99)")
    until(lambda: lines, "the program is up")
    child.end(SECONDS)
    assert child.poll() == 3


def test_who_is_ended_at_once_need_not_be_killed(start: Start) -> None:
    for _ in range(5):
        child, _ = start("import time; time.sleep(1000)")
        began = time.monotonic()
        child.end(SECONDS)
        assert child.poll() == -signal.SIGTERM
        assert time.monotonic() - began < SECONDS / 2


def test_who_ignores_the_signal_is_killed_with_all_it_started(start: Start) -> None:
    child, lines = start("import signal; signal.signal(15, signal.SIG_IGN)" + FAMILY)
    pids = family(lines)
    began = time.monotonic()
    child.end(0.2)
    assert child.poll() == -signal.SIGKILL
    assert time.monotonic() - began < 10
    assert all(gone(pid) for pid in pids)


def test_several_are_ended_at_once_without_waiting(start: Start) -> None:
    children = [start("import signal; signal.signal(15, signal.SIG_IGN)" + FAMILY) for _ in range(3)]
    for _, lines in children:
        family(lines)
    began = time.monotonic()
    for child, _ in children:
        child.end(0.5, wait=False)
    assert time.monotonic() - began < 0.4
    assert [child.wait(SECONDS) for child, _ in children] == [-signal.SIGKILL] * 3


def test_what_a_program_leaves_behind_at_its_end_is_killed(start: Start) -> None:
    child, lines = start(FAMILY.rstrip().removesuffix("time.sleep(1000)"))
    pids = family(lines)
    assert child.wait(SECONDS) == 0
    assert all(gone(pid) for pid in pids)


def test_kill_of_the_program_is_seen(start: Start) -> None:
    child, lines = start(FAMILY)
    pids = family(lines)
    assert child.pid == pids[0]
    os.kill(pids[0], signal.SIGKILL)
    assert child.wait(SECONDS) == -signal.SIGKILL
    assert all(gone(pid) for pid in pids)


def test_kill_of_the_guard_kills_the_program(start: Start) -> None:
    child, lines = start("import time; print('up', flush=True); time.sleep(1000)")
    until(lambda: lines and child.pid, "the program is up")
    assert child.pid is not None
    guard = psutil.Process(child.pid).ppid()
    os.kill(guard, signal.SIGKILL)
    assert child.wait(SECONDS) == -signal.SIGKILL
    until(lambda: gone(child.pid or 0), "the program is gone")


HOST = """
import os, sys, time
from batchpredict.training.replica import Child
command = [sys.executable, "-I", "-S", "-c", sys.argv[1]]
child = Child.start(command, {}, "/", lambda stream, line: print(line, flush=True))
if "keep" in sys.argv:
    child.keep(1.0)
time.sleep(1000)
"""


@contextlib.contextmanager
def host(*args: str) -> Iterator[tuple[subprocess.Popen[str], list[int]]]:
    """Another process that has a child; it, and the processes of the child."""
    process = subprocess.Popen([sys.executable, "-c", HOST, FAMILY, *args], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process, process.stdout:
        try:
            yield process, [int(number) for number in process.stdout.readline().split()]
        finally:
            process.kill()


def test_nothing_outlives_a_host_that_is_killed() -> None:
    with host() as (process, pids):
        assert len(pids) == 2
        process.kill()
        until(lambda: all(gone(pid) for pid in pids), "its processes are gone")


def test_nothing_outlives_the_time_that_a_stopped_host_gave_it() -> None:
    with host("keep") as (process, pids):
        assert len(pids) == 2
        process.send_signal(signal.SIGSTOP)
        until(lambda: all(gone(pid) for pid in pids), "its processes are gone")


def test_who_is_kept_again_goes_on(start: Start) -> None:
    child, lines = start(FAMILY)
    family(lines)
    child.keep(0.5)
    for _ in range(10):
        time.sleep(0.1)
        child.keep(5)
    assert child.poll() is None
    child.keep(None)
    child.end(0)


def test_a_child_outlives_the_thread_that_started_it(tmp_path: object) -> None:
    found: list[Child] = []

    def begin() -> None:
        command = [sys.executable, "-I", "-S", "-c", "import time; time.sleep(1.5)"]
        found.append(Child.start(command, {}, str(tmp_path), lambda stream, line: None))

    thread = threading.Thread(target=begin)
    thread.start()
    thread.join()
    assert found[0].wait(SECONDS) == 0
