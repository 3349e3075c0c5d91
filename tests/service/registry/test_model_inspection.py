"""The inspection of a SavedModel in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys

import psutil
import pytest
import support
from service.registry_support import inspect_here, world

from batchpredict.errors import ModelUnusable
from batchpredict.service.registry.inspection import inspect

CRASHES = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
SLEEPS = "import sys; sys.stdin.read()"
ENVIRONMENT = "import json, os; print(json.dumps({'found': dict(os.environ)}))"


def go_on() -> None:
    pass


class Ended(Exception):
    pass


def test_it_finds_what_the_command_shows():
    uri = support.model("two_inputs")
    assert inspect(uri, go_on) == inspect_here(uri, go_on)


def test_what_is_no_saved_model_is_said(tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(b"\xff")
    with pytest.raises(ModelUnusable, match="is not a SavedModel"):
        inspect(str(tmp_path), go_on)


def test_a_crash_is_said():
    with pytest.raises(ModelUnusable, match="was ended by SIGSEGV"):
        inspect("/m", go_on, program=("-c", CRASHES))


def test_memory_is_bounded():
    with pytest.raises(ModelUnusable, match=r"ended with status|was ended by"):
        inspect(support.model("double"), go_on, memory=200 << 20)


def test_whoever_waits_can_end_it_and_the_process_is_gone():
    def stop() -> None:
        raise Ended

    before = psutil.Process().children()
    with pytest.raises(Ended):
        inspect("/m", stop, program=("-c", SLEEPS))
    assert [one for one in support.alive(psutil.Process().children()) if one not in before] == []


def test_its_environment_has_nothing_that_only_the_service_is_told(monkeypatch):
    monkeypatch.setenv("BATCHPREDICT_DATABASE", "postgresql://user:secret@host/db")
    monkeypatch.setenv("BATCHPREDICT_CACHE", "/cache")
    found = inspect("/m", go_on, program=("-c", ENVIRONMENT))
    assert not any("secret" in value for value in found.values())
    assert found["BATCHPREDICT_CACHE"] == "/cache"


def test_it_ends_with_the_process_that_started_it(tmp_path):
    # Reading this file never ends.
    os.mkfifo(tmp_path / "saved_model.pb")
    arguments = [sys.executable, "-m", "batchpredict.service.registry.inspector", str(tmp_path)]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as child:
        assert child.stdin is not None
        child.stdin.close()
        assert child.wait(120) == 1


def test_a_model_that_crashes_it_fails_its_own_operation_only(tmp_path):
    with world(tmp_path, inspecting=lambda uri, check: inspect(uri, check, program=("-c", CRASHES))) as here:
        here.create_model()
        ended = here.ended(here.create_version(here.model_folder()))
        assert "SIGSEGV" in ended["error"]["message"]
        assert here.registry.model("shop", "census")
        assert here.registry.version("shop", "census", "v1")["state"] == "FAILED"


def test_a_version_is_ready_by_the_process_and_tensorflow_stays_out_of_this_one(tmp_path):
    script = f"""
import sys
sys.path.insert(0, {os.path.join(support.ROOT, "tests")!r})
from service.registry_support import world
from batchpredict.service.registry.inspection import inspect
with world({str(tmp_path)!r}, inspecting=inspect) as here:
    print(here.ready_version()["state"])
    here.check("shop", here.job(modelName="projects/shop/models/census"), None)
    here.check("shop", here.job(uri=here.place("census_v1")), None)
print([name for name in sys.modules if name.split(".")[0] in ("tensorflow", "apache_beam")])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == ["READY", "[]"], done.stderr
