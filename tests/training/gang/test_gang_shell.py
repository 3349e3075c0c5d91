"""Gangs of real processes, through real folders."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import support
from training.gang.local import FAST, LocalLauncher, LocalProcess
from training.gang.schedules import Cluster

from batchpredict import storage
from batchpredict.errors import BatchPredictError
from batchpredict.training.cluster.replicas import Replica, Role
from batchpredict.training.gang.accounts import outcome_of, seconds_of, states_of
from batchpredict.training.gang.folder import FolderRendezvous
from batchpredict.training.gang.gang import Gang, cancel
from batchpredict.training.gang.interface import Ending, Outcome, Stage
from batchpredict.training.gang.rules import Rules

M, W, P, E = Role.MASTER, Role.WORKER, Role.PS, Role.EVALUATOR

# The master waits for a file that a test writes, or for a while; a parameter server runs until it is ended.
SHORT = """
import os, time
if os.environ["REPLICA"].startswith("ps"):
    time.sleep(600)
"""
WAITING = """
import os, time
while not os.path.exists(os.path.join(os.environ["HERE"], "finish")):
    time.sleep(0.02)
"""


def gang(folder: Path, shape: dict[Role, int], program: str, **options) -> Gang:
    """A host with room for all."""
    options = {"room": None, "launcher": LocalLauncher(str(folder), program), "rules": FAST, **options}
    return Gang(FolderRendezvous(f"{folder}/gang"), Cluster.of(shape), options.pop("host_id", "here"), **options)


def test_a_lone_master_runs_and_makes_the_outcome(tmp_path):
    outcome = gang(tmp_path, {M: 1}, "print(1)").run()

    assert outcome == Outcome(Ending.SUCCEEDED)
    assert outcome_of(FolderRendezvous(f"{tmp_path}/gang")) == outcome
    assert [line[:3] for line in LocalLauncher(str(tmp_path), "").started()] == [("master-0", 1, 1)]


def rounds(folder: Path, count: int, url: str = "") -> None:
    """1 + 19 + 11 replicas in one process: together within 5 s, none of them twice."""
    shape = {M: 1, W: 19, P: 11}
    for number in range(count):
        here = folder / str(number)
        here.mkdir()
        launcher = LocalLauncher(str(here), SHORT)
        rendezvous = FolderRendezvous(f"{url or here}/gang-{number}")
        began = time.time()
        outcome = Gang(rendezvous, Cluster.of(shape), "here", None, launcher).run()

        assert outcome == Outcome(Ending.SUCCEEDED)
        started = launcher.started()
        assert sorted(name for name, *_ in started) == sorted(one.name for one in Cluster.of(shape).replicas)
        assert {(attempt, addresses) for _, attempt, addresses, _ in started} == {(1, 31)}
        assert min(at for *_, at in started) - began < 5
        first, last = (pick(at for *_, at in started) - began for pick in (min, max))
        print(f"round {number}: the first replica started after {first:.2f} s, the last after {last:.2f} s")


def test_a_gang_of_31_comes_together(tmp_path):
    rounds(tmp_path, 1)


def test_a_gang_of_31_comes_together_in_memory(tmp_path, memory):
    rounds(tmp_path, 1, memory)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_gang_of_31_comes_together_again_and_again(tmp_path):
    rounds(tmp_path, 4)


@pytest.mark.kills
@pytest.mark.timeout(900)
def test_a_gang_of_31_comes_together_20_times_of_20(tmp_path):
    rounds(tmp_path, 20)


def test_a_gang_comes_together_through_a_slow_store(tmp_path):
    double = storage.Double()
    double.latency = 0.05
    launcher = LocalLauncher(str(tmp_path), SHORT)
    with double.mounted():
        rendezvous = FolderRendezvous(double.folder())
        outcome = Gang(rendezvous, Cluster.of({M: 1, W: 19, P: 11}), "here", None, launcher).run()

    assert outcome == Outcome(Ending.SUCCEEDED)
    assert len(launcher.started()) == 31
    # What is written is 31 claims, 31 addresses, at most 20 ends, and few else; what is read, that once.
    assert len(double.calls) < 31 * 4 + 20 * 2 + 60


def test_workers_may_finish_and_servers_are_ended_at_once(tmp_path):
    program = """
import os, time
name = os.environ["REPLICA"]
if name.startswith("ps"):
    time.sleep(600)
