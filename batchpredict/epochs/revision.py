"""What of an epoch's files is still there, as it was; and which files were set aside, for people."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass

from batchpredict import storage
from batchpredict.epochs.folder import Folder, new_name
from batchpredict.epochs.listing import list_writer
from batchpredict.epochs.runs import Ledger
from batchpredict.epochs.state import FileList, State
from batchpredict.errors import NoInput
from batchpredict.ledger import each, writing

# Files that are held while a store is asked for them.
_HELD = 1000
# Names that are said of files that are many.
_NAMED = 5


@dataclass(frozen=True)
class Kept:
    """The files of an epoch that are what they were. `let_go`: how many are not, `names`: the first of these."""

    list: FileList
    let_go: int
    names: tuple[str, ...]


def kept(folder: Folder, ledger: Ledger, old: FileList) -> Kept:
    """Ask after every file of a list, and store a list of those that are there as it says, unless all are.

    Raises:
      Gone: there is no such list.
      NoInput: what has become of a file cannot be told.
      OutputRefused: the folder of the watch cannot be read or written.
    """
    let_go = 0
    names: list[str] = []
    with list_writer(folder) as writer:
        for file, there in _asked(ledger.entries(old)):
            if there:
                writer.write(file)
                continue
            let_go += 1
            if len(names) < _NAMED:
                names.append(file.url)
        if not let_go:
            return Kept(old, 0, ())
        left = writer.finish() or FileList("", 0, 0)
    return Kept(left, let_go, tuple(names))


def _asked(files: Iterator[storage.Input]) -> Iterator[tuple[storage.Input, bool]]:
    while some := list(itertools.islice(files, _HELD)):
        yield from zip(some, each(some[0].url, _is_there, some), strict=True)


def _is_there(file: storage.Input) -> bool:
    try:
        now = storage.again(lambda: storage.info(file.url))
    except (FileNotFoundError, IsADirectoryError):
        return False
    except OSError as error:
        raise NoInput(f"inputPaths: '{file.url}' cannot be read: {error}") from error
    return (now.size, now.version) == (file.size, file.version)


def write_set_aside(folder: Folder, ledger: Ledger, state: State) -> None:
    """Write the list of the files that were set aside, a JSON object in a line for each; none if none were.

    Raises:
      Gone: others have taken them up.
      OutputRefused: the folder cannot be written.
    """
    with writing(folder.output_path):
        if not state.aside:
            storage.delete(folder.set_aside)
            return
        aside = storage.join(folder.root, new_name())
        with storage.writing_to(aside) as file:
            for epoch in state.aside:
                for entry in ledger.entries(epoch.list):
                    line = {"file": entry.url, "epoch": epoch.number, "tries": epoch.failures}
                    file.write(f"{json.dumps({**line, 'reason': epoch.reason})}\n".encode())
        storage.move(aside, folder.set_aside)
