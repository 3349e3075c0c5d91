"""A package of this machine, packed and put where the hosts of a job find it."""

from __future__ import annotations

import hashlib
import os
import tempfile

from batchpredict import storage
from batchpredict.errors import WrongCall
from batchpredict.training.folder import FOLDER
from batchpredict.training.replica import build_package


def pack(path: str, staging: str) -> str:
    """Build a source package of a folder; its URL below `staging`.

    The same content has the same URL, so that a job that is run again is known to be the same.

    Raises:
      WrongCall: there is no such package, or it cannot be put there.
    """
    with tempfile.TemporaryDirectory(prefix="batchpredict-package-") as place:
        built = build_package(path, place)
        with open(built, "rb") as file:
            data = file.read()
        digest = hashlib.sha256(data).hexdigest()[:16]
        url = storage.join(staging, FOLDER, "packages", digest, os.path.basename(built))
        try:
            if not storage.exists(url):
                storage.replace_bytes(url, data)
        except OSError as error:
            raise WrongCall(f"--package-path: the package cannot be put into '{staging}': {error}") from error
        return url
