"""The log of a watch: events in one order for all watchers of an output.

An event gets its place by create-if-absent: of two watchers that write at the same place one loses, reads what the
other has written, and decides anew. Nothing is ever changed.

Of a log that grows for years only the end is kept. A `Compacted` event holds the state, and what lies before the
one before the last is deleted, the oldest first. So whoever finds the event at their own place deleted has slept
through a lot and begins anew, and whoever finds it there knows that none behind it is missing. What such a sleeper
has written at a place that was deleted is of no account: nobody reads from there.
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
        self._nonce = ""

    def refresh(self) -> list[Event]:
        """Read what others have written; gives the events that are new, or none where the log is begun anew.

        Raises:
          OutputRefused: the folder cannot be read.
          StagingDamaged: events are missing, or cannot be read.
        """
        if self.number:
            events = self._read_on()
            if self._is_last():
                return events
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
        if not created:
            return False
        if not self._is_last(number):
            with writing(self._folder.output_path):
                storage.delete(self._folder.event(number))
            return False
        self._apply(entry)
        return True

    def shorten(self, before: int) -> None:
        """Delete the events before a place, the oldest first."""
        with writing(self._folder.output_path):
            for number in self._numbers():
                if number < before:
                    storage.delete(self._folder.event(number))

    def _is_last(self, written: int = 0) -> bool:
        """Whether the event at the own place is there, and so none behind it was deleted.

        Args:
          written: place of an event that this watcher has written since.
        """
        if self.number:
            entry = self._read(self.number)
            return entry is not None and entry.nonce == self._nonce
        numbers = self._numbers()
        # At the beginning: what follows without a gap has come since.
        return not numbers or (bool(written) and numbers == list(range(1, len(numbers) + 1)))

    def _apply(self, entry: Entry) -> None:
        self.number = entry.number
        self.state = self.state.after(entry.event)
        self._nonce = entry.nonce

    def _read_on(self) -> list[Event]:
        """Read what follows, as far as it goes."""
        events = []
        while (entry := self._read(self.number + 1)) is not None:
            events.append(entry.event)
            self._apply(entry)
        return events

    def _load(self) -> list[Event]:
        """Begin anew; gives the events if that is from the first one on."""
        for _ in range(_ATTEMPTS):
            self.number, self.state, self._nonce = 0, State(), ""
            numbers = self._numbers()
            entries = self._back_from(numbers[-1]) if numbers else []
            if entries is not None:
                for entry in reversed(entries):
                    self._apply(entry)
                # And what has come since the folder was listed.
                more = self._read_on() if entries else []
                first = entries[-1].number if entries else 1
                return [*(entry.event for entry in reversed(entries)), *more] if first == 1 else []
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
