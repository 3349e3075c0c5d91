"""The log of a watch: events in one order for all watchers of an output.

An event gets its place by create-if-absent: of two watchers that write at the same place one loses, reads what the
other has written, and decides anew. Nothing is ever changed.

Of a log that grows for years only the end is kept. A `Compacted` event holds the state, and what lies before the
one before the last is deleted, the oldest first. So whoever finds the event at their own place deleted has slept
through a lot and begins anew, and whoever finds it there knows that none behind it is missing.
"""

from __future__ import annotations

import re
import uuid

import msgspec

from batchpredict import storage
from batchpredict.epochs.folder import Folder
from batchpredict.epochs.state import Compacted, Event, State
from batchpredict.errors import StagingDamaged
from batchpredict.ledger import reading, writing

_NAME = re.compile(r"(\d{12})\.json")
# Times that the beginning of a log is looked for that others shorten meanwhile.
_ATTEMPTS = 5


class Entry(msgspec.Struct, frozen=True):
    """An event at its place.

    Attributes:
      number: the place, from 1.
      author: the watcher, for people.
      nonce: tells a watcher that its own event is its own.
    """

    number: int
    author: str
    nonce: str
    event: Event


_ENTRY = msgspec.json.Decoder(Entry)


class Log:
    """One watcher's view of the log. Used from one thread.

    Args:
      folder: of the watch.
      author: name of the watcher.

    Attributes:
      number: place of the last event that is known; 0 for none.
      state: what all events up to there come to.
    """

    def __init__(self, folder: Folder, author: str) -> None:
        self._folder = folder
        self._author = author
        self.number = 0
        self.state = State()

    def refresh(self) -> list[Event]:
        """Read what others have written; gives the events that are new, or none where the log is begun anew.

        Raises:
          OutputRefused: the folder cannot be read.
          StagingDamaged: events are missing, or cannot be read.
        """
        if self.number == 0:
            return self._load()
        events: list[Event] = []
        while True:
            entry = self._read(self.number + 1)
            if entry is not None:
                events.append(entry.event)
                self._apply(entry.event)
            elif self._is_there(self.number):
                return events
            else:
                self.number, self.state = 0, State()
                return self._load()

    def append(self, event: Event) -> bool:
        """Write an event at the next place.

        False if another watcher has been there first, or may have been: then the log is to be read again, and what
        follows is to be decided anew.

        Raises:
          OutputRefused: the folder cannot be written.
        """
        number = self.number + 1
        entry = Entry(number, self._author, uuid.uuid4().hex, event)
        with writing(self._folder.output_path):
            created = storage.create_if_absent(self._folder.event(number), msgspec.json.encode(entry))
        if not created or not self._follows(number):
            return False
        self._apply(event)
        return True

    def shorten(self, before: int) -> None:
        """Delete the events before a place, the oldest first."""
        with writing(self._folder.output_path):
            for number in self._numbers():
                if number < before:
                    storage.delete(self._folder.event(number))

    def _follows(self, number: int) -> bool:
        """Whether an event that was just written follows another, and does not stand where one was deleted."""
        if number > 1:
            return self._is_there(number - 1)
        return all(other in (1, 2) for other in self._numbers()[:2])

    def _apply(self, event: Event) -> None:
        self.number += 1
        self.state = self.state.after(event)

    def _load(self) -> list[Event]:
        for _ in range(_ATTEMPTS):
            numbers = self._numbers()
            entries = self._back_from(numbers[-1]) if numbers else []
            if entries is None:
                continue
            for entry in reversed(entries):
                self.number = entry.number - 1
                self._apply(entry.event)
            # And what has come since the folder was listed.
            return self.refresh() if entries else []
        raise StagingDamaged(
            f"The log of the watch, {self._folder.log}, is not whole: events are missing. Choose another output "
            "folder, or bring them back."
        )

    def _back_from(self, last: int) -> list[Entry] | None:
        """The entries from the last one back to one that holds the state; None if one of them is gone."""
        entries = []
        for number in range(last, 0, -1):
            entry = self._read(number)
            if entry is None:
                return None
            entries.append(entry)
            if isinstance(entry.event, Compacted):
                break
        return entries

    def _numbers(self) -> list[int]:
        names = reading(self._folder.output_path, storage.list_names, self._folder.log)
        return sorted(int(found[1]) for found in map(_NAME.fullmatch, names) if found)

    def _read(self, number: int) -> Entry | None:
        url = self._folder.event(number)
        try:
            entry = _ENTRY.decode(reading(self._folder.output_path, storage.read_bytes, url))
        except FileNotFoundError:
            return None
        except msgspec.DecodeError as error:
            raise StagingDamaged(f"The event {url} of the watch cannot be read: {error}.") from error
        if entry.number != number:
            raise StagingDamaged(f"The event {url} of the watch belongs to another place.")
        return entry

    def _is_there(self, number: int) -> bool:
        return reading(self._folder.output_path, storage.exists, self._folder.event(number))
