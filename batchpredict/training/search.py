"""A search for hyperparameters as it stands in a job's folder, and what is to be done next.

There is no process that leads the search. Whoever has room looks at what is there and, if another trial may begin,
begins it by create-if-absent: of two that choose the same number one wins, and the other looks again. The study is
rebuilt from the trials each time, so it is nobody's to lose.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from batchpredict.job import to_timestamp
from batchpredict.training.folder import TrainingFolder
from batchpredict.training.tuning import Metric, Trial, TrialState

_READERS = 16


@dataclass(frozen=True)
class Known:
    """A trial, and what is known of it besides.

    Attributes:
      trial: its number, values, state and metrics.
      live: whether it runs.
      attempt: at the job, in which it was begun.
      reason: why it failed; "" if it did not.
    """

    trial: Trial
    live: bool
    attempt: int
    reason: str = ""


def counted(known: Sequence[Known], attempt: int) -> list[Trial]:
    """The trials that count for how a search goes on: what failed in an earlier attempt at the job is not held
    against this one."""
    return [one.trial for one in known if one.trial.state is not TrialState.FAILED or one.attempt == attempt]


class Trials:
    """The trials of a job, read from its folder: what cannot change any more only once. For one thread."""

    def __init__(self, folder: TrainingFolder) -> None:
        self._folder = folder
        self._begun: dict[int, dict[str, Any]] = {}
        self._ended: dict[int, Known] = {}

    def load(self, *, seen: bool = False) -> list[Known]:
        """All trials that were begun, by number.

        Args:
          seen: with the objective of those that run, as far as their hosts have said it.
        """
        there = self._folder.known_trials()
        numbers = sorted(number for number, kinds in there.items() if "trial" in kinds)
        new = [number for number in numbers if number not in self._ended]
        with ThreadPoolExecutor(_READERS) as pool:
            read = list(pool.map(lambda number: self._load(number, there[number], seen=seen), new))
        found = dict(zip(new, read, strict=True))
        self._ended.update({number: one for number, one in found.items() if not one.live})
        return [self._ended.get(number) or found[number] for number in numbers]

    def _load(self, number: int, kinds: set[str], *, seen: bool) -> Known:
        place = self._folder.trial(number)
        if number not in self._begun:
            self._begun[number] = place.begun() or {}
        begun = self._begun[number]
        ended = place.ended() if "ended" in kinds else None
        told = ended or (place.seen() if seen and "seen" in kinds else None) or {}
        metrics = told.get("metrics", ())
        trial = Trial(
            number=number,
            values=begun.get("values", {}),
            state=TrialState(told["state"]) if ended else TrialState.PENDING,
            metrics=tuple(Metric(int(step), float(value), float(at)) for step, value, at in metrics),
            started=_timestamp(begun.get("time", 0.0)),
            ended=None if ended is None else _timestamp(ended["time"]),
        )
        return Known(
            trial=trial,
            live=ended is None,
            attempt=int(begun.get("attempt", 1)),
            reason=str(told.get("reason", "")),
        )


def _timestamp(seconds: float) -> str:
    return to_timestamp(datetime.fromtimestamp(seconds, timezone.utc))