if name.startswith("worker"):
    time.sleep(1.0)
    open(os.path.join(os.environ["HERE"], name), "w").close()
"""
    began = time.monotonic()
    assert gang(tmp_path, {M: 1, W: 1, P: 1}, program).run() == Outcome(Ending.SUCCEEDED)
    assert (tmp_path / "worker-0").exists()
    assert time.monotonic() - began < 10


def test_the_program_fails_at_once(tmp_path):
    outcome = gang(tmp_path, {M: 1}, "import sys; sys.exit('no data')", rules=replace(FAST, early=30)).run()

    assert outcome is not None
    assert outcome.ending is Ending.FAILED
    assert outcome.reason == "Master 0 exited with a status of 1."
    assert outcome.failed is not None
    assert outcome.failed.tail == ("no data",)
    assert [name for name, *_ in LocalLauncher(str(tmp_path), "").started()] == ["master-0"]


def test_a_server_that_crashes_is_started_again_at_its_place(tmp_path):
    program = """
import os, time
name, attempt = os.environ["REPLICA"], os.environ["ATTEMPT"]
if name == "ps-0":
    time.sleep(0.5)
    if attempt == "1":
        os.abort()
    open(os.path.join(os.environ["HERE"], "finish"), "w").close()
    time.sleep(600)
while not os.path.exists(os.path.join(os.environ["HERE"], "finish")):
    time.sleep(0.02)
"""
    assert gang(tmp_path, {M: 1, W: 1, P: 1}, program).run() == Outcome(Ending.SUCCEEDED)

    started = [(name, attempt) for name, attempt, *_ in LocalLauncher(str(tmp_path), "").started()]
    assert sorted(started) == [("master-0", 1), ("ps-0", 1), ("ps-0", 2), ("worker-0", 1)]


def test_without_servers_all_begin_again(tmp_path):
    program = """
import os, sys, time
time.sleep(0.5)
mark = os.path.join(os.environ["HERE"], "crashed")
if os.environ["REPLICA"] == "worker-0" and not os.path.exists(mark):
    open(mark, "w").close()
    sys.exit(3)
while not os.path.exists(mark):
    time.sleep(0.02)
time.sleep(1.0)
"""
    said: list[str] = []
    outcome = gang(tmp_path, {M: 1, W: 2}, program, log=said.append).run()

    assert outcome == Outcome(Ending.SUCCEEDED, restarts=1)
    assert [name for name, *_ in LocalLauncher(str(tmp_path), "").started()].count("master-0") == 2
    assert "Worker 0 exited with a status of 3. All replicas are started again." in said


def test_a_port_that_is_taken_is_another_in_the_next_generation(tmp_path):
    program = """
import os, sys
mark = os.path.join(os.environ["HERE"], "crashed")
if not os.path.exists(mark):
    open(mark, "w").close()
    sys.exit("OSError: [Errno 98] Address already in use")
"""
    assert gang(tmp_path, {M: 1}, program).run() == Outcome(Ending.SUCCEEDED, restarts=1)


class Failing(LocalLauncher):
    def __init__(self, folder: str, *, bind: Exception | None = None, start: Exception | None = None) -> None:
        super().__init__(folder, SHORT)
        self._bind, self._start = bind, start

    def bind(self, replica: Replica) -> str:
        if self._bind is not None:
            raise self._bind
        return super().bind(replica)

    def start(self, replica: Replica, addresses: Mapping[Replica, str], attempt: int) -> LocalProcess:
        if self._start is not None:
            raise self._start
        return super().start(replica, addresses, attempt)


def test_what_cannot_be_got_ready_or_started_fails_the_gang(tmp_path):
    (tmp_path / "other").mkdir()
    error = BatchPredictError("The package trainer does not install.")
    failed = Outcome(Ending.FAILED, "The package trainer does not install.")
    assert gang(tmp_path, {M: 1}, "", launcher=Failing(str(tmp_path), bind=error)).run() == failed
    assert gang(tmp_path / "other", {M: 1}, "", launcher=Failing(str(tmp_path), start=error)).run() == failed


def test_no_port_at_all_fails_the_gang_after_some_times(tmp_path):
    outcome = gang(tmp_path, {M: 1}, "", launcher=Failing(str(tmp_path), bind=OSError("no port"))).run()
    assert outcome is not None
    assert (
        outcome.reason == "Master 0 could not get ready: no port; the gang had been started again 5 times before."
    )


def test_too_little_room_is_said_after_the_deadline(tmp_path):
    rules = replace(FAST, deadline=1.0)
    outcome = gang(tmp_path, {M: 1, W: 2}, SHORT, room=2, rules=rules).run()
    assert outcome is not None
    assert outcome.ending is Ending.FAILED
    assert outcome.reason.startswith("The job needs 3 replicas, got 2: within 1 seconds no worker was free for ")


def test_who_has_no_place_leaves_or_stays(tmp_path):
    hosting = gang(tmp_path, {M: 1}, WAITING)
    thread, outcomes = running(hosting)
    wait_for(lambda: (tmp_path / "started").exists())

    assert gang(tmp_path, {M: 1}, WAITING, stay=False).run() is None
    spare, spares = running(gang(tmp_path, {M: 1}, WAITING))
    (tmp_path / "finish").touch()
    for one in (thread, spare):
        one.join(20)
    assert outcomes == spares == [Outcome(Ending.SUCCEEDED)]


STUBBORN = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
open(os.path.join(os.environ["HERE"], "up-" + os.environ["REPLICA"]), "w").close()
time.sleep(600)
"""


