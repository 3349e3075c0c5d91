"""What a watcher does next. Pure: the state, the clock and what others do come in, one step comes out.

Two rules decide who waits for whom.

Epochs that fail do not hold others up: results are the same in whatever order epochs are done, and a file that
spoils one must not keep from being scored what arrives after it. After some tries such an epoch is set aside.

What meets every epoch alike (no model, no cluster, no room) is an outage. To claim files for epochs that fail for
certain would help nobody, so no epoch is begun while it lasts, and none is set aside: the one that failed is tried
again and again, and goes on when the trouble is over. In case that it is that epoch all the same, a second one is
begun after some failures: if it succeeds, the failures of the first count from then on.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from batchpredict.epochs.state import State

# Seconds before the second try: a store or a cluster that was restarted is back by then.
BACKOFF = 10.0
# The longest rest, so that the end of an outage is noticed within so many seconds.
LONGEST_BACKOFF = 300.0
# Epochs that meet an outage: the first, and one to tell whether it is not the first one's own trouble.
_IN_OUTAGE = 2


@dataclass(frozen=True)
class Try:
    """Do an epoch."""

    epoch: int


@dataclass(frozen=True)
class Look:
    """Look for files, and claim what is to be taken for the next epoch."""


@dataclass(frozen=True)
class Revise:
    """Look after the files of an epoch that has failed because they are not what they were."""

    epoch: int


@dataclass(frozen=True)
class PutAside:
    """Give an epoch up, until somebody asks for it."""

    epoch: int


@dataclass(frozen=True)
class Rest:
    """There is nothing to do before a time; `until` is on the clock of `now`, infinite if others do it all."""

    until: float


Step: TypeAlias = Try | Look | Revise | PutAside | Rest


def decide(
    state: State,
    *,
    now: float,
    due: Mapping[int, float],
    busy: Collection[int],
    next_look: float,
    tries: int,
) -> Step:
    """The next step of a watcher.

    Args:
      state: as the log has it.
      now: seconds on any clock.
      due: when an epoch that has failed is tried again; those that are not there are due.
      busy: epochs that another watcher is doing.
      next_look: when to look for files again.
      tries: after so many failures that count an epoch is set aside.
    """
    mine = [epoch for epoch in state.open if epoch.number not in busy]
    for epoch in mine:
        if epoch.counted >= tries:
            return PutAside(epoch.number)
    for epoch in mine:
        if due.get(epoch.number, now) <= now:
            return Try(epoch.number) if epoch.checked else Revise(epoch.number)
    times = [due[epoch.number] for epoch in mine]
    if may_begin(state, tries):
        if next_look <= now:
            return Look()
        times.append(next_look)
    return Rest(min(times, default=math.inf))


def may_begin(state: State, tries: int) -> bool:
    """Whether another epoch may be begun."""
    met = sum(epoch.is_shared for epoch in state.open)
    return not state.outage or not met or (state.outage >= tries and met < _IN_OUTAGE)


def backoff(failures: int, *, first: float = BACKOFF, longest: float = LONGEST_BACKOFF) -> float:
    """Seconds to wait after so many failures in a row, at least one."""
    return min(first * 2.0 ** min(failures - 1, 30), longest)
