"""One look for files: what is listed, what was taken, and what was seen before, joined in one pass.

All three are sorted by URL, so a pass over a million files holds none of them. What it takes is written to the list
of the next epoch as it goes; what has to wait is kept, with the time at which it was seen first, in a temporary
file for the next pass.
"""

from __future__ import annotations

import contextlib
import functools
import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import IO

import orjson

from batchpredict import storage
from batchpredict.epochs.files import Changed, Sighting, Verdict, judge
from batchpredict.epochs.folder import Folder, new_name
from batchpredict.epochs.runs import Cursor, TakenFile
from batchpredict.epochs.state import FileList
from batchpredict.errors import NoInput, NoMatch, NotListed, WrongFlag
from batchpredict.ledger import spool, spooling, writing

# Names that are said of files that are many.
_NAMED = 5
# As `._COPYING_`, which no pattern takes (`storage.pattern`): what a program writes to before it renames the file.
_WRITTEN = ".tmp"


@dataclass(frozen=True)
class Wanted:
    """Which files are wanted.

    Attributes:
      patterns: as inputPaths has them.
      settle: seconds for which a file has to be unchanged.
      changed: what is to become of a file that has changed since it was taken.
      max_files, max_bytes: bounds of an epoch, of which at least one file is taken; None for no bound.
    """

    patterns: tuple[str, ...]
    settle: float = 10.0
    changed: Changed = Changed.RESCORE
    max_files: int | None = None
    max_bytes: int | None = None


@dataclass
class Look:
    """What came of a look.

    Attributes:
      chosen: the files that are to be taken, stored; None for none.
      full: there are more of them than one epoch takes.
      waiting: files that may still be written.
      rescored, ignored: files that have changed since they were taken, of which the second are told of once.
      names: the first of these.
      refused: a file that has changed, where that must not be; nothing is taken then. "" for none.
      empty: no pattern matches anything.
    """

    chosen: FileList | None = None
    full: bool = False
    waiting: int = 0
    rescored: int = 0
    ignored: int = 0
    names: list[str] = field(default_factory=list)
    refused: str = ""
    empty: bool = True

    def name(self, url: str) -> None:
        if len(self.names) < _NAMED:
            self.names.append(url)


class Observed:
    """The files that were seen and not taken, with when they were seen first as they are."""

    def __init__(self) -> None:
        self._file: IO[bytes] = spool()
        self._next: IO[bytes] = spool()

    def close(self) -> None:
        self._file.close()
        self._next.close()

    def read(self) -> Iterator[tuple[str, int, str, float]]:
        """URL, size, version, and when it was seen first, sorted by URL."""
        self._file.seek(0)
        for line in self._file:
            yield tuple(orjson.loads(line))

    def keep(self, file: storage.Input, since: float) -> None:
        """Remember a file for the next pass. In the order in which files are listed."""
        line = (file.url, file.size, file.version, since)
        self._next.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))

    def begin(self) -> None:
        """A pass begins: what one before it that was not finished has kept does not count."""
        self._next.seek(0)
        self._next.truncate()

    def turn(self) -> None:
        """A pass is finished: what it has kept is what the next one reads."""
        self._file, self._next = self._next, self._file


def look(
    folder: Folder,
    wanted: Wanted,
    taken: Callable[[str], TakenFile | None],
    observed: Observed,
    *,
    now: float,
    time: float,
) -> Look:
    """List the files, and store a list of those that are to be taken.

    Args:
      folder: of the watch; the list is written there, and is the caller's.
      wanted: which files are.
      taken: gives the last epoch that took a file; is asked in the order of URLs.
      observed: what earlier passes saw; it is what this one saw afterwards, unless an error is raised.
      now: on a clock that is never set.
      time: seconds since the epoch.

    Raises:
      NoInput: a pattern cannot be listed.
      OutputRefused: the output folder cannot be written.
      JobFailed: there is no room for temporary files.
      Gone: of `taken`.
    """
    found = Look()
    with spooling(), list_writer(folder) as writer:
        observed.begin()
        sorted_seen = Cursor(observed.read())
        for file in listed(folder.output_path, wanted.patterns):
            found.empty = False
            known = taken(file.url)
            if known is not None and known[3] == file.version and known[2] == file.size:
                continue
            seen = sorted_seen.at(file.url)
            first = seen is None or seen[1:3] != (file.size, file.version)
            since = now if first or seen is None else seen[3]
            verdict = judge(
                Sighting(
                    taken=None if known is None else False,
                    seen_for=now - since,
                    age=None if file.changed is None else time - file.changed,
                ),
                settle=wanted.settle,
                changed=wanted.changed,
            )
            if verdict is Verdict.REFUSE:
                return Look(refused=file.url, empty=False)
            if verdict in (Verdict.TAKE, Verdict.RESCORE) and not found.full:
                if writer.fits(file, wanted):
                    writer.write(file)
                    if verdict is Verdict.RESCORE:
                        found.rescored += 1
                        found.name(file.url)
                    continue
                found.full = True
            observed.keep(file, since)
            found.waiting += verdict is Verdict.WAIT
            if verdict is Verdict.IGNORE and first:
                found.ignored += 1
                found.name(file.url)
        found.chosen = writer.finish()
        observed.turn()
    return found


