"""The service's own copies of the files of versions, in its data folder.

DATA/models/index/ID.json       whose a copy is; there before the first of its files, and until after the last
DATA/models/copies/ID/          the files of a SavedModel

A copy gets an id that nothing ever had. It counts when its version's row names its folder, which is the one step
that makes it a version's; until then, and after that row is gone, the index tells that there is something to
delete. So nothing that a power cut leaves is forgotten.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

from batchpredict import storage
from batchpredict.service.access.interface import Paths
from batchpredict.service.registry import sources

_log = logging.getLogger(__name__)

_BLOCK = 1 << 20
# A model that changes this often while it is copied is being written.
_ATTEMPTS = 3


@dataclass(frozen=True)
class Owner:
    """Which operation a copy was made by, and of what version."""

    project: str
    model: str
    version: str
    operation: str


@dataclass(frozen=True)
class Copied:
    """What was copied: number of files, their bytes, and a SHA-256 over names and contents in hexadecimal."""

    files: int
    bytes: int
    sha256: str


class CopyDamaged(OSError):
    """What was written is not what is read."""


class Copies:
    """The copies in a data folder. Used from many threads and processes.

    Args:
      data: the data folder, a path or a URL.
      readable: other users of this machine read the copies, among them the one that jobs run as.
    """

    def __init__(self, data: str, *, readable: bool = False) -> None:
        self.readable = readable
        root = storage.join(storage.canonical(data), "models")
        self._index = storage.join(root, "index")
        self._copies = storage.join(root, "copies")

    def begin(self, owner: Owner) -> str:
        """The folder of a new copy, which is empty; the index has it. Raises OSError."""
        name = uuid.uuid4().hex
        storage.create_if_absent(self._entry(name), json.dumps(asdict(owner)).encode())
        return storage.join(self._copies, name)

    def all(self) -> Iterator[tuple[str, Owner]]:
        """The folder of every copy, also of half of one, and whose it is. Raises OSError."""
        for entry in storage.list_names(self._index):
            name, _, suffix = entry.partition(".")
            if suffix != "json":
                continue
            try:
                owner = Owner(**json.loads(storage.read_bytes(self._entry(name))))
            except FileNotFoundError:
                # Another process has deleted it since.
                continue
            except (ValueError, TypeError):
                _log.warning("'%s' is not an entry of the index of copies", self._entry(name))
                continue
            yield storage.join(self._copies, name), owner

    def delete(self, folder: str) -> None:
        """Delete a copy; what is not there is fine. Raises OSError."""
        if storage.is_local(folder):
            # Under its own name: what an interruption leaves of it is found again by that.
            _remove(storage.local_path(folder))
        else:
            storage.delete(folder, recursive=True)
        storage.delete(self._entry(storage.name_of(folder)))

    def _entry(self, name: str) -> str:
        return storage.join(self._index, f"{name}.json")


def _remove(path: str) -> None:
    while os.path.isdir(path):
        # Another process may delete it as well.
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(path)


def copy_model(
    uri: str, folder: str, paths: Paths, field: str, go_on: Callable[[], None], *, readable: bool = False
) -> Copied:
    """Copy a SavedModel, and read the copy once more.

    Args:
      uri: where it is.
      folder: of the copy; empty.
      paths: where files may be read from.
      field: that names `uri`, for messages.
      go_on: called between blocks; raises to end this.
      readable: other users of this machine may read the copy, whatever the umask.

    Raises:
      InvalidJob: there is no SavedModel, or it cannot or may not be read.
      OSError: the copy cannot be written.
      CopyDamaged: the copy does not hold what was written.
    """
    files = sources.model_files(uri, paths, field)
    for _ in range(_ATTEMPTS):
        digests = {name: _copy(uri, name, file, folder, paths, field, go_on) for name, file in files.items()}
        found = sources.model_files(uri, paths, field)
        if found == files:
            _make_durable(folder, list(files), readable)
            return _verified(folder, digests, go_on)
        for name in files:
            storage.delete(storage.join(folder, name))
        files = found
    raise sources.refused(
        field, f"The model at '{uri}' changes while it is copied; create the version when it is written."
    )


def _copy(
    uri: str,
    name: str,
    file: storage.Input,
    folder: str,
    paths: Paths,
    field: str,
    go_on: Callable[[], None],
) -> tuple[int, str]:
    """Copy one file; its bytes, and their SHA-256."""
    digest, size = hashlib.sha256(), 0
    with storage.writing_to(storage.join(folder, name)) as target:
        for block in sources.blocks(uri, name, file, paths, field):
            go_on()
            target.write(block)
            digest.update(block)
            size += len(block)
    return size, digest.hexdigest()


def _make_durable(folder: str, names: list[str], readable: bool) -> None:
    if storage.is_local(folder):
        top = storage.local_path(folder)
        # A SavedModel without variables has the folder all the same, or some TensorFlow would not load it.
        os.makedirs(os.path.join(top, "variables"), exist_ok=True)
        if readable:
            _open_up(top)
    urls = [storage.join(folder, name) for name in names]
    storage.sync(*urls)
    storage.sync_folders(*sorted({folder, *(storage.parent(url) for url in urls)}))


def _open_up(top: str) -> None:
    """Let others read what is below a folder, and pass through the two above it without reading them."""
    for folder, _, names in os.walk(top):
        os.chmod(folder, 0o755)
        for name in names:
            os.chmod(os.path.join(folder, name), 0o644)
    for folder in (os.path.dirname(top), os.path.dirname(os.path.dirname(top))):
        os.chmod(folder, 0o711)


def _verified(folder: str, digests: dict[str, tuple[int, str]], go_on: Callable[[], None]) -> Copied:
    whole = hashlib.sha256()
    for name, (size, digest) in sorted(digests.items()):
        found, count = hashlib.sha256(), 0
        with storage.open_read(storage.join(folder, name)) as file:
            while block := file.read(_BLOCK):
                go_on()
                found.update(block)
                count += len(block)
        if (count, found.hexdigest()) != (size, digest):
            raise CopyDamaged(f"The copy of '{name}' holds other bytes than were written to it.")
        whole.update(f"{name}\0{digest}\n".encode())
    return Copied(len(digests), sum(size for size, _ in digests.values()), whole.hexdigest())
