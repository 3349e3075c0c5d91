"""Fixtures of the tests of whole jobs."""

from __future__ import annotations

import os
import signal
import uuid
from collections.abc import Iterator

import hypothesis
import pytest
from clusters import flink, prism
from fsspec.implementations.memory import MemoryFileSystem
from stores import gcs as gcs_store
from stores import s3 as s3_store
from stores.gcs import Gcs
from stores.store import Store

from batchpredict.ledger import plan

# A machine that is busy is no reason to fail.
hypothesis.settings.register_profile("here", deadline=None)
hypothesis.settings.load_profile("here")

# Read when gcsfs is imported, which some tests do before they meet a store; see `storage/routing.py`.
os.environ.setdefault("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")

# Whatever a shell runs in the background ignores Ctrl-C, and so would the commands that the tests send one to.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGQUIT, signal.SIG_DFL)


@pytest.fixture(scope="session")
def flink_cluster(tmp_path_factory) -> Iterator[flink.FlinkCluster]:
    """JobManager, job server, and two machines with one slot each, for all tests that need them."""
    if flink.MISSING:
        pytest.skip(f"no Flink: {flink.MISSING}")
    cluster = flink.FlinkCluster(str(tmp_path_factory.mktemp("flink")))
    try:
        yield cluster.start()
    finally:
        cluster.stop()


@pytest.fixture(scope="session")
def prism_server(tmp_path_factory) -> Iterator[prism.Prism]:
    if prism.MISSING:
        pytest.skip(f"no Prism: {prism.MISSING}")
    server = prism.Prism(str(tmp_path_factory.mktemp("prism")))
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def gcs_server() -> Iterator[Gcs]:
    with gcs_store.serving() as gcs:
        yield gcs


@pytest.fixture
def gcs(gcs_server: Gcs) -> Iterator[Gcs]:
    """A store that speaks Google Cloud Storage's protocol; whatever a test told its proxy to do ends with it."""
    yield gcs_server
    gcs_server.proxy.reset()


@pytest.fixture(scope="session")
def s3_server() -> Iterator[Store]:
    with s3_store.serving() as s3:
        yield s3


@pytest.fixture
def s3(s3_server: Store) -> Iterator[Store]:
    """A store that speaks S3's protocol."""
    yield s3_server
    s3_server.proxy.reset()


@pytest.fixture
def out(tmp_path) -> str:
    """An output folder that is not there yet."""
    return str(tmp_path / "out")


@pytest.fixture
def memory() -> Iterator[str]:
    """A folder in memory, gone when the test ends."""
    folder = uuid.uuid4().hex
    yield f"memory://{folder}"
    # Its own `rm` walks every folder for every file.
    for path in [path for path in MemoryFileSystem.store if path.startswith(f"/{folder}/")]:
        del MemoryFileSystem.store[path]


@pytest.fixture(params=[1000, 2], ids=["one page", "pages of two"])
def pages(request, monkeypatch) -> int:
    """Splits of a page of a plan: more than a test has, or so few that it has several pages."""
    splits: int = request.param
    monkeypatch.setattr(plan, "_PAGE", splits)
    return splits
