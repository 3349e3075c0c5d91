"""The ledger: which files were taken, as what, by which epoch. It is read in order, never held.

It consists of sorted files: the lists of epochs, and runs, into which the lists of epochs that are done are merged
from time to time. A run swallows those before it that are not much larger, so that there are few, and a large one
is rarely written again. The new run is there before the event that names it, and what it has replaced is deleted
after that: whoever finds a file gone that the state names has an old state.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any, TypeAlias

import msgspec
import orjson

from batchpredict import storage
from batchpredict.epochs.folder import Folder, new_name
from batchpredict.epochs.log import Log
from batchpredict.epochs.state import Compacted, FileList, Run, State
from batchpredict.errors import StagingDamaged
from batchpredict.ledger import read_lines, reading, spool, spooling, writing

# Lists of done epochs that are there before they are merged: each is one more file to read beside the runs.
MERGED = 16
# Events after which the state is written again, for whoever has to read the log.
_EVENTS = 64
# Seconds after which a file that no event names is one that was left behind.
_LEFT_BEHIND = 86400.0
# Entries of the smaller files of a ledger that are held during a look, about 15 MiB: to merge them with a large one
# would cost more than the large one.
_HELD = 50_000
# Lines that are read or written at once.
_AT_ONCE = 1000
# A run that is at most so many times as large as what is merged behind it is merged too: of n entries there are
# runs in the order of log n, and an entry is written that often.
_RATIO = 4


# Lists that are open at a time: those of epochs that were set aside may be thousands.
_OPEN = 64


class Gone(Exception):
    """A file is gone that the state names: others have merged it. The log is to be read again."""


def lost(gone: Gone) -> StagingDamaged:
    """What is wrong where a file is gone that the newest state names."""
    return _damaged(str(gone), "is gone")


def _damaged(url: str, how: str) -> StagingDamaged:
    return StagingDamaged(
        f"The file {url} of the watch's ledger {how}. Bring it back as it was, or choose another output folder."
    )


TakenFile: TypeAlias = "list[Any]"
"""A file as an epoch took it: URL, epoch, size, version. They sort by URL, the last epoch that took one last."""


class Ledger:
    """Reads the files of a ledger; of a ledger on a store it keeps copies of runs on this machine.

    Args:
      folder: of the watch.
    """

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._copies: tempfile.TemporaryDirectory[str] | None = None

    def close(self) -> None:
        """Delete the copies."""
        if self._copies is not None:
            self._copies.cleanup()

    def taken(self, state: State) -> Iterator[TakenFile]:
        """The last epoch of every file that was taken, sorted by URL.

        Raises:
          Gone: the state is an old one.
          OutputRefused: the ledger cannot be read.
          JobFailed: there is no room for temporary files.
          StagingDamaged: a file of it is not what was written.
        """
        return newest([source for _, source in self._sources(state)])

    def lookup(self, state: State) -> Callable[[str], TakenFile | None]:
        """A function that gives the last epoch of a file; it is to be asked for files in the order of their URLs.

        The function raises what `taken` raises.
        """
        held: dict[str, TakenFile] = {}
        cursors = []
        left = _HELD
        for size, source in sorted(self._sources(state), key=lambda one: one[0]):
            if size > left:
                cursors.append(Cursor(source))
                continue
            left -= size
            for entry in source:
                held[entry[0]] = max(entry, held.get(entry[0], entry))

        def last(url: str) -> TakenFile | None:
            found = held.get(url)
            for cursor in cursors:
                row: TakenFile | None = cursor.at(url)
                if row is not None and (found is None or row > found):
                    found = row
            return found

        return last

    def _sources(self, state: State) -> list[tuple[int, Iterator[TakenFile]]]:
        """What the ledger is read from, few files at a time, and how many entries each has at most."""
        lists = [(one.files, self._of_list(epoch, one)) for epoch, one in state.claimed.items()]
        while len(lists) > _OPEN:
            groups = [lists[at : at + _OPEN] for at in range(0, len(lists), _OPEN)]
            lists = [
                (sum(size for size, _ in group), _spooled(newest([source for _, source in group])))
                for group in groups
            ]
        return [*((run.entries, self._of_run(run)) for run in state.runs), *lists]

    def entries(self, one: FileList) -> Iterator[storage.Input]:
        """The files of a list.

        Raises:
          Gone: it is not there.
          StagingDamaged: it is not what was written.
        """
        for fields in self._lines(self._folder.list(one.name), one.files):
            yield storage.Input(*fields)

    def forget(self, state: State) -> None:
        """Delete the copies of runs that are none any more."""
        if self._copies is not None:
            for name in set(os.listdir(self._copies.name)) - {run.name for run in state.runs}:
                with contextlib.suppress(OSError):
                    os.unlink(os.path.join(self._copies.name, name))

    def _of_list(self, epoch: int, one: FileList) -> Iterator[TakenFile]:
        for url, size, version, *_ in self._lines(self._folder.list(one.name), one.files):
            yield [url, epoch, size, version]

    def _of_run(self, run: Run) -> Iterator[TakenFile]:
        return self._lines(self._copy(run), run.entries)

    def _copy(self, run: Run) -> str:
        """Where a run is to be read: every look for files reads all of it."""
        url = self._folder.run(run.name)
        if storage.is_local(url):
            return url
        with spooling():
            self._copies = self._copies or tempfile.TemporaryDirectory(prefix="batchpredict-watch-")
            path = os.path.join(self._copies.name, run.name)
            there = os.path.exists(path)
        if not there:
            try:
                reading(self._folder.output_path, storage.download, url, f"{path}.part")
            except FileNotFoundError as error:
                raise Gone(url) from error
            os.replace(f"{path}.part", path)
        return path

    def _lines(self, url: str, count: int) -> Iterator[Any]:
        lines = read_lines(self._folder.output_path, url, 0)
        found = 0
        try:
            # In pieces: a call for each line costs more than the line.
            while some := list(itertools.islice(lines, _AT_ONCE)):
                rows = orjson.loads(b"[" + b",".join(some) + b"]")
                found += len(rows)
                yield from rows
        except FileNotFoundError as error:
            raise Gone(url) from error
        except orjson.JSONDecodeError as error:
            raise _damaged(url, f"cannot be read: {error}") from error
        if found != count:
            raise _damaged(url, f"has {found} lines instead of {count}")


class Cursor:
    """Finds rows by their first field in rows that are sorted by it, asked in the same order."""

    def __init__(self, rows: Iterator[Any]) -> None:
        self._rows = rows
        self._row: Any = next(rows, None)

    def at(self, url: str) -> Any:
        """The row of a URL; None if there is none."""
        row = self._row
        while row is not None and row[0] < url:
            row = next(self._rows, None)
        self._row = row
        return row if row is not None and row[0] == url else None


def newest(sources: Iterable[Iterator[TakenFile]]) -> Iterator[TakenFile]:
    """Of each URL the entry of the last epoch; the sources are sorted."""
    last: TakenFile | None = None
    for entry in heapq.merge(*sources):
        if last is not None and last[0] != entry[0]:
            yield last
        last = entry
    if last is not None:
        yield last


def _spooled(entries: Iterator[TakenFile]) -> Iterator[TakenFile]:
    """The same entries, read by now, so that their sources are closed."""
    file = spool()
    try:
        with spooling():
            _write(file, entries)
            file.seek(0)
    except BaseException:
        file.close()
        raise
    return _read_back(file)


def _read_back(file: IO[bytes]) -> Iterator[TakenFile]:
    with file:
        yield from map(orjson.loads, file)


def compact(log: Log, folder: Folder, ledger: Ledger, *, merged: int = MERGED) -> None:
    """Merge lists, and write down the state, if it is time for that; if another watcher is first, that is fine.

    Raises:
      OutputRefused: the folder cannot be read or written.
    """
    state = log.state
    due = len(state.taken) >= merged
    if not due and log.number - state.compacted < _EVENTS:
        return
    kept, swallowed = _swallowed(state) if due else (state.runs, ())
    try:
        runs = (*kept, _merge(folder, ledger, state, swallowed)) if due else kept
    except Gone:
        return
    taken = () if due else state.taken
    before = state.compacted
    new = msgspec.structs.replace(state, runs=runs, taken=taken, compacted=log.number)
    with writing(folder.output_path):
        if not log.append(Compacted(new)):
            log.refresh()
            if due and runs[-1] not in log.state.runs:
                storage.delete(folder.run(runs[-1].name))
            return
        for run in swallowed:
            storage.delete(folder.run(run.name))
        if due:
            for one in state.taken:
                storage.delete(folder.list(one.list.name))
    log.shorten(before)
    ledger.forget(log.state)


def _swallowed(state: State) -> tuple[tuple[Run, ...], tuple[Run, ...]]:
    """The runs that stay, and those that are merged with the lists."""
    size = sum(one.list.files for one in state.taken)
    kept = len(state.runs)
    while kept and state.runs[kept - 1].entries <= _RATIO * size:
        kept -= 1
        size += state.runs[kept].entries
    return state.runs[:kept], state.runs[kept:]


def _merge(folder: Folder, ledger: Ledger, state: State, swallowed: tuple[Run, ...]) -> Run:
    part = State(runs=swallowed, taken=state.taken)
    run = Run(new_name(), 0)
    url = folder.run(run.name)
    with writing(folder.output_path):
        try:
            with storage.writing_to(url) as file:
                count = _write(file, ledger.taken(part))
        except Gone:
            storage.delete(url)
            raise
        storage.sync(url)
        storage.sync_folders(folder.runs)
    return Run(run.name, count)


def _write(file: IO[bytes], entries: Iterator[TakenFile]) -> int:
    count = 0
    while some := list(itertools.islice(entries, _AT_ONCE)):
        file.write(b"".join(orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE) for entry in some))
        count += len(some)
    return count


def sweep(folder: Folder, state: State, time: float) -> None:
    """Delete lists and runs that no event has ever named: watchers have died before they had written it.

    Args:
      state: as the log has it.
      time: seconds since the epoch.

    Raises:
      OutputRefused: the folder cannot be read or written.
    """
    named = {one.name for one in state.claimed.values()} | {run.name for run in state.runs}
    with writing(folder.output_path):
        for place in (folder.lists, folder.runs):
            for file in storage.walk(place):
                if file.path not in named and file.changed is not None and file.changed < time - _LEFT_BEHIND:
                    storage.delete(storage.join(place, file.path))
