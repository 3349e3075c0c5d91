"""The setup.py that is made for a package without one, and the source package that it makes.

It is told by its text, so that such a package is installed by a copy and setuptools need not be started. Any other
installer runs it and comes to the same.
"""

from __future__ import annotations

import gzip
import io
import os
import re
import shutil
import tarfile
from collections.abc import Iterator

_SETUP = """\
from setuptools import find_packages, setup

if __name__ == "__main__":
    setup(
        name="{name}",
        version="0.0.0",
        packages=find_packages(include=["{name}", "{name}.*"]),
        package_data={{"": ["**/*"]}},
    )
"""
_INFO = "Metadata-Version: 2.1\nName: {name}\nVersion: 0.0.0\n"
_NAME = re.compile(r'name="([A-Za-z_]\w*)"', re.ASCII)


def write_generated(package: str, folder: str) -> str:
    """Make a source package of a Python package alone, its data files with it; the path of the result.

    The same files give the same bytes.
    """
    name = os.path.basename(package)
    root = f"{name}-0.0.0"
    path = os.path.join(folder, f"{root}.tar.gz")
    with (
        open(path, "wb") as file,
        # Without a time and a name in the head.
        gzip.GzipFile("", "wb", fileobj=file, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        _add(tar, f"{root}/PKG-INFO", _INFO.format(name=name).encode())
        _add(tar, f"{root}/setup.py", _SETUP.format(name=name).encode())
        for relative in sorted(_files(package)):
            with open(os.path.join(package, relative), "rb") as source:
                _add(tar, f"{root}/{name}/{relative}", source.read())
    return path


def copy_generated(tree: str, site: str) -> bool:
    """Install an unpacked source package whose setup.py is ours; False, and nothing done, if it is another."""
    try:
        with open(os.path.join(tree, "setup.py"), encoding="utf-8") as file:
            text = file.read()
    except (OSError, UnicodeDecodeError):
        return False
    found = _NAME.search(text)
    if found is None or text != _SETUP.format(name=found[1]):
        return False
    shutil.copytree(os.path.join(tree, found[1]), os.path.join(site, found[1]), dirs_exist_ok=True)
    return True


def _files(package: str) -> Iterator[str]:
    for folder, folders, names in os.walk(package):
        folders[:] = [name for name in folders if name != "__pycache__" and not name.startswith(".")]
        for name in names:
            if not name.endswith((".pyc", ".pyo")) and not name.startswith("."):
                yield os.path.relpath(os.path.join(folder, name), package)


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    member.mode = 0o644
    tar.addfile(member, io.BytesIO(data))
