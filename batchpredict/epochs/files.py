"""Whether a file that was listed is to be taken. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Changed(Enum):
    """What is to become of a file that has changed since it was taken."""

    RESCORE = "rescore"
    IGNORE = "ignore"
    FAIL = "fail"


class Verdict(Enum):
    """What is to be done with a file."""

    KNOWN = "known"
    """An epoch has taken it as it is."""
    WAIT = "wait"
    """Nobody has seen it unchanged for long enough: it may still be written."""
    TAKE = "take"
    RESCORE = "rescore"
    """Take it again: it has changed since an epoch took it."""
    IGNORE = "ignore"
    """It has changed since an epoch took it, and that is of no concern."""
    REFUSE = "refuse"
    """It has changed since an epoch took it, and that must not be."""


@dataclass(frozen=True)
class Sighting:
    """A file in a listing, with what is known of it.

    Attributes:
      taken: the last epoch that took a file of this name took it as it is now; None if no epoch took one.
      seen_for: seconds since this watcher saw it first with this size and version; 0 for the first time.
      age: seconds since it was written last, by this watcher's clock; below 0 if the clocks differ. None if its
        store does not say.
    """

    taken: bool | None
    seen_for: float
    age: float | None


def judge(file: Sighting, *, settle: float, changed: Changed) -> Verdict:
    """What is to be done with a file.

    Args:
      settle: seconds for which a file has to be unchanged.
      changed: what is to become of those that changed.
    """
    if file.taken:
        return Verdict.KNOWN
    if file.taken is False and changed is not Changed.RESCORE:
        return Verdict.IGNORE if changed is Changed.IGNORE else Verdict.REFUSE
    if file.seen_for < settle and (file.age is None or file.age < settle):
        return Verdict.WAIT
    return Verdict.TAKE if file.taken is None else Verdict.RESCORE
