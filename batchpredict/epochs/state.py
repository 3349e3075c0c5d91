"""What a watch knows of its epochs, and what each event makes of that. Pure.

Everything that happens to an epoch is one event in a log that all watchers of an output share (`log.py`); the state
is what the events come to, one after the other. So watchers agree on it whatever each of them has seen.

    begun ──────────┬────────────────────────► succeeded
      ▲   failed ───┤ (tried again)
      │             ├── revised: files that are gone or have changed are let go, or another model is taken
      │             └── set aside ──► revised, by `--retry`
      └── every epoch has its number, its list of files and its folder for good
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import msgspec
from msgspec.structs import replace

# Errors by which no file of an epoch is to blame for sure: the files have changed or are gone, or records or
# committed parts are. Every other one would meet any epoch: no model, no cluster, no room on the disk.
_OF_FILES = ("NoInput",)
_OF_EPOCH = (*_OF_FILES, "BudgetSpent", "StagingDamaged", "WorkerLost", "JobCancelled")
# Somebody does not want this epoch: it is not tried again, however many tries there are.
_CANCELLED = "JobCancelled"
_FOR_GOOD = 2**31


class FileList(msgspec.Struct, frozen=True):
    """A stored list of files, sorted by URL.

    Attributes:
      name: of the file in the folder of the lists.
      files, bytes: what it names.
    """

    name: str
    files: int
    bytes: int


class Taken(msgspec.Struct, frozen=True):
    """The list of an epoch whose files are done."""

    epoch: int
    list: FileList


class Run(msgspec.Struct, frozen=True):
    """Lists of many epochs in one file, sorted by URL, the last epoch of each file only."""

    name: str
    entries: int


class Epoch(msgspec.Struct, frozen=True):
    """An epoch that is not done.

    Attributes:
      number: from 1.
      list: its files.
      model: URI of the model that scores it.
      source: the predictionInput of its job, less what the epoch itself says: model and output.
      failures: since it was begun or taken up again.
      counted: those of them that count against it; see `State.after`.
      error: name of the class of the last error; "" for none.
      reason: of the last failure.
      succeeded_before: epochs that had succeeded when it failed for the first time.
      checked: since the last failure its files were looked after, or there was no need.
    """

    number: int
    list: FileList
    model: str
    source: dict[str, Any]
    failures: int = 0
    counted: int = 0
    error: str = ""
    reason: str = ""
    succeeded_before: int = 0
    checked: bool = True

    @property
    def is_shared(self) -> bool:
        """Whether it has failed for what would meet every other epoch alike, as far as the error tells."""
        return bool(self.error) and self.error not in _OF_EPOCH

    @property
    def misses_files(self) -> bool:
        """Whether it has failed because its files are not what they were."""
        return self.error in _OF_FILES


class Begun(msgspec.Struct, frozen=True, tag="begun"):
    """A watcher has claimed files for the next epoch."""

    epoch: int
    list: FileList
    model: str
    source: dict[str, Any]


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """Its job has failed. `error`: name of the exception's class."""

    epoch: int
    error: str
    reason: str


class Succeeded(msgspec.Struct, frozen=True, tag="succeeded"):
    """Its results are published. `output`: the PredictionOutput on the wire."""

    epoch: int
    output: dict[str, Any]


class SetAside(msgspec.Struct, frozen=True, tag="setAside"):
    """It is not tried again unless somebody asks for it."""

    epoch: int


class Revised(msgspec.Struct, frozen=True, tag="revised"):
    """From now on it has this list and this model.

    Attributes:
      list: files of the former one, less those that are gone or have changed. Of none, the epoch is over.
      retry: it was set aside, and is tried again with this source.
    """

    epoch: int
    list: FileList
    model: str
    retry: bool = False
    source: dict[str, Any] = {}


class Compacted(msgspec.Struct, frozen=True, tag="compacted"):
    """The state at this place, so that nothing before it need be read; of done epochs the lists are in runs."""

    state: State