class ListWriter:
    """Writes the list of an epoch; there is no file before there is something to write."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._name = new_name()
        self._file: IO[bytes] | None = None
        self._files = self._bytes = 0

    def fits(self, file: storage.Input, wanted: Wanted) -> bool:
        """Whether a file is within the bounds of an epoch; the first one always is."""
        if not self._files:
            return True
        if wanted.max_files is not None and self._files >= wanted.max_files:
            return False
        return wanted.max_bytes is None or self._bytes + file.size <= wanted.max_bytes

    def write(self, file: storage.Input) -> None:
        line = (file.url, file.size, file.version, *([file.encoding] if file.encoding else []))
        with writing(self._folder.output_path):
            if self._file is None:
                self._file = storage.open_write(self._folder.list(self._name))
            self._file.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
        self._files += 1
        self._bytes += file.size

    def finish(self) -> FileList | None:
        """The list, on stable storage; None if it is of nothing."""
        file, self._file = self._file, None
        if file is None:
            return None
        with writing(self._folder.output_path):
            storage.close_written(file)
            storage.sync(self._folder.list(self._name))
            storage.sync_folders(self._folder.lists)
        return FileList(self._name, self._files, self._bytes)

    def abandon(self) -> None:
        if self._file is not None:
            storage.abandon(self._file)
            with contextlib.suppress(OSError):
                storage.delete(self._folder.list(self._name))


@contextlib.contextmanager
def list_writer(folder: Folder) -> Iterator[ListWriter]:
    """A list that is being written; it goes if that is not finished."""
    writer = ListWriter(folder)
    try:
        yield writer
    finally:
        writer.abandon()


def listed(output_path: str, patterns: Sequence[str]) -> Iterator[storage.Input]:
    """The files that patterns match, sorted by URL, each once; none that lies in the output folder.

    Raises:
      NoInput: a pattern cannot be listed, or the store does not list in order.
    """
    left_out = _Left(output_path)
    sources = [_expanded(pattern, left_out) for pattern in patterns]
    files = sources[0] if len(sources) == 1 else heapq.merge(*sources, key=lambda file: file.url)
    last = ""
    for file in files:
        if file.url == last:
            continue
        if file.url < last:
            raise NoInput(f"inputPaths: files are not listed in order of their names: '{file.url}' after '{last}'")
        last = file.url
        yield file


def _expanded(pattern: str, left_out: Callable[[str], bool]) -> Iterator[storage.Input]:
    spelled = pattern.endswith(_WRITTEN)
    try:
        for file in storage.expand(pattern, left_out=left_out):
            if spelled or not file.url.endswith(_WRITTEN):
                yield file
    except NotListed as error:
        raise NoInput(f"inputPaths: {error}") from error
    except NoMatch:
        # That nothing is there yet is no error of somebody who waits for it.
        return


class _Left:
    """Tells of a URL whether it lies in the output folder."""

    def __init__(self, output_path: str) -> None:
        self._folder = storage.canonical(output_path)
        # Links are followed once for each folder, not for each file.
        self._canonical = functools.lru_cache(maxsize=256)(storage.canonical)

    def __call__(self, url: str) -> bool:
        inside = self._canonical(storage.parent(url) or "/")
        return inside == self._folder or inside.startswith(f"{self._folder}/")


def refuse_inputs_in_output(output_path: str, patterns: Iterable[str]) -> None:
    """Refuse a pattern that asks for files of the output folder only.

    Raises:
      WrongFlag: one does.
    """
    left_out = _Left(output_path)
    for pattern in patterns:
        parts = storage.absolute(pattern).rstrip("/").split("/")
        at = next((at for at, part in enumerate(parts) if storage.is_magic(part)), len(parts))
        if left_out("/".join([*parts[:at], "any"])):
            raise WrongFlag(
                f"--input-paths: '{pattern}' lies in the folder of --output-path, '{output_path}', of which no "
                "file is taken. Choose an output folder that holds no inputs."
            )
