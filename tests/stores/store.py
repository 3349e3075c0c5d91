"""An object store that a test starts: a server process, and a proxy before it that can be told to fail."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Sequence

from stores.proxy import Proxy

CACHE = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "batchpredict-tests")
"""Where `tests/stores/install` puts what it installs."""

_START_SECONDS = 30.0
# Between the choice of a port and its use, somebody else's connection may take it.
_ATTEMPTS = 5


class Store:
    """The store.

    Attributes:
      proxy: between every client and the server.
      bucket: a bucket that is there, as a URL.
    """

    def __init__(self, proxy: Proxy, bucket: str) -> None:
        self.proxy = proxy
        self.bucket = bucket

    def folder(self) -> str:
        """URL of a folder of its own, which does not exist yet."""
        return f"{self.bucket}/{uuid.uuid4().hex}"


@contextlib.contextmanager
def proxied(command: Callable[[int, str], Sequence[str]], path: str) -> Iterator[Proxy]:
    """A server behind a proxy.

    Args:
      command: starts the server, given its port and the address of the proxy, as host:port.
      path: is answered with a 200 as soon as the server is up.
    """
    proxy = Proxy()
    try:
        process = _start(command, path, proxy)
        try:
            yield proxy
        finally:
            process.kill()
            process.wait()
    finally:
        proxy.close()


def _start(command: Callable[[int, str], Sequence[str]], path: str, proxy: Proxy) -> subprocess.Popen[bytes]:
    for _ in range(_ATTEMPTS):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = int(free.getsockname()[1])
        process = subprocess.Popen(
            command(port, f"127.0.0.1:{proxy.port}"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        if _answers(f"http://127.0.0.1:{port}{path}", process):
            proxy.backend = ("127.0.0.1", port)
            return process
    raise AssertionError(f"{command(0, '')[0]} does not start")


def _answers(url: str, process: subprocess.Popen[bytes]) -> bool:
    """Wait until the server answers; False if it has ended."""
    end = time.monotonic() + _START_SECONDS
    while True:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return True
        except OSError as error:
            if process.poll() is not None:
                return False
            if time.monotonic() > end:
                process.kill()
                raise AssertionError(f"{url} does not answer: {error}") from error
            time.sleep(0.05)
