"""A server that speaks Google Cloud Storage's protocol, behind a proxy that can be told to fail."""

from __future__ import annotations

import contextlib
import glob
import http.client
import os
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from stores.proxy import Proxy

INSTALLED = os.path.join(
    os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "batchpredict-tests", "fake-gcs-server-*"
)
_START_SECONDS = 20.0


class Gcs:
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

    def fill(self, folder: str, names: Sequence[str]) -> None:
        """Put files of a byte into a folder, past the proxy."""
        bucket, _, path = folder.removeprefix("gs://").partition("/")

        def put(some: Sequence[str]) -> None:
            connection = http.client.HTTPConnection(*self.proxy.backend)
            for name in some:
                query = urllib.parse.urlencode({"uploadType": "media", "name": f"{path}/{name}"})
                connection.request("POST", f"/upload/storage/v1/b/{bucket}/o?{query}", b"1")
                answer = connection.getresponse()
                answer.read()
                assert answer.status == 200
            connection.close()

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(put, [names[start::8] for start in range(8)]))


def binary() -> str | None:
    """The server's program; None where it is not installed."""
    return max(glob.glob(os.path.join(INSTALLED, "fake-gcs-server")), default=None)


@contextlib.contextmanager
def serving(bucket: str = "tests") -> Iterator[Gcs]:
    """A server of its own; clients of this process and its children find it through the environment."""
    program = binary()
    if program is None:
        pytest.skip("no server for gs:// is installed; tests/stores/install gcs installs one")
    proxy = Proxy()
    port = proxy.port + 1 if proxy.port < 65535 else proxy.port - 1
    address = f"127.0.0.1:{proxy.port}"
    process = subprocess.Popen(
        [
            *(program, "-scheme", "http", "-backend", "memory", "-host", "127.0.0.1", "-port", str(port)),
            *("-public-host", address, "-external-url", f"http://{address}", "-log-level", "error"),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    proxy.backend = ("127.0.0.1", port)
    try:
        _await(f"http://127.0.0.1:{port}/storage/v1/b", process)
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/storage/v1/b?project=p",
            data=b'{"name": "%s"}' % bucket.encode(),
            headers={"Content-Type": "application/json"},
        )
        urllib.request.urlopen(request).close()
        with pytest.MonkeyPatch.context() as patched:
            patched.setenv("STORAGE_EMULATOR_HOST", f"http://{address}")
            yield Gcs(proxy, f"gs://{bucket}")
    finally:
        process.kill()
        process.wait()
        proxy.close()
        _forget_clients()


def _await(url: str, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + _START_SECONDS
    while True:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except urllib.error.URLError:
            if process.poll() is not None or time.monotonic() > end:
                raise
            time.sleep(0.05)


def _forget_clients() -> None:
    """fsspec keeps a client for each set of options, and this one's server is gone."""
    from gcsfs import GCSFileSystem

    GCSFileSystem.clear_instance_cache()
