"""Random schedules of one job: workers that die and come back, leases that end, cancels, a clock that jumps.

    python tests/service/schedules.py [--steps 5000000] [--seed 1]

After each step the promises about a job are checked, and at the end that it still can be brought to its end. A seed
that fails is a test: put it into `test_schedules.py`.
"""

from __future__ import annotations

import argparse
import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

from batchpredict.errors import IllegalTransition
from batchpredict.job import TERMINAL, TRANSITIONS, State
from batchpredict.service.queue import (
    LONGEST_WAIT,
    MAX_LOSSES,
    Advance,
    Begin,
    Cancel,
    Claim,
    Event,
    Expire,
    Fail,
    Finished,
    LeaseLost,
    Lose,
    NotNow,
    Release,
    Renew,
    Standing,
    Stop,
    Succeed,
    lifecycle,
    queued,
)

LEASE = timedelta(seconds=15)
HELD = frozenset({State.PREPARING, State.RUNNING, State.CANCELLING})
STOPPED = frozenset({State.CANCELLING, State.CANCELLED, State.SUCCEEDED, State.FAILED})
LONGEST = 400
"""Steps of one job, at most."""


@dataclass
class Schedule:
    """One job under one random schedule.

    Attributes:
      standing: how the job stands.
      now: what the clock says.
      believed: the generation that each worker believes to hold, right or wrong.
      given: generations that were given, in order.
      cancelled: a cancel was acknowledged.
      log: what happened, for whoever reads a failure.
    """

    random: random.Random
    now: datetime
    standing: Standing
    believed: dict[str, int] = field(default_factory=dict)
    given: list[int] = field(default_factory=list)
    cancelled: bool = False
    log: list[str] = field(default_factory=list)

    def happen(self, event: Event, by: str = "") -> bool:
        """Whether the event was taken. Checks all that must be so after it."""
        before = self.standing
        generation = getattr(event, "generation", None)
        zombie = generation is not None and (before.lease is None or before.lease.generation != generation)
        try:
            after = lifecycle.step(before, event, self.now)
        except (LeaseLost, NotNow, Finished, IllegalTransition) as error:
            refusal: type[Exception] | None = type(error)
        else:
            refusal = None
        if refusal is not None:
            self.log.append(f"{self.now.time()} {by} {event} refused: {refusal.__name__}")
            assert (refusal is LeaseLost) == zombie, "exactly those that hold nothing are told so"
            assert (refusal is Finished) == (isinstance(event, Cancel) and before.state in TERMINAL)
            return False
        self.log.append(f"{self.now.time()} {by} {event}: {after.state}")
        assert not zombie, "nothing is changed under an old generation"
        self._check(before, event, after)
        self.standing = after
        return True

    def _check(self, before: Standing, event: Event, after: Standing) -> None:
        assert after.state is before.state or after.state in TRANSITIONS[before.state], "the path is legal"
        assert before.state not in TERMINAL, "nothing follows an end"
        assert after.changed >= before.changed, "times never run backwards"
        assert (after.lease is not None) == (after.state in HELD), "who is held has a holder"
        assert (after.end_time is not None) == (after.state in TERMINAL)
        assert before.start_time is None or after.start_time == before.start_time
        assert after.start_time is None or after.end_time is None or after.start_time <= after.end_time
        assert after.losses < MAX_LOSSES or after.state is State.FAILED
        if isinstance(event, Claim):
            assert before.lease is None, "at most one lease is live"
            assert all(after.generation > earlier for earlier in self.given), "generations rise"
            assert after.lease is not None
            assert after.lease.generation == after.generation
            self.given.append(after.generation)
        else:
            assert after.generation == before.generation
            assert after.lease is None or before.lease is not None
        if isinstance(event, Cancel):
            self.cancelled = True
        assert not self.cancelled or after.state in STOPPED, "an acknowledged cancel holds"

    def random_step(self) -> None:
        """The clock goes on, or jumps; somebody does something, whether it makes sense or not."""
        roll = self.random
        if roll.random() < 0.05:
            self.now += timedelta(seconds=roll.choice([-7200, -90, -1, 30, 4000]))
        else:
            self.now += timedelta(seconds=roll.random() * 4)
        worker = roll.choice("abc")
        mine = self.believed.get(worker, 0)
        kind = roll.random()
        if kind < 0.15:
            if self.happen(Claim(worker, self.now + LEASE, 2), worker):
                self.believed[worker] = self.standing.generation
        elif kind < 0.30:
            self.happen(Expire())
        elif kind < 0.33:
            self.happen(Cancel("Somebody cancelled it."))
        elif kind < 0.36:
            # What was in flight when the process died.
            self.happen(Lose(roll.randint(0, self.standing.generation + 1), "its process died"), "nobody")
        else:
            events: list[Event] = [
                *[Renew(mine, self.now + LEASE)] * 5,
                *[Begin(mine)] * 5,
                *[Advance(mine)] * 2,
                Succeed(mine),
                Fail(mine, "No input."),
                Stop(mine),
                Release(mine),
                Lose(mine, "it was killed"),
            ]
            self.happen(roll.choice(events), worker)

    def finish(self) -> None:
        """From here on all goes well: the job must end, by this clock, within the longest wait and one lease."""
        jumped = self.standing.lease.until - self.now if self.standing.lease else timedelta(0)
        deadline = self.now + max(jumped, timedelta(0)) + LONGEST_WAIT + LEASE
        while self.standing.state not in TERMINAL:
            assert self.now <= deadline, "it could be brought to its end"
            self.now += timedelta(seconds=1)
            self.happen(Expire())
            if self.happen(Claim("z", self.now + LEASE, 1), "z"):
                held = self.standing.generation
                assert self.happen(Begin(held), "z")
                assert self.happen(Succeed(held), "z")


def replay(seed: int) -> int:
    """One job from its creation to its end; the steps that it took. Raises AssertionError with what happened."""
    roll = random.Random(seed)
    now = datetime(2026, 1, 1, tzinfo=timezone.utc)
    schedule = Schedule(roll, now, queued(now))
    try:
        for _ in range(roll.randint(1, LONGEST)):
            schedule.random_step()
            # And some more, at what has ended.
            if schedule.standing.state in TERMINAL and roll.random() < 0.1:
                break
        schedule.finish()
    except AssertionError as error:
        raise AssertionError(f"seed {seed}: {error}\n" + "\n".join(schedule.log[-30:])) from error
    return len(schedule.log)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=5_000_000)
    parser.add_argument("--seed", type=int, default=1, help="of the first job; the others follow")
    options = parser.parse_args()
    steps, seed = 0, options.seed
    while steps < options.steps:
        steps += replay(seed)
        seed += 1
    print(f"{steps} steps of {seed - options.seed} jobs")


if __name__ == "__main__":
    main()
