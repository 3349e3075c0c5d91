"""What the addresses and names in the examples are where the examples are run.

A page says `host:8081`, and means the reader's cluster; here that is the one that the tests have started.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import served
import support
from clusters import flink, prism
from clusters.dataflow import StandIn
from pages import HERE

from batchpredict import storage

Substitutions = Mapping[str, str]

# The README installs the checkout first; here the package is installed already, as in `.ci/run`.
_EVERYWHERE = {
    "python3 -m venv .venv && .venv/bin/pip install --quiet . && .venv/bin/": "",
    "python pipelines/": f"python {os.path.join(support.ROOT, 'pipelines')}/",
}

SERVICE = "service"
"""The jobs service itself, which is started in the reader's folder."""

SERVERS = (SERVICE, "flink", "prism", "gcs", "s3", "dataflow")
"""Kinds of servers that an example may need; each but the service is a marker of pytest too."""


@contextlib.contextmanager
def serving(server: str, request: pytest.FixtureRequest, folder: str) -> Iterator[Substitutions]:
    """Have a kind of server there; gives what to put for what in the text of an example.

    Args:
      folder: for files that the examples do not name.
    """
    if server in (HERE, "prism", "flink", "gcs", "s3"):
        yield {**_EVERYWHERE, **_FOUND[server](request, folder)}
        return
    if server == SERVICE:
        yield from _service(request, folder)
        return
    assert server == "dataflow"
    pytest.importorskip("google.cloud.dataflow_v1beta3", reason="pip install 'batchpredict[dataflow]'")
    service = StandIn()
    try:
        # Beam sends what it would send to Google to the stand-in, and does not ask for credentials first.
        more = f"--dataflow_endpoint={service.endpoint} --no_auth"
        project = {"--project p ": f"--project p {more} ", "--project=p ": f"--project=p {more} "}
        yield {**_EVERYWHERE, **_bucket(request.getfixturevalue("gcs").folder(), "gs"), **project}
    finally:
        service.close()


def _service(request: pytest.FixtureRequest, folder: str) -> Iterator[dict[str, str]]:
    """`batchpredict serve` in the reader's folder, whose testdata is a link to that of the checkout.

    Each page has a service that knows nothing yet.
    """
    roots = ("--root=.", f"--root={support.TESTDATA}")
    with served.serving(request.getfixturevalue("reader").folder, *roots, f"--data={folder}") as there:
        where = f"BATCHPREDICT_ENDPOINT={there.endpoint} batchpredict"
        clients = ("jobs", "watches", "models", "versions", "operations", "projects")
        yield {
            **_EVERYWHERE,
            "http://127.0.0.1:8080": there.endpoint,
            **{f"batchpredict {client} ": f"{where} {client} " for client in clients},
        }


def _here(request: pytest.FixtureRequest, folder: str) -> dict[str, str]:
    return {}


def _flink(request: pytest.FixtureRequest, folder: str) -> dict[str, str]:
    cluster: flink.FlinkCluster = request.getfixturevalue("flink_cluster")
    pool = next(flag for flag in cluster.flags if flag.startswith("--environment-config="))
    # The jar that Beam would fetch for this Flink is not in every registry; the tests' own job server is.
    jar = flink.job_server_jar(folder)
    return {
        "--flink-master host:8081": f"--flink-master {cluster.master} --flink-job-server-jar {jar}",
        '"--flink-master=host:8081"': f'"--flink-master={cluster.master}", "--flink-job-server-jar={jar}"',
        "host:8099": cluster.endpoint,
        "localhost:50000": pool.partition("=")[2],
    }


def _prism(request: pytest.FixtureRequest, folder: str) -> dict[str, str]:
    server: Any = request.getfixturevalue("prism_server")
    return {"~/go/bin/prism": prism.BINARY, "host:8073": server.endpoint}


def _gcs(request: pytest.FixtureRequest, folder: str) -> dict[str, str]:
    return _bucket(request.getfixturevalue("gcs").folder(), "gs")


def _s3(request: pytest.FixtureRequest, folder: str) -> dict[str, str]:
    return _bucket(request.getfixturevalue("s3").folder(), "s3")


def _bucket(url: str, protocol: str) -> dict[str, str]:
    """What the pages call a bucket is a folder of one, with the model and the digits in it."""
    support.upload(support.DIGITS_MODEL, storage.join(url, "model"))
    support.upload(support.digits("text"), storage.join(url, "in"))
    return {f"{protocol}://bucket": url}


_FOUND = {HERE: _here, "flink": _flink, "prism": _prism, "gcs": _gcs, "s3": _s3}


def substituted(text: str, substitutions: Substitutions) -> str:
    for old, new in substitutions.items():
        text = text.replace(old, new)
    return text
