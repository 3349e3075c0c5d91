"""A source tree that is built: with the tools of this environment where they suffice."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from packaging.version import Version

from batchpredict.training.replica import backend
from batchpredict.training.replica.installing import Ended, Wanted, run
from batchpredict.training.replica.requirements import is_met

_LEGACY = "setuptools.build_meta:__legacy__"
# Since then setuptools builds wheels by itself.
_SETUPTOOLS_WITH_WHEELS = Version("70.1")


@dataclass(frozen=True)
class Project:
    """A folder with a setup.py or a pyproject.toml that builds something."""

    folder: str
    backend: str
    backend_path: tuple[str, ...]
    requires: tuple[str, ...]

    @classmethod
    def find(cls, folder: str) -> Project | None:
        """The project in a folder; None if there is none, or its pyproject.toml cannot be read here."""
        has_setup = os.path.isfile(os.path.join(folder, "setup.py"))
        document = _pyproject(folder)
        if document is None or not (has_setup or "project" in document or "build-system" in document):
            return None
        system = document.get("build-system", {})
        named = system.get("build-backend")
        paths = tuple(os.path.join(folder, path) for path in system.get("backend-path", ()))
        return cls(folder, named or _LEGACY, paths, tuple(system.get("requires") or _legacy_tools()))

    @property
    def can_be_built_here(self) -> bool:
        """Whether all that building takes is in this environment.

        Then it is built without another environment being made for it, which takes seconds and a package index.
        """
        return all(map(is_met, self.requires)) and "setup_requires" not in _text(self.folder, "setup.py")

    def build(self, hook: str, folder: str, wanted: Wanted) -> tuple[str | None, Ended]:
        """Build: `hook` is `build_wheel` or `build_sdist`. The path of the result in `folder`, None if it failed.

        Raises:
          JobCancelled: it is not wanted any more.
        """
        asked = {
            "backend": self.backend,
            "hook": hook,
            "folder": folder,
            "paths": self.backend_path,
            "settings": _outside(folder) if self.backend.startswith("setuptools.") else {},
        }
        ended = run([sys.executable, os.path.abspath(backend.__file__), json.dumps(asked)], self.folder, wanted)
        name = ended.lines[-1].strip() if ended.lines else ""
        path = os.path.join(folder, name)
        return (path if ended.status == 0 and name and os.path.isfile(path) else None), ended


def _outside(folder: str) -> dict[str, Any]:
    """Has setuptools write its notes not into the project, but here."""
    return {"--global-option": ["egg_info", "--egg-base", folder]}


def _legacy_tools() -> list[str]:
    try:
        old = Version(metadata.version("setuptools")) < _SETUPTOOLS_WITH_WHEELS
    except metadata.PackageNotFoundError:
        old = False
    return ["setuptools", "wheel"] if old else ["setuptools"]


def _text(folder: str, name: str) -> str:
    try:
        with open(os.path.join(folder, name), encoding="utf-8", errors="replace") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def _pyproject(folder: str) -> dict[str, Any] | None:
    """What pyproject.toml says; empty if there is none, None if it cannot be read."""
    text = _text(folder, "pyproject.toml")
    if not text:
        return {}
    if sys.version_info >= (3, 11):
        import tomllib

        try:
            return tomllib.loads(text)
        except tomllib.TOMLDecodeError:
            return None
    return None
