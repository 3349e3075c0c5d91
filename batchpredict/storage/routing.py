"""Which store a URL belongs to."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator

import fsspec
from fsspec.implementations.local import LocalFileSystem

from batchpredict.storage.interface import Store
from batchpredict.storage.local import LocalStore

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*(?:::[A-Za-z0-9+.\-]+)*)://")
# Their names are those of files within others, so that two colons lead on to the URL of the outer one. In the names
# of all others two colons are two colons.
_CHAINED = frozenset(
    ("zip", "tar", "libarchive", "reference", "dir", "blockcache", "cached", "filecache", "simplecache")
)
_LOCAL = LocalStore()
_mounted: dict[str, Store] = {}


def store_of(url: str) -> Store:
    """The store of a URL.

    Raises:
      ValueError: nobody here speaks its protocol.
      ImportError: the package that speaks it is not installed.
    """
    found = _SCHEME.match(url)
    if found is None:
        return _LOCAL
    scheme = found[1]
    if scheme in _mounted:
        return _mounted[scheme]
    from batchpredict.storage.http import HttpStore
    from batchpredict.storage.remote import ChainedStore, LiteralMemory, RemoteStore

    if "::" in scheme or scheme in _CHAINED:
        return ChainedStore(url)
    if scheme == "memory":
        return RemoteStore(LiteralMemory())
    if scheme in ("gs", "gcs") and "STORAGE_EMULATOR_HOST" in os.environ:
        # gcsfs asks for the kind of a bucket by another protocol, which no emulator speaks, and waits a minute.
        os.environ.setdefault("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
    # The options that these two find in a URL make a part of its name, behind `#` or `?versionId=`, something else.
    literal = scheme in ("gs", "gcs", "s3", "s3a")
    options = {} if literal else fsspec.get_filesystem_class(scheme)._get_kwargs_from_urls(url)
    fs = fsspec.filesystem(scheme, **options)
    if isinstance(fs, LocalFileSystem):
        return _LOCAL
    return HttpStore(fs) if scheme in ("http", "https") else RemoteStore(fs)


@contextlib.contextmanager
def mounted(scheme: str, store: Store) -> Iterator[None]:
    """While this lasts, URLs of a scheme belong to a store, in this process."""
    before = _mounted.get(scheme)
    _mounted[scheme] = store
    try:
        yield
    finally:
        del _mounted[scheme]
        if before is not None:
            _mounted[scheme] = before
