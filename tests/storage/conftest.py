"""The file systems that the contract of `batchpredict.storage` is checked on."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from batchpredict import storage


def _local(tmp_path: Path) -> Iterator[str]:
    yield str(tmp_path / "folder")


def _memory(_: Path) -> Iterator[str]:
    name = f"contract-{uuid.uuid4().hex}"
    yield f"memory://{name}"
    fs = fsspec.filesystem("memory")
    if fs.exists(name):
        fs.rm(name, recursive=True)


def _double(_: Path) -> Iterator[str]:
    double = storage.Double()
    with double.mounted():
        yield double.folder()


# Another backend is one more generator here: it yields the URL of a folder that does not exist yet, without a
# slash at its end, and removes it afterwards. One that needs a server has a marker.
BACKENDS = {"local": _local, "memory": _memory, "double": _double}
SERVERS = {"gcs": pytest.mark.gcs, "s3": pytest.mark.s3}


@pytest.fixture(params=[*sorted(BACKENDS), *(pytest.param(name, marks=mark) for name, mark in SERVERS.items())])
def base(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """URL of a folder of its own on each backend."""
    if request.param in SERVERS:
        yield request.getfixturevalue(request.param).folder()
    else:
        yield from BACKENDS[request.param](tmp_path)
