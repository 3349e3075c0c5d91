"""A server that speaks Google Cloud Storage's protocol, behind a proxy that can be told to fail."""

from __future__ import annotations

import contextlib
import glob
import http.client
import os
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from stores.store import CACHE, Store, proxied

_INSTALLED = os.path.join(CACHE, "fake-gcs-server-*", "fake-gcs-server")


class Gcs(Store):
    """The store."""

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
    return max(glob.glob(_INSTALLED), default=None)


@contextlib.contextmanager
def serving(bucket: str = "tests") -> Iterator[Gcs]:
    """A server of its own; clients of this process and its children find it through the environment."""
    program = binary()
    if program is None:
        pytest.skip("no server for gs:// is installed; tests/stores/install gcs installs one")

    def command(port: int, address: str) -> list[str]:
        return [
            *(program, "-scheme", "http", "-backend", "memory", "-host", "127.0.0.1", "-port", str(port)),
            *("-public-host", address, "-external-url", f"http://{address}", "-log-level", "error"),
        ]

    with proxied(command, "/storage/v1/b?project=p") as proxy:
        host, port = proxy.backend
        request = urllib.request.Request(
            f"http://{host}:{port}/storage/v1/b?project=p",
            data=b'{"name": "%s"}' % bucket.encode(),
            headers={"Content-Type": "application/json"},
        )
        urllib.request.urlopen(request).close()
        with pytest.MonkeyPatch.context() as patched:
            patched.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{proxy.port}")
            yield Gcs(proxy, f"gs://{bucket}")
    _forget_clients()


def _forget_clients() -> None:
    """fsspec keeps a client for each set of options, and this one's server is gone."""
    from gcsfs import GCSFileSystem

    GCSFileSystem.clear_instance_cache()
