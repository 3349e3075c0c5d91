"""A model at a URL, brought to this machine once, however many workers ask for it at the same time."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
import uuid
from typing import Any

from fsspec.implementations.local import LocalFileSystem

from batchpredict import storage
from batchpredict.errors import ModelUnusable
from batchpredict.storage.clients import os_errors
from batchpredict.storage.files import locate
from batchpredict.storage.match import version_of

_NAMES = ("saved_model.pb", "saved_model.pbtxt")


def model_files(uri: str) -> list[tuple[str, int, str]]:
    """Every file of a SavedModel: path relative to its folder, bytes, version. Sorted by path.

    Raises:
      ModelUnusable: there is no SavedModel at `uri`.
    """
    try:
        fs, root = locate(uri)
        fs.invalidate_cache()
        if isinstance(fs, LocalFileSystem) and fs.isfile(root):
            raise ModelUnusable(f"uri: '{uri}' is a file; give the folder of the SavedModel.")
        prefix = root.rstrip("/") + "/"
        with os_errors():
            found: dict[str, dict[str, Any]] = fs.find(root, detail=True)
            # A listing over HTTP is a page of links: it knows names and nothing else.
            details = {
                path[len(prefix) :]: fs.info(path) if info["size"] is None else info
                for path, info in found.items()
                if path.startswith(prefix)
            }
    except ModelUnusable:
        raise
    except Exception as error:
        # Clients of object stores have exceptions of their own for what was refused or lost on the way.
        raise ModelUnusable(f"uri: the model at '{uri}' cannot be read: {error}") from error
    files = sorted((name, int(info["size"] or 0), version_of(info)) for name, info in details.items())
    if not any(name in _NAMES for name, _, _ in files):
        there = "there is no saved_model.pb in that folder" if files else "there is no such folder"
        raise ModelUnusable(f"uri: '{uri}' is not a SavedModel: {there}.")
    return files


def model_digest(uri: str) -> str:
    """What tells two contents of a model's folder apart: a hash of the names, sizes and versions of its files.

    Raises:
      ModelUnusable: there is no SavedModel at `uri`.
    """
    return hashlib.sha256(repr(model_files(uri)).encode()).hexdigest()


def cache_folder() -> str:
    """Where fetched models are kept: $BATCHPREDICT_CACHE, else the user's cache folder."""
    named = os.environ.get("BATCHPREDICT_CACHE")
    if named:
        return named
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(home, "batchpredict")


def fetch_model(uri: str, cache: str | None = None) -> str:
    """The local folder of a model. A local model is used where it is.

    A remote one is copied to a folder named by its URL and the versions of its files, so a changed model is a
    new copy. A lock makes later callers wait for the first; the copy gets its name when it is whole, so one
    that was interrupted is never used.

    Raises:
      ModelUnusable: there is no SavedModel at `uri`, or it cannot be read.
    """
    if _is_local(uri):
        return storage.local_path(uri)
    files = model_files(uri)
    digest = hashlib.sha256(repr((uri, files)).encode()).hexdigest()[:32]
    folder = os.path.join(cache or cache_folder(), "models")
    target = os.path.join(folder, digest)
    if os.path.isdir(target):
        return target
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError:
        # A machine whose user has no home, as in some containers.
        folder = os.path.join(tempfile.gettempdir(), f"batchpredict-{os.getuid()}", "models")
        target = os.path.join(folder, digest)
        os.makedirs(folder, exist_ok=True)
    with open(f"{target}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.isdir(target):
            _copy(uri, [name for name, _, _ in files], target)
    return target


def _is_local(uri: str) -> bool:
    try:
        return storage.is_local(uri)
    except (ImportError, ValueError) as error:
        # No such protocol, or its package is not installed.
        raise ModelUnusable(f"uri: the model at '{uri}' cannot be read: {error}") from error


def _copy(uri: str, names: list[str], target: str) -> None:
    aside = f"{target}.{uuid.uuid4().hex[:8]}"
    fs, root = locate(uri)
    try:
        for name in names:
            path = os.path.join(aside, *name.split("/"))
            os.makedirs(os.path.dirname(path), exist_ok=True)
            fs.get_file(storage.join(root, name), path)
        # A SavedModel without variables need not have the folder, and some stores keep no empty ones.
        os.makedirs(os.path.join(aside, "variables"), exist_ok=True)
        os.rename(aside, target)
    except Exception as error:
        raise ModelUnusable(f"uri: the model at '{uri}' cannot be read: {error}") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
