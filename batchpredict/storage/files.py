"""The file operations that the engine needs, by URL: each is what `Store` promises of it."""

from __future__ import annotations

import contextlib
import errno
import functools
import os
from collections.abc import Iterator, Sequence
from typing import IO

from batchpredict.storage import local
from batchpredict.storage.interface import AgedFile, Input
from batchpredict.storage.lines import lines_in
from batchpredict.storage.pattern import EVERYTHING, Pattern
from batchpredict.storage.retry import again
from batchpredict.storage.routing import store_of
from batchpredict.storage.upload import Upload
from batchpredict.storage.urls import join, name_of

# Of so few files it is cheaper to ask one by one than to list.
_FEW = 3

# Bytes of the first request for lines, which are often all that is asked for, and of the largest, which waits for
# the network more than for the store.
_FIRST_PIECE = 1 << 20
_LARGEST_PIECE = 8 << 20


def check(url: str) -> None:
    """Raises ValueError or ImportError with the reason if nobody here speaks the protocol of a URL."""
    store_of(url)


def is_local(url: str) -> bool:
    return store_of(url).is_local


def local_path(url: str) -> str:
    """The path of a local URL in the operating system's terms."""
    return store_of(url).local_path(url)


def canonical(url: str) -> str:
    """A URL by which a folder or file has one name, however it was spelled; links of this machine are followed.

    Wildcards stand for themselves.
    """
    return store_of(url).canonical(url)


def info(url: str) -> Input:
    """A file as it is now. Raises FileNotFoundError, and IsADirectoryError for a folder."""
    return store_of(url).info(url)


def exists(url: str) -> bool:
    """Whether there is a file or folder of this name."""
    try:
        store_of(url).info(url)
    except FileNotFoundError:
        return False
    except IsADirectoryError:
        return True
    except OSError as error:
        # A pipe or a device is there as well.
        if error.errno == errno.EINVAL and is_local(url):
            return True
        raise
    return True


def is_directory(url: str) -> bool:
    return store_of(url).is_directory(url)


def size_of(url: str) -> int:
    """Bytes of a file. Raises FileNotFoundError."""
    return store_of(url).info(url).size


def version(url: str) -> str:
    """What tells the content of a file from what it was, or will be. Raises FileNotFoundError."""
    return store_of(url).info(url).version


def open_read(url: str) -> IO[bytes]:
    """Open for sequential reading in large pieces from any offset: one `read(n)` is one ranged request."""
    return store_of(url).open_read(url)


def read_range(url: str, start: int, end: int) -> bytes:
    """Stored bytes [start, end) of a file, less what lies behind its end. Nothing is asked before it."""
    return store_of(url).read_range(url, start, end)


def lines_of(url: str, start: int = 0) -> Iterator[bytes]:
    """The lines of a file from a byte on, with their newlines, read in pieces that are worth a request.

    What passes is tried again, and gone on from.

    Raises:
      FileNotFoundError: there is no such file.
      OSError: it cannot be read.
    """
    return lines_in(_pieces(url, start))


def _pieces(url: str, start: int) -> Iterator[bytes]:
    size = _FIRST_PIECE
    while data := again(functools.partial(read_range, url, start, start + size)):
        start += len(data)
        yield data
        if not is_local(url):
            size = min(2 * size, _LARGEST_PIECE)


def open_write(url: str) -> IO[bytes]:
    """Open a new file for writing; folders are made as needed. Close it with `close_written`, or `abandon` it."""
    return store_of(url).open_write(url)


def close_written(file: IO[bytes]) -> None:
    """Close a file that was opened by `open_write`. Its bytes are on their way to stable storage; see `sync`."""
    if isinstance(file, Upload):
        file.finish()
    else:
        local.close_written(file)


def abandon(file: IO[bytes]) -> None:
    """Close a file that was opened by `open_write` and is not wanted: a store never gets it. Raises nothing.

    What was written to this machine is there under its name, to be deleted.
    """
    # On a full disk closing fails too; whoever abandons a file has a better error to raise.
    with contextlib.suppress(OSError):
        file.close()


