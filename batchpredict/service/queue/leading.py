"""Who leads a watch, and what may happen to it. A machine without a clock or a database, like `lifecycle`.

A watch is ACTIVE or PAUSED. Of an active one a worker is the leader, under a lease: it looks for files, begins
epochs, and has their jobs created. The jobs themselves are nobody's but the queue's.

    Lead     active, free or lapsed, due  -> led        a worker leads it, under the next generation
    Keep     lease                        -> (same)     the leader goes on
    Report   lease                        -> (same)     how the epochs stand: what was wrong is over; if one was
                                                        done, losses are forgiven
    Yield    lease                        -> free       the leader shuts down
    Falter   lease                        -> free       the leader's process died; the next one waits a while
    Refuse   lease                        -> PAUSED     the leader has found what a person has to look at
    Pause    any                          -> PAUSED     the leader finds out when it keeps its lease
    Resume   any                          -> ACTIVE

What a leader says carries its generation, and is refused if that is not the one that is live. Two leaders at the
same moment, where one does not know yet that it has lost its lease, do no harm: `epochs` sees to that. The lease is
for one of them to do the work, and for what they report to be in order.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import TypeAlias

from batchpredict.service.queue.lifecycle import LONGEST_WAIT, LeaseLost, NotNow, may_be_claimed

_FIRST_WAIT = timedelta(seconds=1)


class WatchState(str, Enum):
    """As clients see it."""

    ACTIVE = "ACTIVE"
    PAUSED = "PAUSED"


@dataclass(frozen=True)
class Leading:
    """How a watch stands.

    Attributes:
      state: as clients see it.
      generation: of the lease that was given last; 0 before the first.
      worker: id of the leader; "" for none.
      until: when another worker may take its place, unless it is renewed.
      losses: leaders in a row whose processes died.
      not_before: earliest time of the next lead; None for at once.
      message: what is wrong, as the last leader said; "" for nothing.
    """

    state: WatchState = WatchState.ACTIVE
    generation: int = 0
    worker: str = ""
    until: datetime | None = None
    losses: int = 0
    not_before: datetime | None = None
    message: str = ""


@dataclass(frozen=True)
class Lead:
    worker: str
    until: datetime


@dataclass(frozen=True)
class Keep:
    generation: int
    until: datetime


@dataclass(frozen=True)
class Report:
    """The leader says how the epochs stand; `done`: one is, since it said so last."""

    generation: int
    done: bool = False


@dataclass(frozen=True)
class Yield:
    generation: int


@dataclass(frozen=True)
class Falter:
    generation: int
    reason: str


@dataclass(frozen=True)
class Refuse:
    generation: int
    reason: str


@dataclass(frozen=True)
class Pause:
    pass


@dataclass(frozen=True)
class Resume:
    pass


LeadEvent: TypeAlias = Lead | Keep | Report | Yield | Falter | Refuse | Pause | Resume


def step(leading: Leading, event: LeadEvent, now: datetime) -> Leading:
    """How a watch stands after an event.

    Raises:
      LeaseLost: the event is a leader's, and its lease is not the live one.
      NotNow: a lead of what is paused, led by somebody, or waits.
    """
    if isinstance(event, Pause):
        # The lease stays until its holder has given it back, or it lapses: nobody else may lead it anyway.
        return replace(leading, state=WatchState.PAUSED, message="")
    if isinstance(event, Resume):
        if leading.state is WatchState.ACTIVE:
            return leading
        return replace(leading, state=WatchState.ACTIVE, losses=0, not_before=None, message="")
    if isinstance(event, Lead):
        return _lead(leading, event, now)
    refuse_unless_live(leading, event.generation)
    if isinstance(event, Keep):
        return replace(leading, until=event.until)
    if isinstance(event, Report):
        # That of a pause is a person's to read.
        paused = leading.state is WatchState.PAUSED
        return replace(
            leading, losses=0 if event.done else leading.losses, message=leading.message if paused else ""
        )
    free = replace(leading, worker="", until=None)
    if isinstance(event, Falter):
        losses = leading.losses + 1
        wait = min(_FIRST_WAIT * 2 ** min(losses - 1, 16), LONGEST_WAIT)
        return replace(free, losses=losses, not_before=now + wait, message=event.reason)
    if isinstance(event, Refuse):
        return replace(free, state=WatchState.PAUSED, message=event.reason)
    return free


def refuse_unless_live(leading: Leading, generation: int) -> None:
    """Raises LeaseLost: the lease of this generation is not the live one."""
    if not leading.worker or leading.generation != generation:
        raise LeaseLost(
            f"The lease of generation {generation} is not live; the last one given is {leading.generation}."
        )


def may_be_led(leading: Leading, now: datetime) -> bool:
    """Whether a worker may lead it now."""
    return (
        leading.state is WatchState.ACTIVE
        and (not leading.worker or leading.until is None or leading.until <= now)
        and may_be_claimed(leading.not_before, now)
    )


def _lead(leading: Leading, event: Lead, now: datetime) -> Leading:
    if not may_be_led(leading, now):
        raise NotNow("The watch is paused, led by another worker, or waits after its leader's process died.")
    return replace(
        leading, generation=leading.generation + 1, worker=event.worker, until=event.until, not_before=None
    )
