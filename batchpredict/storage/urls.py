"""Joining and splitting URLs. A path without a protocol is local."""

from __future__ import annotations

import os


def join(base: str, *parts: str) -> str:
    """`base` extended by `parts`, with one slash between them whatever `base` ends in."""
    url = base
    for part in parts:
        url = url + part if url.endswith("/") else f"{url}/{part}"
    return url


def parent(url: str) -> str:
    """The folder that holds `url`; "" for a name without a folder."""
    return url.rstrip("/").rpartition("/")[0]


def name_of(url: str) -> str:
    """The last part of `url`."""
    return url.rstrip("/").rpartition("/")[2]


def absolute(url: str) -> str:
    """A path of this machine from its root, whatever the working directory; a URL as it is."""
    return url if "://" in url else os.path.abspath(url)