@contextlib.contextmanager
def writing_to(url: str) -> Iterator[IO[bytes]]:
    """A new file, whole when the block has ended; if the block fails it is abandoned, and that error is raised."""
    file = open_write(url)
    try:
        yield file
    except BaseException:
        abandon(file)
        raise
    close_written(file)


def sync(*urls: str) -> None:
    """Wait until files, and their names, are on stable storage. Object stores answer only when they are."""
    if urls:
        store_of(urls[0]).sync(urls)


def sync_folders(*folders: str) -> None:
    """Wait until the names in folders of one store, and those of the folders, are on stable storage."""
    if folders:
        store_of(folders[0]).sync_folders(folders)


def read_bytes(url: str) -> bytes:
    """The whole of a small file. Raises FileNotFoundError."""
    return store_of(url).read_bytes(url)


def create_if_absent(url: str, data: bytes) -> bool:
    """Create `url` with `data` unless it exists. True if this call created it.

    Callers that race give distinct data, so that each can tell afterwards whose object it is.
    """
    return store_of(url).create_if_absent(url, data)


def replace_bytes(url: str, data: bytes) -> None:
    """Write a small file, replacing what is there in one step."""
    store_of(url).replace_bytes(url, data)


def move(source: str, target: str) -> None:
    """Give `source` the name `target`, replacing what is there. Raises FileNotFoundError without a source."""
    store_of(source).move(source, target)


def delete(url: str, *, recursive: bool = False) -> None:
    """Delete a file or, with `recursive`, a folder; what is not there is fine."""
    store_of(url).delete(url, recursive=recursive)


def tree(folder: str) -> dict[str, Input]:
    """Every file below a folder, whatever its name begins with, by its path from there, sorted by that."""
    store = store_of(folder)
    if store.is_local:
        root = store.local_path(folder)
        found = local.tree(root)
    else:
        root = store.canonical(folder)
        found = list(store.find(folder, Pattern(EVERYTHING, hidden=True)))
    root = root.rstrip("/") + "/"
    return {file.url[len(root) :]: file for file in sorted(found, key=_url) if file.url.startswith(root)}


def walk(folder: str) -> Iterator[AgedFile]:
    """All that lies below a folder, with its age, in no order; nothing if there is no such folder."""
    return store_of(folder).walk(folder)


def download(url: str, path: str) -> None:
    """Copy a file, decoded where its store says that it is encoded, to a path of this machine."""
    store_of(url).download(url, path)


def files_in(folder: str, prefix: str = "") -> dict[str, Input]:
    """The files in a folder whose names (not paths) begin with `prefix`, by name, sorted; none without a folder."""
    return {name_of(file.url): file for file in store_of(folder).files(folder, prefix)}


def sizes_in(folder: str) -> dict[str, int]:
    """Names (not paths) of the files in a folder, sorted, with their bytes; empty if there is no such folder."""
    return {name: file.size for name, file in files_in(folder).items()}


def sizes_of(folder: str, names: Sequence[str]) -> dict[str, int]:
    """Bytes of those of `names` that are files in a folder. Names that begin alike cost a store one listing."""
    store = store_of(folder)
    found: dict[str, int] = {}
    if store.is_local or len(names) <= _FEW:
        for name in names:
            with contextlib.suppress(FileNotFoundError, IsADirectoryError):
                found[name] = store.info(join(folder, name)).size
        return found
    wanted = set(names)
    prefix = os.path.commonprefix(list(names))  # noqa: RUF071 - of characters, not of folders
    for file in store.files(folder, prefix):
        if (name := name_of(file.url)) in wanted:
            found[name] = file.size
    return found


def any_begins(folder: str, prefix: str) -> bool:
    """Whether there is a file in a folder whose name begins like this."""
    return any(True for _ in store_of(folder).files(folder, prefix))


def list_names(folder: str) -> list[str]:
    """Names (not paths) of the files in a folder, sorted; empty if there is no such folder."""
    return list(sizes_in(folder))


def _url(file: Input) -> str:
    return file.url
