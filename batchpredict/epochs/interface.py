"""What a watch is told, tells, and comes to."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from batchpredict.epochs import machine
from batchpredict.epochs.runs import MERGED
from batchpredict.epochs.signs import BEAT, SILENCE
from batchpredict.epochs.state import Epoch
from batchpredict.errors import NoInput
from batchpredict.job import PredictionOutput
from batchpredict.ledger import Snapshot
from batchpredict.runners import Observer


class ChangedInput(NoInput):
    """A file has changed since it was scored, and must not: `Changed.FAIL`."""


class Ending(Enum):
    """How a watch came to its end."""

    STOPPED = "stopped"
    DONE = "done"
    """A single pass: nothing is left to do."""
    LEFT = "left"
    """A single pass: an epoch was set aside, or could not be done at this time."""


@dataclass(frozen=True)
class Pace:
    """Times of a watch, in seconds, and bounds.

    Attributes:
      every: between two looks for files.
      tries: of an epoch.
      first_backoff, longest_backoff: between two tries.
      poll: between two looks what another watcher is doing.
      beat, silence: of signs of life.
      merged: lists of done epochs that are merged.
    """

    every: float = 30.0
    tries: int = 5
    first_backoff: float = machine.BACKOFF
    longest_backoff: float = machine.LONGEST_BACKOFF
    poll: float = 2.0
    beat: float = BEAT
    silence: float = SILENCE
    merged: int = MERGED


@dataclass(frozen=True)
class Finished:
    """An epoch whose results are published."""

    epoch: Epoch
    output: PredictionOutput


class ModelChoice(Protocol):
    """Says which model an epoch is scored with."""

    def choose(self) -> str:
        """The model's URI. Raises ModelUnusable: there is none."""
        ...


class WatchObserver(Protocol):
    """Whoever watches a watch. Called from the thread that runs it, but for what `job` gives."""

    def message(self, text: str) -> None:
        """Something worth knowing."""
        ...

    def warning(self, text: str) -> None:
        """Something that is not as it should be."""
        ...

    def job(self, epoch: Epoch) -> AbstractContextManager[Observer[Snapshot]]:
        """An epoch's job begins; gives who is to watch it."""
        ...

    def finished(self, done: Finished) -> None:
        """This watcher has done an epoch."""
        ...
