"""The guard of a job process: whatever happens, nothing that the job started is left."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import pytest
import support
from service.worker_support import environment_with, eventually, processes_of

from batchpredict.service.worker.clock import clock
from batchpredict.service.worker.guard import Charge
from batchpredict.service.worker.leftovers import kill_marked

MARK = f"guard-test-{os.getpid()}/1"

# Starts a process that leaves its group, its session and its parent, as a daemon does, and says its number.
DAEMON = """
import os, subprocess, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(600)
    os._exit(0)
os.wait()
subprocess.Popen(["sleep", "600"], start_new_session=True)
print("ready", flush=True)
"""


class Guarded:
    """A guard with a job process that runs a Python program."""

    def __init__(self, folder: str, program: str, mark: str = MARK, shell: bool = False, **charge) -> None:
        self.folder, self.mark = folder, mark
        self.history = os.path.join(folder, "history.jsonl")
        order, self.order = os.pipe()
        self.stdout, stdout = os.pipe()
        told = Charge(
            command=["/bin/sh", "-c", program] if shell else [sys.executable, "-c", program],
            order=order,
            stdout=stdout,
            stderr=stdout,
            passed=[],
            folder=folder,
            history=self.history,
            name="run",
            **charge,
        )
        self.guard = subprocess.Popen(
            [sys.executable, "-m", "batchpredict.service.worker.guard", told.to_json()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=(order, stdout),
            start_new_session=True,
            env=environment_with(mark, PYTHONPATH=support.ROOT),
        )
        os.close(order)
        os.close(stdout)

    def tell(self, **said: object) -> None:
        assert self.guard.stdin is not None
        self.guard.stdin.write(json.dumps(said).encode() + b"\n")
        self.guard.stdin.flush()

    def ready(self) -> None:
        line = b""
        while not line.endswith(b"ready\n"):
            line += os.read(self.stdout, 1) or pytest.fail(f"it ended: {line!r}")

    def how(self) -> str | None:
        """What the guard says at its end."""
        assert self.guard.stdout is not None
        said = self.guard.stdout.read()
        self.guard.wait(30)
        return json.loads(said)["how"] if said else None

    def close(self) -> None:
        self.guard.kill()
        self.guard.wait()
        kill_marked(self.mark)
        for file in (self.guard.stdin, self.guard.stdout):
            assert file is not None
            with contextlib.suppress(OSError):
                file.close()
        os.close(self.order)
        os.close(self.stdout)

    def read_history(self) -> str:
        with contextlib.suppress(FileNotFoundError), open(self.history) as file:
            return file.read()
        return ""

    @property
    def job(self) -> int:
        support.wait_until(self.read_history, what="a line of the history")
        return int(json.loads(self.read_history().splitlines()[0])["pid"])


@pytest.fixture
def guarded(tmp_path) -> Iterator[Callable[..., Guarded]]:
    made: list[Guarded] = []

    def make(program: str, **charge) -> Guarded:
        made.append(Guarded(str(tmp_path), program, **charge))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_it_says_how_the_process_ended(guarded):
    assert guarded("raise SystemExit(3)").how() == "it ended with status 3"


def test_and_by_which_signal(guarded):
    assert guarded("import os; os.kill(os.getpid(), 6)").how() == "it was ended by SIGABRT"


def test_or_why_it_could_not_be_started(guarded, tmp_path):
    one = guarded("", user=os.geteuid() + 1 if os.geteuid() else None, umask=-5)
    said = one.how()
    assert said is not None
    assert said.startswith(("it could not be started", "it ended"))


def test_what_a_process_leaves_behind_is_killed(guarded):
    one = guarded(DAEMON)
    one.ready()
    assert one.how() == "it ended with status 0"
    assert processes_of(MARK) == []


@pytest.mark.parametrize("program", [DAEMON + "time.sleep(600)"])
class TestAProcessThatGoesOn:
    def test_ends_with_its_worker(self, program, guarded):
        one = guarded(program)
        one.ready()
        # While a process becomes another program its environment cannot be read.
        eventually(lambda: len(processes_of(MARK)) == 4)
        one.guard.stdin.close()
        assert one.how() == "its worker is gone"
        assert processes_of(MARK) == []

    def test_ends_when_its_time_is_over(self, program, guarded):
        one = guarded(program)
        one.ready()
        one.tell(until=clock() + 0.3)
        began = time.monotonic()
        assert one.how() == "its lease was not renewed in time"
        assert time.monotonic() - began >= 0.29
        assert processes_of(MARK) == []

    def test_goes_on_when_its_time_is_moved(self, program, guarded):
        one = guarded(program)
        one.ready()
        for _ in range(5):
            one.tell(until=clock() + 1.0)
            time.sleep(0.4)
        assert one.guard.poll() is None
        assert one.how() == "its lease was not renewed in time"

    def test_ends_when_it_is_killed(self, program, guarded):
        one = guarded(program)
        one.ready()
        one.tell(kill=True)
        assert one.how() == "it was killed"
        assert processes_of(MARK) == []

    def test_is_asked_to_stop_by_sigterm(self, program, guarded):
        one = guarded(program)
        one.ready()
        one.tell(stop=True)
        assert one.how() == "it was ended by SIGTERM"

    def test_that_is_stopped_by_a_signal_ends_all_the_same(self, program, guarded):
        one = guarded(program)
        one.ready()
        os.kill(one.job, signal.SIGSTOP)
        one.tell(until=clock() + 0.2)
        assert one.how() == "its lease was not renewed in time"
        assert processes_of(MARK) == []

    def test_dies_with_its_guard_and_the_rest_is_found_by_its_mark(self, program, guarded):
        one = guarded(program)
        one.ready()
        job = psutil.Process(one.job)
        one.guard.kill()
        assert one.how() is None
        eventually(lambda: not support.alive([job]))
        assert len(processes_of(MARK)) == 2
        assert kill_marked(MARK)
        assert processes_of(MARK) == []


def test_processes_that_fork_as_fast_as_they_can_are_killed_too(guarded):
    one = guarded("""
