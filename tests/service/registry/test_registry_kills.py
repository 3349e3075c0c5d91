"""A server that is killed in the midst of an operation: the operation is taken up again, and never forgotten."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
import support
from service.registry_support import PROJECT, World, world

from batchpredict.service.registry.collection import Collection
from batchpredict.service.registry.copies import Copies
from batchpredict.service.registry.creation import MAX_ATTEMPTS

pytestmark = pytest.mark.long

SERVER = os.path.join(support.ROOT, "tests", "service", "registry_server.py")

ROUNDS = MAX_ATTEMPTS - 2
"""So that no version is given up, whatever the kills hit."""


@contextlib.contextmanager
def server(here: World, stall: str = "") -> Iterator[subprocess.Popen[bytes]]:
    """Another process that performs the operations; killed at the end if it was not before."""
    paths = [support.ROOT, os.path.join(support.ROOT, "tests")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    process = subprocess.Popen([sys.executable, SERVER, here.folder, *([stall] if stall else [])], env=environment)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def stalls(here: World) -> int:
    with contextlib.suppress(FileNotFoundError), open(os.path.join(here.folder, "stalled")) as file:
        return len(file.readlines())
    return 0


def killed_where_it_stalls(here: World, stall: str) -> None:
    before = stalls(here)
    with server(here, stall) as process:
        support.wait_until(lambda: stalls(here) > before or process.poll() is not None, what="the stall")
        assert process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait()


def large_model(here: World) -> str:
    uri = here.model_folder()
    for number in range(20):
        support.write(os.path.join(uri, "assets", str(number)), bytes([number]) * 100_000)
    return uri


def contents(folder: str) -> dict[str, bytes]:
    found = {}
    for place, _, names in os.walk(folder):
        for name in names:
            with open(os.path.join(place, name), "rb") as file:
                found[os.path.relpath(os.path.join(place, name), folder)] = file.read()
    return found


def only_one_copy_is_left(here: World) -> None:
    collection = Collection(here.store, Copies(here.data), grace=0)
    collection.collect()
    collection.collect()
    assert here.copies() == [here.uri_of()]
    assert len(here.index()) == 1


@pytest.mark.parametrize("stall", ["copy", "inspect", "finish"])
def test_it_is_done_by_the_next_server(idle: World, stall):
    idle.create_model()
    uri = large_model(idle)
    operation = idle.create_version(uri)
    killed_where_it_stalls(idle, stall)
    if stall == "copy":
        [half] = idle.copies()
        assert 0 < len(contents(half)) < len(contents(uri))
        assert idle.registry.version(PROJECT, "census", "v1")["state"] == "CREATING"
    idle.registry.start()
    ended = idle.ended(operation)
    assert ended["response"]["state"] == "READY", ended
    assert contents(idle.uri_of()) == contents(uri)
    only_one_copy_is_left(idle)


def test_what_was_made_before_the_kill_is_not_made_again(idle: World):
    idle.create_model()
    operation = idle.create_version(large_model(idle))
    killed_where_it_stalls(idle, "finish")
    before = idle.uri_of()
    idle.registry.start()
    idle.ended(operation)
    assert idle.uri_of() == before
    assert idle.copies() == [before]


def test_one_that_ended_many_servers_is_failed_and_leaves_nothing(idle: World):
    idle.create_model()
    operation = idle.create_version(large_model(idle))
    killed_where_it_stalls(idle, "copy")
    details = idle.store.version(PROJECT, "census", "v1").details
    assert details["attempt"] == 1
    idle.store.patch_version(PROJECT, "census", "v1", {"details": {**details, "attempt": MAX_ATTEMPTS}}, None)
    idle.registry.start()
    ended = idle.ended(operation)
    assert f"The service ended {MAX_ATTEMPTS} times while it copied this version" in ended["error"]["message"]
    assert idle.registry.version(PROJECT, "census", "v1")["state"] == "FAILED"
    collection = Collection(idle.store, Copies(idle.data), grace=0)
    collection.collect()
    assert idle.copies() == idle.index() == []


def test_two_servers_do_each_operation_once(idle: World):
    idle.create_model()
    with server(idle), server(idle):
        operations = [idle.create_version(large(idle, number), f"v{number}") for number in range(6)]
        for operation in operations:
            assert "error" not in idle.ended(operation)
    attempts = [idle.store.version(PROJECT, "census", f"v{number}").details["attempt"] for number in range(6)]
    assert attempts == [1] * 6
    assert len(idle.copies()) == 6


@pytest.mark.kills
def test_kills_at_any_moment_lose_nothing(tmp_path):
    with world(tmp_path, started=False) as here:
        here.create_model()
        operations = []
        moment = random.Random(16)
        for number in range(ROUNDS):
            operations.append(here.create_version(large(here, number), f"v{number}"))
            with server(here, "process"):
                time.sleep(moment.uniform(0.5, 5))
        here.registry.start()
        for operation in operations:
            assert "error" not in here.ended(operation)
        for number in range(ROUNDS):
            assert contents(here.uri_of(f"v{number}")) == contents(here.place(f"m{number}"))
        Collection(here.store, Copies(here.data), grace=0).collect()
        assert len(here.copies()) == len(here.index()) == ROUNDS
        left = [line for line in commands() if here.data in line]
        assert left == []


def large(here: World, number: int) -> str:
    uri = here.model_folder(called=f"m{number}")
    support.write(os.path.join(uri, "assets", "large"), bytes([number]) * (5 << 20))
    return uri


def commands() -> list[str]:
    import psutil

    found = []
    for process in psutil.process_iter(["cmdline"]):
        with contextlib.suppress(psutil.Error):
            found.append(" ".join(process.info["cmdline"] or ()))
    return found
