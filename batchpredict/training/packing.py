"""A package of this machine, packed and put where the hosts of a job find it."""

from __future__ import annotations

import hashlib
import os
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator

from batchpredict import storage
from batchpredict.errors import WrongCall
from batchpredict.training.folder import FOLDER
from batchpredict.training.replica import build_package


def pack(path: str, staging: str, *, flag: str = "--job-dir") -> str:
    """Build a source package of a folder; its URL below `staging`, which `flag` has named.

    The same content has the same URL, so that a job that is run again is known to be the same.

    Raises:
      WrongCall: there is no such package, or it cannot be put there.
    """
    with tempfile.TemporaryDirectory(prefix="batchpredict-package-") as place:
        built = build_package(path, place)
        with open(built, "rb") as file:
            data = file.read()
        url = storage.join(staging, FOLDER, "packages", _digest(built), os.path.basename(built))
        try:
            if not storage.exists(url):
                storage.replace_bytes(url, data)
        except OSError as error:
            raise WrongCall(f"{flag}: the package cannot be put into '{staging}': {error}") from error
        return url


def _digest(built: str) -> str:
    """Of the files in a package: the archive itself says when it was made, and so differs each time."""
    found = hashlib.sha256()
    for name, data in sorted(_wheel(built) if built.endswith(".whl") else _source(built)):
        found.update(f"{name}\0{len(data)}\0".encode("utf-8", "surrogateescape") + data)
    return found.hexdigest()[:16]


def _wheel(built: str) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(built) as archive:
        for name in archive.namelist():
            yield name, archive.read(name)


def _source(built: str) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(built) as archive:
        for member in archive:
            file = archive.extractfile(member) if member.isreg() else None
            yield f"{member.name}\0{member.linkname}\0{member.mode:o}", b"" if file is None else file.read()
