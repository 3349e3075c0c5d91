"""The packages of a program, installed once for each host and job into a folder of the job."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from batchpredict import storage
from batchpredict.errors import InstallFailed, JobCancelled
from batchpredict.training.replica import installing, wheels
from batchpredict.training.replica.generated import copy_generated
from batchpredict.training.replica.installing import Log, Wanted
from batchpredict.training.replica.projects import Project
from batchpredict.training.replica.requirements import unmet

MAX_PACKAGES = 100
"""Of a program, as of packageUris."""

_SOURCES = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar", ".zip")
# Rounds of installing what the packages that were installed in the last one need.
_ROUNDS = 50
_LOCK_SECONDS = 0.05
_UNFINISHED = "installing-"


@dataclass(frozen=True)
class Installed:
    """Where a program's packages are, and the Python that runs it.

    Attributes:
      path: of the folder that goes first into PYTHONPATH.
      python: the interpreter, which is this one: what it has, TensorFlow above all, the program has too.
    """

    path: str
    python: str


def install(packages: Sequence[str], folder: str, log: Log, *, wanted: Wanted = lambda: True) -> Installed:
    """Install packages and what they need that is not in this environment. Nothing outside of `folder` changes.

    Processes of one host that install the same packages into the same folder do it once.

    Args:
      packages: URLs of wheels and source packages; a later one's files replace an earlier one's.
      folder: of the job on this host; made if need be.
      log: told what is being done, and what an installer says.
      wanted: asked now and then whether to go on.

    Raises:
      InstallFailed: a package cannot be fetched, built or installed; names it.
      JobCancelled: it is not wanted any more.
    """
    if len(packages) > MAX_PACKAGES:
        raise InstallFailed(f"At most {MAX_PACKAGES} packages are allowed, got {len(packages)}.")
    try:
        return _installed(packages, folder, log, wanted)
    except OSError as error:
        raise InstallFailed(f"The packages cannot be installed in {folder}: {error}") from error


def _installed(packages: Sequence[str], folder: str, log: Log, wanted: Wanted) -> Installed:
    os.makedirs(folder, exist_ok=True)
    key = hashlib.sha256(json.dumps(list(packages)).encode()).hexdigest()[:16]
    site = os.path.join(os.path.abspath(folder), f"site-{key}")
    with _locked(os.path.join(folder, "packages.lock"), wanted):
        _clear(folder)
        # It gets this name when all is in it.
        if not os.path.isdir(site):
            with tempfile.TemporaryDirectory(prefix=_UNFINISHED, dir=folder) as scratch:
                made = os.path.join(os.path.abspath(scratch), "site")
                os.mkdir(made)
                for url in packages:
                    _install_one(url, made, log, wanted)
                _install_needs(made, log, wanted)
                os.rename(made, site)
    return Installed(site, sys.executable)


def _clear(folder: str) -> None:
    """Remove what somebody has left who was killed while he had the lock."""
    for name in os.listdir(folder):
        if name.startswith(_UNFINISHED):
            shutil.rmtree(os.path.join(folder, name), ignore_errors=True)


def _install_one(url: str, site: str, log: Log, wanted: Wanted) -> None:
    log(f"Installing the package {storage.name_of(url)}.")
    with tempfile.TemporaryDirectory(dir=os.path.dirname(site)) as scratch:
        path = _fetched(url, scratch)
        if path.endswith(".whl"):
            reason = None if wheels.unpack(path, site) else installing.install([path], site, log, wanted)
        elif path.endswith(_SOURCES):
            reason = _install_source(path, site, scratch, log, wanted)
        else:
            reason = "it is neither a wheel (.whl) nor a source package (.tar.gz, .zip)"
    if reason is not None:
        raise InstallFailed(f"The package {url} cannot be installed: {reason}.")


def _fetched(url: str, scratch: str) -> str:
    try:
        storage.check(url)
        if storage.is_local(url):
            path = storage.local_path(url)
            storage.size_of(url)
            return os.path.abspath(path)
        path = os.path.join(scratch, storage.name_of(url))
        storage.download(url, path)
        return path
    except FileNotFoundError:
        raise InstallFailed(f"The package {url} cannot be installed: there is no such file.") from None
    except (OSError, ValueError, ImportError) as error:
        raise InstallFailed(f"The package {url} cannot be fetched: {error}") from error


def _install_source(path: str, site: str, scratch: str, log: Log, wanted: Wanted) -> str | None:
    tree = _unpacked(path, os.path.join(scratch, "source"))
    if tree is not None and copy_generated(tree, site):
        return None
    project = Project.find(tree) if tree is not None else None
    if project is None or not project.can_be_built_here:
        return installing.install([path], site, log, wanted)
    built = os.path.join(scratch, "wheel")
    os.mkdir(built)
    wheel, ended = project.build("build_wheel", built, wanted)
    if wheel is None:
        for line in ended.lines:
            log(line)
        return ended.reason
    return None if wheels.unpack(wheel, site) else installing.install([wheel], site, log, wanted)


def _unpacked(path: str, folder: str) -> str | None:
    """The source tree in an archive; None if an installer must see what to do with it."""
    try:
        if path.endswith(".zip"):
            with zipfile.ZipFile(path) as archive:
                archive.extractall(folder)
        elif hasattr(tarfile, "data_filter"):
            with tarfile.open(path) as tar:
                tar.extractall(folder, filter="data")
        else:
            return None
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, OSError):
        return None
    names = os.listdir(folder)
    return os.path.join(folder, names[0]) if len(names) == 1 else folder


def _install_needs(site: str, log: Log, wanted: Wanted) -> None:
    asked: set[str] = set()
    for _ in range(_ROUNDS):
        needs = unmet(site)
        if not needs:
            return
        texts = [str(need) for need in needs]
        log(f"Installing what the packages need: {', '.join(texts)}.")
        reason = installing.install(texts, site, log, wanted)
        if reason is None and asked.issuperset(texts):
            reason = "it was, and is not what was asked for"
        if reason is not None:
            who = ", ".join(sorted({name for need in needs for name in need.by}))
            raise InstallFailed(f"{who} needs {', '.join(texts)}, which cannot be installed: {reason}.")
        asked.update(texts)
    raise InstallFailed(f"The packages need others that need others, and so on: {', '.join(sorted(asked))}.")


@contextlib.contextmanager
def _locked(path: str, wanted: Wanted) -> Iterator[None]:
    """Alone among the processes of this host."""
    with open(path, "ab") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not wanted():
                    raise JobCancelled("The job was cancelled.") from None
                time.sleep(_LOCK_SECONDS)
        yield
