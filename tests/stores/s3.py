"""A server that speaks S3's protocol, behind a proxy that can be told to fail."""

from __future__ import annotations

import contextlib
import glob
import os
import urllib.request
from collections.abc import Iterator

import pytest
from stores.store import CACHE, Store, proxied

_INSTALLED = os.path.join(CACHE, "moto-*", "bin", "moto_server")


def binary() -> str | None:
    """The server's program; None where it is not installed."""
    return max(glob.glob(_INSTALLED), default=None)


@contextlib.contextmanager
def serving(bucket: str = "tests") -> Iterator[Store]:
    """A server of its own; clients of this process and its children find it through the environment."""
    program = binary()
    if program is None:
        pytest.skip("no server for s3:// is installed; tests/stores/install s3 installs one")
    pytest.importorskip("s3fs", reason="pip install 'batchpredict[s3]'")
    with proxied(lambda port, _: [program, "-H", "127.0.0.1", "-p", str(port)], "/moto-api/") as proxy:
        host, port = proxy.backend
        urllib.request.urlopen(urllib.request.Request(f"http://{host}:{port}/{bucket}", method="PUT")).close()
        with pytest.MonkeyPatch.context() as patched:
            patched.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{proxy.port}")
            patched.setenv("AWS_ACCESS_KEY_ID", "testing")
            patched.setenv("AWS_SECRET_ACCESS_KEY", "testing")
            patched.setenv("AWS_DEFAULT_REGION", "us-east-1")
            yield Store(proxy, f"s3://{bucket}")
    _forget_clients()


def _forget_clients() -> None:
    """fsspec keeps a client for each set of options, and this one's server is gone."""
    from s3fs import S3FileSystem

    S3FileSystem.clear_instance_cache()
