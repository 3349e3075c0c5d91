"""Beam's Prism runner, as a server on this machine."""

from __future__ import annotations

import os

from clusters.processes import CACHE, Server, free_port, listens

BINARY = os.path.join(CACHE, "prism-v2.77.0", "prism")

MISSING = "" if os.path.exists(BINARY) else "run tests/clusters/install prism"
"""Why these tests cannot run here; "" if they can."""


class Prism:
    """A Prism that runs.

    Args:
      folder: for its log.
    """

    def __init__(self, folder: str) -> None:
        port = free_port()
        self.endpoint = f"127.0.0.1:{port}"
        command = [BINARY, f"--job_port={port}", "--serve_http=false", "--log_kind=text"]
        self._server = Server("prism", command, os.path.join(folder, "prism.log"), lambda: listens(port))
        self._server.wait_ready()

    def stop(self) -> None:
        self._server.kill()
