"""What may happen to a job of the service, and what follows from it.

A machine without a clock, a database or a process: `step` takes how a job stands and one event and gives how it
stands then, or says why that cannot be. The store applies it inside one transaction; so a history of events can be
replayed, and every state that a job is ever seen in is one that this table allows.

    Claim    QUEUED                 -> PREPARING   a worker takes the job, under the next generation
    Renew    lease                  -> (same)      the holder goes on; nothing else changes
    Begin    PREPARING              -> RUNNING     its pipeline runs; RUNNING and CANCELLING stay
    Advance  lease                  -> (same)      how far it is; if something was committed, losses are forgiven
    Succeed  RUNNING, CANCELLING    -> SUCCEEDED   also where a cancel came too late: the results are there
    Fail     lease                  -> FAILED
    Stop     CANCELLING             -> CANCELLED   the holder has ended it
    Release  PREPARING, RUNNING     -> QUEUED      the holder shuts down; CANCELLING -> CANCELLED
    Lose     PREPARING, RUNNING     -> QUEUED      its process died without a word; after too many times FAILED;
                                                   CANCELLING -> CANCELLED
    Expire   as Lose                               nobody renewed the lease until it ended
    Cancel   QUEUED                 -> CANCELLED   nothing had begun
             PREPARING, RUNNING     -> CANCELLING  the holder finds out when it renews
             CANCELLING             -> (same)

Every event of a holder carries the generation of its lease, and is refused if that is not the one that is live:
a worker that was thought dead and comes back changes nothing. A generation is never given twice.

The clock may jump. What is recorded never runs backwards: an event is no earlier than the one before. What is
waited for (the end of a lease, the next attempt) goes by the clock as it is, or a job would wait for the old one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from batchpredict.errors import BatchPredictError, WorkerLost
from batchpredict.job import TERMINAL, State, advance

MAX_LOSSES = 10
"""Leases in a row that may be lost before the job is failed: more than a bad night of the machines has."""

LONGEST_WAIT = timedelta(seconds=60)
"""A job whose process died waits a second, then twice as long each time, up to this. What has to wait longer by the
clock waits for one that was set back, and need not."""

_FIRST_WAIT = timedelta(seconds=1)


class LeaseLost(BatchPredictError):
    """Whoever says this of a job does not hold it (any more), and must end its process."""


class NotNow(BatchPredictError):
    """The event does not fit how the job stands: to claim what is not queued, to expire what was renewed."""


class Finished(BatchPredictError):
    """To cancel a job that has ended."""


@dataclass(frozen=True)
class Lease:
    """The right to run a job.

    Attributes:
      worker: id of the worker that holds it.
      generation: the fencing token: 1 for the first lease of a job, then one more each.
      until: when it may be taken back unless it is renewed; until somebody does, it is live.
      workers: worker processes that the job may use while it is held.
    """

    worker: str
    generation: int
    until: datetime
    workers: int


@dataclass(frozen=True)
class Standing:
    """How a job stands.

    Attributes:
      state: as clients see it.
      changed: when it last changed; no later event has an earlier time, whatever the clocks say.
      generation: of the lease that was given last; 0 before the first.
      lease: the one that is live; present in PREPARING and RUNNING, and in CANCELLING.
      losses: leases lost in a row, since something was committed last.
      not_before: earliest time of the next claim; None for at once.
      start_time: when it first ran.
      end_time: when it came to a terminal state.
      message: errorMessage of the Job; "" for none.
      error: of a job that failed, the name of the error's class in `batchpredict.errors`; "" where nobody knows.
    """

    state: State
    changed: datetime
    generation: int = 0
    lease: Lease | None = None
    losses: int = 0
    not_before: datetime | None = None
    start_time: datetime | None = None
    end_time: datetime | None = None
    message: str = ""
    error: str = ""


@dataclass(frozen=True)
class Claim:
    worker: str
    until: datetime
    workers: int


@dataclass(frozen=True)
class Renew:
    generation: int
    until: datetime


@dataclass(frozen=True)
class Begin:
    generation: int


@dataclass(frozen=True)
class Advance:
    """The holder says how far it is; `committed`: something was since it said so last."""

    generation: int
    committed: bool = True


@dataclass(frozen=True)
class Succeed:
    generation: int


@dataclass(frozen=True)
class Fail:
    generation: int
    message: str
    error: str = ""


@dataclass(frozen=True)
class Stop:
    generation: int


@dataclass(frozen=True)
class Release:
    generation: int


@dataclass(frozen=True)
class Lose:
    generation: int
    reason: str


@dataclass(frozen=True)
class Expire:
    pass


@dataclass(frozen=True)
class Cancel:
    reason: str


Event = Claim | Renew | Begin | Advance | Succeed | Fail | Stop | Release | Lose | Expire | Cancel


def queued(now: datetime) -> Standing:
    """A job that was just created."""
    return Standing(State.QUEUED, now)


def step(standing: Standing, event: Event, now: datetime) -> Standing:
    """How a job stands after an event.

    Raises:
      LeaseLost: the event is a holder's, and its lease is not the live one.
      NotNow: the event does not fit how the job stands.
      Finished: a cancel of a job that has ended.
      IllegalTransition: a holder says what cannot follow, such as the success of what never began.
    """
    generation = getattr(event, "generation", None)
    if generation is not None and (standing.lease is None or standing.lease.generation != generation):
        raise LeaseLost(
            f"The lease of generation {generation} is not live; the last one given is {standing.generation}."
        )
    return _HANDLERS[type(event)](standing, event, now)


def may_be_claimed(not_before: datetime | None, now: datetime) -> bool:
    """Whether a queued job has waited for long enough."""
    return not_before is None or not now < not_before <= now + LONGEST_WAIT


def _claim(standing: Standing, event: Claim, now: datetime) -> Standing:
    if standing.state is not State.QUEUED:
        raise NotNow(f"A job that is {standing.state} cannot be claimed.")
    if not may_be_claimed(standing.not_before, now):
        raise NotNow("The job waits a while after its process died.")
    generation = standing.generation + 1
    return _to(
        standing,
        State.PREPARING,
        now,
        generation=generation,
        lease=Lease(event.worker, generation, event.until, event.workers),
        not_before=None,
    )


def _renew(standing: Standing, event: Renew, now: datetime) -> Standing:
    assert standing.lease is not None
    # Not the later of the two: that may be of a clock that was wrong.
    lease = replace(standing.lease, until=event.until)
    return replace(standing, lease=lease, changed=_recorded(standing, now))


def _begin(standing: Standing, event: Begin, now: datetime) -> Standing:
    del event
    if standing.state is not State.PREPARING:
        return replace(standing, changed=_recorded(standing, now))
    return _to(standing, State.RUNNING, now, start_time=standing.start_time or _recorded(standing, now))


def _advance(standing: Standing, event: Advance, now: datetime) -> Standing:
    losses = 0 if event.committed else standing.losses
    return replace(standing, losses=losses, changed=_recorded(standing, now))


def _succeed(standing: Standing, event: Succeed, now: datetime) -> Standing:
    del event
    return _end(standing, State.SUCCEEDED, now, "")


def _fail(standing: Standing, event: Fail, now: datetime) -> Standing:
    return _end(standing, State.FAILED, now, event.message, event.error)


def _stop(standing: Standing, event: Stop, now: datetime) -> Standing:
    del event
    return _end(standing, State.CANCELLED, now, standing.message)


def _release(standing: Standing, event: Release, now: datetime) -> Standing:
    del event
    if standing.state is State.CANCELLING:
        return _end(standing, State.CANCELLED, now, standing.message)
    return _to(standing, State.QUEUED, now, lease=None)


def _lose(standing: Standing, event: Lose, now: datetime) -> Standing:
    return _lost(standing, event.reason, now)


def _expire(standing: Standing, event: Expire, now: datetime) -> Standing:
    del event
    if standing.lease is None or now < standing.lease.until:
        raise NotNow("There is no lease, or it has not ended.")
    return _lost(standing, f"the worker {standing.lease.worker} was not heard of any more", now)


def _cancel(standing: Standing, event: Cancel, now: datetime) -> Standing:
    if standing.state in TERMINAL:
        raise Finished(f"The job is {standing.state} already.")
    if standing.state is State.CANCELLING:
        return standing
    if standing.state is State.QUEUED:
        return _end(standing, State.CANCELLED, now, event.reason)
    return _to(standing, State.CANCELLING, now, message=event.reason)


_HANDLERS: dict[type, Callable[..., Standing]] = {
    Claim: _claim,
    Renew: _renew,
    Begin: _begin,
    Advance: _advance,
    Succeed: _succeed,
    Fail: _fail,
    Stop: _stop,
    Release: _release,
    Lose: _lose,
    Expire: _expire,
    Cancel: _cancel,
}


def _lost(standing: Standing, reason: str, now: datetime) -> Standing:
    if standing.state is State.CANCELLING:
        return _end(standing, State.CANCELLED, now, standing.message)
    losses = standing.losses + 1
    if losses >= MAX_LOSSES:
        message = f"The job was given up after it was lost {losses} times in a row; the last time {reason}."
        return _end(standing, State.FAILED, now, message, WorkerLost.__name__)
    wait = min(_FIRST_WAIT * 2 ** (losses - 1), LONGEST_WAIT)
    return _to(standing, State.QUEUED, now, lease=None, losses=losses, not_before=now + wait)


def _end(standing: Standing, state: State, now: datetime, message: str, error: str = "") -> Standing:
    ended = _recorded(standing, now)
    return _to(standing, state, now, lease=None, not_before=None, end_time=ended, message=message, error=error)


def _to(standing: Standing, state: State, now: datetime, **changes: object) -> Standing:
    changed = _recorded(standing, now)
    return replace(standing, state=advance(standing.state, state), changed=changed, **changes)  # type: ignore[arg-type]


def _recorded(standing: Standing, now: datetime) -> datetime:
    """The time of an event that happens now."""
    return max(now, standing.changed)