@pytest.mark.long
@pytest.mark.parametrize("by", ["the host", "somebody else"])
def test_a_cancel_ends_all_within_10_seconds(tmp_path, by):
    wanted = threading.Event()
    wanted.set()
    hosting = gang(tmp_path, {M: 1, W: 2}, STUBBORN, rules=Rules())
    outcomes: list[Outcome | None] = []
    thread = threading.Thread(target=lambda: outcomes.append(hosting.run(wanted.is_set)), daemon=True)
    thread.start()
    wait_for(lambda: len(list(tmp_path.glob("up-*"))) == 3)
    began = time.monotonic()

    if by == "the host":
        wanted.clear()
    else:
        cancel(FolderRendezvous(f"{tmp_path}/gang"), "Enough.")
    thread.join(20)

    reason = "The job was cancelled." if by == "the host" else "Enough."
    assert outcomes == [Outcome(Ending.CANCELLED, reason)]
    assert time.monotonic() - began < 10
    assert not children()


def test_a_host_without_a_rendezvous_ends_its_replicas_and_says_why(tmp_path):
    double = storage.Double()
    with double.mounted():
        hosting = gang(tmp_path, {M: 1}, STUBBORN, rules=replace(FAST, patience=4.0))
        hosting._rendezvous = FolderRendezvous(double.folder())
        errors: list[BaseException] = []

        def run() -> None:
            try:
                hosting.run()
            except OSError as error:
                errors.append(error)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        wait_for(lambda: (tmp_path / "up-master-0").exists())

        def refuse(_operation: str, _url: str) -> None:
            raise OSError(5, "the store is gone")

        double.before = refuse
        began = time.monotonic()
        wait_for(lambda: not children())
        # A lease, and what the kill takes.
        assert time.monotonic() - began < 6
        thread.join(30)
    assert "the store is gone" in str(errors[0])


def test_a_rendezvous_that_is_refused_is_said_at_once(tmp_path):
    double = storage.Double()
    with double.mounted():
        hosting = gang(tmp_path, {M: 1}, SHORT)
        hosting._rendezvous = FolderRendezvous(double.folder())
        double.fail("create_if_absent", *[PermissionError(13, "not allowed")] * 100)
        with pytest.raises(PermissionError, match="not allowed"):
            hosting.run()


def test_the_accounts_tell_seconds_and_states(tmp_path):
    cluster = Cluster.of({M: 1, W: 1, P: 1})
    rendezvous = FolderRendezvous(f"{tmp_path}/gang")
    assert [one.stage for one in states_of(rendezvous, cluster)] == [Stage.WAITING] * 3
    assert seconds_of(rendezvous) == {}

    program = "import os, sys\nif os.environ['REPLICA'] == 'worker-0': sys.exit(0)\n" + WAITING
    began = time.monotonic()
    hosting = gang(tmp_path, {M: 1, W: 1, P: 1}, program)
    thread, outcomes = running(hosting)
    wait_for(
        lambda: [one.stage for one in states_of(rendezvous, cluster)] == [Stage.RUNNING, Stage.ENDED, Stage.RUNNING]
    )
    states = states_of(rendezvous, cluster)
    assert [one.host for one in states] == [hosting.host_id] * 3
    assert [one.status for one in states] == [None, 0, None]
    time.sleep(1)
    (tmp_path / "finish").touch()
    thread.join(20)

    took = time.monotonic() - began
    assert outcomes == [Outcome(Ending.SUCCEEDED)]
    seconds = seconds_of(rendezvous)
    assert 1 < seconds["master-0"] < took
    assert 0 < seconds["worker-0"] < took
    assert [one.stage for one in states_of(rendezvous, cluster)] == [Stage.ENDED] * 3
    assert [one.restarts for one in states_of(rendezvous, cluster)] == [0, 0, 0]


