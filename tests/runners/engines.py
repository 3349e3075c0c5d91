"""The runners that every suite of works is run on."""

from __future__ import annotations

from typing import Any

import pytest

ENGINES = [
    "in_process",
    pytest.param("prism", marks=pytest.mark.prism),
    pytest.param("flink", marks=pytest.mark.flink),
]


def flags_of(request: Any) -> tuple[str, list[str]]:
    """Name and flags of the runner that a test's parameter names; a cluster is started for it if there is none."""
    if request.param == "in_process":
        return "DirectRunner", []
    if request.param == "prism":
        server = request.getfixturevalue("prism_server")
        return "PrismRunner", [f"--job_endpoint={server.endpoint}"]
    cluster = request.getfixturevalue("flink_cluster")
    name, *flags = cluster.flags
    return name.partition("=")[2], flags
