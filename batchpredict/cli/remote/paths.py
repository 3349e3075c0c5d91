"""Paths as they mean the same to the service, whose working directory is another one."""

from __future__ import annotations

import glob
import os


def absolute(path: str, *, pattern: bool = False) -> str:
    """A local path from the root; a URL as it is.

    Args:
      pattern: whether it may have wildcards: then those that the working directory has in its own name are quoted.
    """
    if not path or "://" in path or "::" in path:
        return path
    if os.path.isabs(path):
        return path
    here = os.getcwd()
    return os.path.normpath(os.path.join(glob.escape(here) if pattern else here, path))
