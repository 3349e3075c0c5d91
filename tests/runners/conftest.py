"""Runners to test with. A cluster is started once for all tests that need it, and ends with the session."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from clusters import flink, prism


@pytest.fixture(scope="session")
def flink_cluster(tmp_path_factory) -> Iterator[flink.FlinkCluster]:
    """JobManager, job server, and two machines with one slot each."""
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