class State(msgspec.Struct, frozen=True):
    """What all events so far have come to.

    Attributes:
      last: number of the last epoch that was begun; 0 for none.
      open: epochs that are to be done, by number.
      aside: epochs that were set aside, by number.
      taken: lists of done epochs that are in no run.
      runs: the rest of the ledger.
      succeeded: how many epochs have.
      outage: failures in a row for which no epoch is to blame by itself.
      source: the predictionInput of the last epoch.
      compacted: number of the event before the last `Compacted`; 0 for none.
    """

    last: int = 0
    open: tuple[Epoch, ...] = ()
    aside: tuple[Epoch, ...] = ()
    taken: tuple[Taken, ...] = ()
    runs: tuple[Run, ...] = ()
    succeeded: int = 0
    outage: int = 0
    source: dict[str, Any] = {}
    compacted: int = 0

    def epoch(self, number: int) -> Epoch | None:
        """An epoch that is open."""
        return next((one for one in self.open if one.number == number), None)

    def after(self, event: Event) -> State:
        """The state when an event has followed. One that comes too late, of an epoch that is over, changes nothing.

        A failure counts against an epoch if the error is of a kind that its files or records bring about, or if
        another epoch has succeeded since it failed first: what meets every epoch alike is an outage, and no epoch
        is set aside for that.
        """
        if isinstance(event, Compacted):
            return event.state
        if isinstance(event, Begun):
            if event.epoch != self.last + 1:
                return self
            epoch = Epoch(event.epoch, event.list, event.model, event.source)
            return replace(self, last=event.epoch, open=(*self.open, epoch), source=event.source)
        if isinstance(event, Revised) and event.retry:
            return self._taken_up(event)
        found = self.epoch(event.epoch)
        if found is None:
            return self
        if isinstance(event, Failed):
            return self._failed(found, event)
        if isinstance(event, Revised):
            return self._revised(found, event)
        rest = tuple(one for one in self.open if one is not found)
        if isinstance(event, SetAside):
            return replace(self, open=rest, aside=(*self.aside, found))
        taken = (*self.taken, Taken(found.number, found.list))
        return replace(self, open=rest, taken=taken, succeeded=self.succeeded + 1, outage=0)

    def _failed(self, epoch: Epoch, event: Failed) -> State:
        succeeded_before = epoch.succeeded_before if epoch.failures else self.succeeded
        failed = replace(
            epoch,
            failures=epoch.failures + 1,
            error=event.error,
            reason=event.reason,
            succeeded_before=succeeded_before,
        )
        failed = replace(failed, checked=not failed.misses_files)
        shared = failed.is_shared and self.succeeded == succeeded_before
        if not shared:
            failed = replace(failed, counted=_FOR_GOOD if event.error == _CANCELLED else failed.counted + 1)
        return replace(self._with(failed), outage=self.outage + shared)

    def _revised(self, epoch: Epoch, event: Revised) -> State:
        if not event.list.files:
            return replace(self, open=tuple(one for one in self.open if one is not epoch))
        return self._with(replace(epoch, list=event.list, model=event.model, checked=True))

    def _taken_up(self, event: Revised) -> State:
        found = next((one for one in self.aside if one.number == event.epoch), None)
        if found is None:
            return self
        aside = tuple(one for one in self.aside if one is not found)
        if not event.list.files:
            return replace(self, aside=aside)
        again = Epoch(found.number, event.list, event.model, event.source)
        opened = tuple(sorted((*self.open, again), key=_number))
        return replace(self, open=opened, aside=aside)

    def _with(self, epoch: Epoch) -> State:
        return replace(self, open=tuple(epoch if one.number == epoch.number else one for one in self.open))

    @property
    def claimed(self) -> Mapping[int, FileList]:
        """The lists by which files are taken that are in no run, by epoch."""
        lists = {one.number: one.list for one in (*self.open, *self.aside)}
        return lists | {one.epoch: one.list for one in self.taken}


Event: TypeAlias = Begun | Failed | Succeeded | SetAside | Revised | Compacted


def _number(epoch: Epoch) -> int:
    return epoch.number
