"""A service, and a user of it with a folder of their own, for the tests of the client."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator

import pytest
import support
from served import Served, serving


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> str:
    """The folder of the service and of its users."""
    return str(tmp_path_factory.mktemp("service"))


@pytest.fixture(scope="module")
def service(folder, rows) -> Iterator[Served]:
    with serving(folder, "--root=.", f"--root={support.TESTDATA}", "--workers=2") as served:
        yield served


@pytest.fixture
def call(service, folder, monkeypatch, capsys):
    """Run a command in the user's folder: its status, stdout and stderr."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("BATCHPREDICT_ENDPOINT", service.endpoint)
    monkeypatch.delenv("BATCHPREDICT_TOKEN", raising=False)
    monkeypatch.delenv("CLOUDSDK_CORE_PROJECT", raising=False)
    # A project for each test, so that none sees the jobs of another.
    monkeypatch.setenv("BATCHPREDICT_PROJECT", f"p{random.getrandbits(40)}")

    def run(*arguments: str, status: int = 0) -> tuple[str, str]:
        found = support.run_here(capsys, *arguments)
        assert found.returncode == status, f"{arguments}\n{found.stdout}\n{found.stderr}"
        return found.stdout, found.stderr

    return run


@pytest.fixture(scope="module")
def rows(folder) -> None:
    support.write(os.path.join(folder, "in.json"), ['{"x": 1}', "bad", '{"x": 3}'])