import os, time
for _ in range(20):
    if os.fork() == 0:
        os.setsid()
        while True:
            if os.fork():
                os._exit(0)
            time.sleep(0.001)
print("ready", flush=True)
time.sleep(600)
""")
    one.ready()
    one.tell(kill=True)
    assert one.how() == "it was killed"
    assert processes_of(MARK) == []


def test_a_signal_that_is_for_the_service_does_not_end_it(guarded):
    one = guarded(DAEMON + "time.sleep(600)")
    one.ready()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        one.guard.send_signal(number)
    time.sleep(0.2)
    assert one.guard.poll() is None
    one.tell(kill=True)
    assert one.how() == "it was killed"


def test_starts_and_ends_are_kept(guarded):
    one = guarded("input()")
    one.tell(job="p/j/3")
    eventually(lambda: "p/j/3" in one.read_history())
    os.write(one.order, b"\n")
    assert one.how() == "it ended with status 0"
    lines = [json.loads(line) for line in one.read_history().splitlines()]
    assert [(line["what"], line["run"]) for line in lines] == [("start", "run"), ("job", "p/j/3"), ("end", "p/j/3")]
    assert lines[0]["clock"] <= lines[1]["clock"] <= lines[2]["clock"]
    assert {line["pid"] for line in lines} == {lines[0]["pid"]}


SHOW = """
import json, os, resource
open("here", "w").close()
print(json.dumps({
    "cwd": os.getcwd(), "uid": os.getuid(), "gid": os.getgid(), "groups": os.getgroups(),
    "memory": resource.getrlimit(resource.RLIMIT_AS)[0], "core": resource.getrlimit(resource.RLIMIT_CORE)[0],
    "session": os.getsid(0) == os.getpid(), "mode": oct(os.stat("here").st_mode & 0o777),
    "oom": open("/proc/self/oom_score_adj").read().strip(),
}))
"""


def shown(one: Guarded) -> Any:
    assert one.how() == "it ended with status 0", os.read(one.stdout, 4096)
    return json.loads(os.read(one.stdout, 4096))


def test_the_process_gets_limits_and_a_session_of_its_own(guarded, tmp_path):
    seen = shown(guarded(SHOW, memory=4 << 30, umask=0o077))
    assert seen == {
        "cwd": os.path.realpath(tmp_path),
        "uid": os.getuid(),
        "gid": os.getgid(),
        "groups": os.getgroups(),
        "memory": 4 << 30,
        "core": 0,
        "session": True,
        "mode": "0o600",
        "oom": "500",
    }


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
def test_the_process_can_be_another_users(guarded, tmp_path):
    nobody = pwd.getpwnam("nobody")
    os.chown(tmp_path, nobody.pw_uid, nobody.pw_gid)
    # A shell, because whoever is nobody may not be let to this Python.
    uid, gid = nobody.pw_uid, nobody.pw_gid
    one = guarded("id -u; id -g; id -G", shell=True, user=uid, group=gid, groups=[gid])
    assert one.how() == "it ended with status 0"
    assert os.read(one.stdout, 4096).decode().split() == [str(uid), str(gid), str(gid)]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
def test_another_users_process_dies_with_its_guard_too(guarded, tmp_path):
    nobody = pwd.getpwnam("nobody")
    os.chown(tmp_path, nobody.pw_uid, nobody.pw_gid)
    one = guarded("echo ready; exec sleep 600", shell=True, user=nobody.pw_uid)
    one.ready()
    job = psutil.Process(one.job)
    one.guard.kill()
    eventually(lambda: not support.alive([job]))
