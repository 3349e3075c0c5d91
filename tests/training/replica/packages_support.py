"""Packages that tests install: made by hand, so that they take milliseconds."""

from __future__ import annotations

import os
import tarfile
import zipfile
from collections.abc import Mapping


def wheel(
    folder: str,
    name: str,
    version: str = "1.0",
    *,
    needs: tuple[str, ...] = (),
    files: Mapping[str, str] | None = None,
    tag: str = "py3-none-any",
    python: str | None = None,
) -> str:
    """A wheel with a module of its name, which says its version."""
    path = os.path.join(folder, f"{name}-{version}-{tag}.whl")
    info = f"{name}-{version}.dist-info"
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    lines += [f"Requires-Dist: {need}" for need in needs]
    lines += [f"Requires-Python: {python}"] if python else []
    pure = "true" if tag.endswith("-any") else "false"
    content = {
        f"{name}/__init__.py": f"VERSION = {version!r}\n",
        f"{info}/METADATA": "\n".join(lines) + "\n",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: {pure}\nTag: {tag}\n",
        **(files or {}),
    }
    record = f"{info}/RECORD"
    content[record] = "".join(f"{one},,\n" for one in [*content, record])
    with zipfile.ZipFile(path, "w") as archive:
        for one, text in content.items():
            archive.writestr(one, text)
    return path


def source(folder: str, files: Mapping[str, str], *, name: str = "trainer-0.1") -> str:
    """A source package of these files."""
    path = os.path.join(folder, f"{name}.tar.gz")
    root = os.path.join(folder, "tree", name)
    write(root, files)
    with tarfile.open(path, "w:gz") as tar:
        tar.add(root, name)
    return path


def write(root: str, files: Mapping[str, str]) -> None:
    for relative, text in files.items():
        path = os.path.join(root, relative)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)


SETUP = """\
from setuptools import find_packages, setup
setup(name="trainer", version="0.1", packages=find_packages(){more})
"""