@pytest.mark.long
def test_a_host_that_is_killed_is_a_new_generation_and_the_master_finishes(tmp_path):
    program = """
import os, time
mark = os.path.join(os.environ["HERE"], "checkpoint")
if os.environ["REPLICA"] == "master-0":
    for step in range(1000):
        if os.path.exists(os.path.join(os.environ["HERE"], "finish")):
            break
        with open(mark, "a") as file:
            file.write(f"{os.getpid()}\\n")
        time.sleep(0.05)
else:
    time.sleep(600)
"""
    shape = {M: 1, W: 1}
    rendezvous, cluster = FolderRendezvous(f"{tmp_path}/gang"), Cluster.of(shape)
    hosts = [host_process(tmp_path, f"host{index}", 1, shape, program) for index in range(2)]
    try:
        wait_for(lambda: all(one.stage is Stage.RUNNING for one in states_of(rendezvous, cluster)))
        master = next(one for one in states_of(rendezvous, cluster) if one.replica.role is M)
        assert master.host is not None
        victim = hosts[int(master.host[4])]
        grandchildren = psutil.Process(victim.pid).children(recursive=True)
        os.kill(victim.pid, signal.SIGKILL)
        victim.wait()
        wait_for(lambda: not any(alive(one) for one in grandchildren))
        # Whichever the other host takes, the second replica is free.
        wait_for(lambda: any(one.stage in (Stage.LOST, Stage.WAITING) for one in states_of(rendezvous, cluster)))
        hosts.append(host_process(tmp_path, "host2", 1, shape, program))
        wait_for(lambda: all(one.stage is Stage.RUNNING for one in states_of(rendezvous, cluster)))
        (tmp_path / "finish").touch()
        answers = [host.communicate(timeout=60)[0] for host in hosts if host is not victim]
    finally:
        for host in hosts:
            host.kill()
            host.wait()
            assert host.stdout is not None
            host.stdout.close()

    assert [answer.split()[:2] for answer in answers] == [["succeeded", "1"]] * 2
    assert [one.restarts for one in states_of(rendezvous, cluster)] == [1, 1]
    started = [name for name, *_ in LocalLauncher(str(tmp_path), "").started()]
    assert sorted(started) == ["master-0", "master-0", "worker-0", "worker-0"]
    # One master after the other, and never both at once.
    pids = (tmp_path / "checkpoint").read_text().split()
    assert len(set(pids)) == 2
    assert pids == sorted(pids, key=pids.index)
    seconds = seconds_of(rendezvous)
    assert seconds["master-0"] > 0
    assert seconds["worker-0"] > 0


def running(hosting: Gang) -> tuple[threading.Thread, list[Outcome | None]]:
    outcomes: list[Outcome | None] = []
    thread = threading.Thread(target=lambda: outcomes.append(hosting.run()), daemon=True)
    thread.start()
    return thread, outcomes


def host_process(folder: Path, host: str, room: int, shape: dict[Role, int], program: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "training.gang.local", str(folder), host, str(room)]
    shown = json.dumps({role.value: count for role, count in shape.items()})
    path = os.pathsep.join((support.ROOT, os.path.join(support.ROOT, "tests")))
    env = {**os.environ, "PYTHONPATH": path}
    return subprocess.Popen([*command, shown, program], env=env, stdout=subprocess.PIPE, text=True)


_BEGAN = 0.0


@pytest.fixture(autouse=True)
def _began():
    global _BEGAN
    _BEGAN = time.time() - 0.02


def children() -> list[psutil.Process]:
    """Processes of this test: another one may have left some of its own, that wait for the end of all."""
    found = [one for one in psutil.Process().children(recursive=True) if alive(one)]
    return [one for one in found if one.create_time() >= _BEGAN]


def alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def wait_for(condition, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come in time"
        time.sleep(0.05)
