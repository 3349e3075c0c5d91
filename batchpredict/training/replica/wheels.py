"""Wheels of pure Python, which are installed by unpacking them.

A wheel of tag `none-any` without a data directory holds just what belongs into site-packages (PEP 427), and an
installer would only add byte code and scripts, which a replica does not need. That takes milliseconds where an
installer takes a second. Every other wheel is left to one.
"""

from __future__ import annotations

import os
import platform
import shutil
import zipfile
from email.parser import HeaderParser

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.tags import interpreter_name, interpreter_version
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion


def unpack(path: str, site: str) -> bool:
    """Install a wheel into a folder; False, and nothing done, if that takes an installer.

    What is wrong with a wheel is left to the installer too, which has words for it.
    """
    try:
        name, _, _, tags = parse_wheel_filename(os.path.basename(path))
    except (InvalidWheelFilename, InvalidVersion):
        return False
    here = {"py3", f"py{interpreter_version()}", f"{interpreter_name()}{interpreter_version()}"}
    if not any(tag.abi == "none" and tag.platform == "any" and tag.interpreter in here for tag in tags):
        return False
    try:
        with zipfile.ZipFile(path) as wheel:
            if not _simple(wheel):
                return False
            _forget(name, site)
            wheel.extractall(site)
    except (zipfile.BadZipFile, KeyError, UnicodeDecodeError, InvalidSpecifier):
        return False
    return True


def _simple(wheel: zipfile.ZipFile) -> bool:
    tops = {name.partition("/")[0] for name in wheel.namelist()}
    info = [top for top in tops if top.endswith(".dist-info")]
    if len(info) != 1 or any(top.endswith(".data") for top in tops):
        return False
    metadata = HeaderParser().parsestr(wheel.read(f"{info[0]}/METADATA").decode())
    needed = metadata["Requires-Python"]
    return not needed or SpecifierSet(needed).contains(platform.python_version(), prereleases=True)


def _forget(name: str, site: str) -> None:
    """Take away the metadata of another version of a package."""
    for entry in os.listdir(site):
        stem, suffix = os.path.splitext(entry)
        if suffix == ".dist-info" and canonicalize_name(stem.rpartition("-")[0]) == name:
            shutil.rmtree(os.path.join(site, entry))
