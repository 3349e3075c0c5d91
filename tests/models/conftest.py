"""Fixtures of the tests of models."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from typing import Any

import fsspec
import pytest
from making import make
from support import TESTDATA

__all__ = ["make"]


@pytest.fixture(scope="session")
def testdata() -> str:
    return TESTDATA


@pytest.fixture
def folder(tmp_path: Any, testdata: str) -> str:
    """A copy of a model, to be served and changed."""
    shutil.copytree(os.path.join(testdata, "models", "double"), tmp_path / "served" / "model")
    return str(tmp_path / "served" / "model")


@pytest.fixture
def bucket(folder: str) -> Iterator[str]:
    """The model in an object store."""
    fs = fsspec.filesystem("memory")
    name = f"models-{uuid.uuid4().hex}"
    fs.put(folder, f"/{name}", recursive=True)
    yield f"memory://{name}"
    fs.rm(f"/{name}", recursive=True)
