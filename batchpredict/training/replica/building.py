"""`--package-path`: from a folder with a Python package to a source package, as gcloud makes it."""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
from dataclasses import replace

from batchpredict.errors import InstallFailed, WrongFlag
from batchpredict.training.replica.generated import write_generated
from batchpredict.training.replica.installing import Ended, run
from batchpredict.training.replica.projects import Project


def build_package(path: str, folder: str) -> str:
    """Build the package at `path` into a source package in `folder`, and return its path.

    As for gcloud, `path` is the folder with `__init__.py`. If its parent has a setup.py, or a pyproject.toml that
    builds something, the parent is what is built; else a setup.py is made up for the package alone. Nothing is
    written beside the user's files.

    Raises:
      WrongFlag: `path` is not a Python package.
      InstallFailed: it cannot be built; the message has the last line of the builder.
    """
    package = os.path.abspath(path)
    if not os.path.isdir(package):
        raise WrongFlag(f"--package-path: {path} is not a folder.")
    if not os.path.isfile(os.path.join(package, "__init__.py")):
        raise WrongFlag(f"--package-path: {path} is not a Python package: it has no __init__.py.")
    if not re.fullmatch(r"[A-Za-z_]\w*", os.path.basename(package), re.ASCII):
        raise WrongFlag(f"--package-path: {os.path.basename(package)} cannot be the name of a Python package.")
    os.makedirs(folder, exist_ok=True)
    project = Project.find(os.path.dirname(package))
    return write_generated(package, folder) if project is None else _built(project, package, folder)


def _built(project: Project, package: str, folder: str) -> str:
    with tempfile.TemporaryDirectory() as scratch:
        if not os.access(project.folder, os.W_OK):
            copied = shutil.copytree(project.folder, os.path.join(scratch, "copy"), symlinks=True)
            project = replace(project, folder=str(copied))
        out = os.path.join(scratch, "out")
        os.mkdir(out)
        if project.can_be_built_here:
            made, ended = project.build("build_sdist", out, _always)
        else:
            made, ended = _by_a_tool(project.folder, out)
        if made is None:
            raise InstallFailed(f"--package-path: {package} cannot be built: {ended.reason}.")
        return str(shutil.move(made, os.path.join(folder, os.path.basename(made))))


def _by_a_tool(project: str, out: str) -> tuple[str | None, Ended]:
    """Build where this environment lacks what that takes: the tool makes an environment for it."""
    uv = shutil.which("uv")
    if uv:
        command = [uv, "build", "--sdist", "--out-dir", out, project]
    else:
        # It makes no source packages; what it makes serves as well, on machines like this one.
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", out, project]
    ended = run(command, out, _always)
    names = [name for name in os.listdir(out) if name.endswith((".whl", ".tar.gz"))]
    return (os.path.join(out, names[0]) if ended.status == 0 and names else None), ended


def _always() -> bool:
    return True
