"""What a store of files must give: the contract that the engine and its commit protocol are built on.

`tests/storage` checks it on every store that is here, and any other is one more fixture there.
"""

from __future__ import annotations

import abc
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from batchpredict.storage.pattern import Pattern


@dataclass(frozen=True)
class Input:
    """A file as it was found.

    Attributes:
      url: by which every operation finds this very file.
      size: bytes as they are stored, which is what `read_range` counts.
      version: changes when the content does (generation, ETag or mtime); "" if nothing tells.
      encoding: how the store says that the stored bytes are encoded (HTTP's Content-Encoding, which is what
        `gsutil cp -Z` sets): such a file is a compressed one whatever its name is. "" for bytes as they are.
      changed: when it was written last, by the clock of its store, in seconds since the epoch; None if that is not
        said. It does not tell files apart.
    """

    url: str
    size: int
    version: str
    encoding: str = ""
    changed: float | None = field(default=None, compare=False)


@dataclass(frozen=True)
class AgedFile:
    """A file, or on a local disk an empty folder, whose path then ends in a slash.

    Attributes:
      path: below the folder that was asked for.
      size: bytes.
      changed: when it was written last, in seconds since the epoch; None if the store does not say.
    """

    path: str
    size: int
    changed: float | None


class Store(abc.ABC):
    """Files by URL.

    Names. A URL is a name, to the letter, for every operation: `*`, `?`, `[`, `::`, `#`, `%` and spaces stand for
    themselves. What a listing gives is the URL by which that file is read, replaced and deleted. Folders are what
    names have before a slash; a store need not keep empty ones, and writing makes those that are missing.

    Consistency. What a call has written is seen by every call, of any process, that begins after it has returned:
    in reads and in listings. A listing that runs while files come and go gives each of those, or not.

    Errors. Every failure is an OSError, known by its type: FileNotFoundError where there is nothing by that name
    (also where one of its folders is a file), PermissionError where the store says that it may not be. Its text is
    the store's, on one line, and decides nothing. No operation takes a failure for an answer: `info` of a file that
    may not be looked at raises, and does not say that there is none. A store that answers that it is busy is asked
    again here, some times, before that becomes an error.

    Threads. Any number of threads and processes may use a store, and several may write one name: `create_if_absent`
    lets one of them win, of the others the last one does. Files that were opened belong to one thread.
    """

    is_local = False
    """Whether files have paths of the operating system, and one read is one system call."""

    @abc.abstractmethod
    def info(self, url: str) -> Input:
        """A file as it is now. Raises FileNotFoundError, and IsADirectoryError for a folder."""

    @abc.abstractmethod
    def is_directory(self, url: str) -> bool:
        """Whether there is a folder of this name. It may hold nothing."""

    @abc.abstractmethod
    def files(self, folder: str, prefix: str = "") -> Iterator[Input]:
        """The files directly in a folder whose names begin with `prefix`, sorted by name, as they are found.

        None if there is no such folder.
        """

    @abc.abstractmethod
    def find(self, folder: str, pattern: Pattern) -> Iterator[Input]:
        """The files below a folder that a pattern takes, sorted by URL, as they are found.

        None if there is no such folder. Raises OSError with its name if a folder that the pattern enters may not be
        listed.
        """

    @abc.abstractmethod
    def open_read(self, url: str) -> IO[bytes]:
        """Open for sequential reading in large pieces from any offset: one `read(n)` is one ranged request.

        What is read are the stored bytes. Raises FileNotFoundError.
        """

    @abc.abstractmethod
    def read_range(self, url: str, start: int, end: int) -> bytes:
        """The stored bytes [start, end) of a file, less what lies behind its end. Nothing is asked before it.

        Less than there is may come, but nothing at all only where the file ends at `start` or before.
        """

    @abc.abstractmethod
    def read_bytes(self, url: str) -> bytes:
        """The whole of a small file, decoded where the store says that it is encoded. Raises FileNotFoundError.

        Of a pipe of this machine, what comes out of it until it is closed.
        """

    @abc.abstractmethod
    def open_write(self, url: str) -> IO[bytes]:
        """Open a new file. It is there, whole, once `close_written` has returned, and never after `abandon`.

        Until then a local file may be seen under its name. A file that is in the way is replaced.
        """

    @abc.abstractmethod
    def create_if_absent(self, url: str, data: bytes) -> bool:
        """Create a file unless there is one. True if this call created it.

        Atomic: of any number of callers exactly one creates it, nobody ever reads half of it, and it survives a
        power cut once that call has returned, with the folders that were made for it. Callers that race give
        distinct data: that is how a call whose answer was lost, and which is made again, knows its own file.
        """

    @abc.abstractmethod
    def replace_bytes(self, url: str, data: bytes) -> None:
        """Write a small file, replacing what is there in one step."""

    @abc.abstractmethod
    def move(self, source: str, target: str) -> None:
        """Give a file another name in the same store, replacing what is there.

        One step where files can be renamed. On an object store it is a copy and then a delete, so what is
        interrupted leaves a whole source behind. Raises FileNotFoundError, and leaves the target, without a source.
        """

    @abc.abstractmethod
    def delete(self, url: str, *, recursive: bool = False) -> None:
        """Delete a file, or with `recursive` a folder and all below it. What is not there is fine."""

    @abc.abstractmethod
    def download(self, url: str, path: str) -> None:
        """Copy a file, decoded where the store says that it is encoded, to a path of this machine."""

    @abc.abstractmethod
    def walk(self, folder: str) -> Iterator[AgedFile]:
        """All that lies below a folder, in no order; nothing if there is no such folder."""

    def canonical(self, url: str) -> str:
        """The URL by which listings name a file or folder, without a slash at its end, however it was spelled."""
        return url.rstrip("/")

    def sync(self, urls: Sequence[str]) -> None:  # noqa: B027 - for most stores this is all
        """Wait until files that were closed, and their names, are on stable storage.

        Stores that answer only when that is so have nothing to do here.
        """

    def sync_folders(self, folders: Sequence[str]) -> None:  # noqa: B027 - for most stores this is all
        """Wait until the names in folders, and those of the folders themselves, are on stable storage.

        Stores that have no folders have nothing to do here.
        """

    def local_path(self, url: str) -> str:
        """The path of a file in the operating system's terms; only where `is_local`."""
        raise NotImplementedError(f"{url} has no path on this machine")
