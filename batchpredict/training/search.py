"""A search for hyperparameters as it stands in a job's folder, and what is to be done next.

There is no process that leads the search. Whoever has room looks at what is there and, if another trial may begin,
begins it by create-if-absent: of two that choose the same number one wins, and the other looks again. The study is
rebuilt from the trials each time, so it is nobody's to lose.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from batchpredict.job import HyperparameterSpec
from batchpredict.training.folder import TrainingFolder
from batchpredict.training.tuning import Metric, Trial, TrialState

_READERS = 16
# A search whose first trials all fail is of a trainer that is wrong; the service decided when it gave up, and so
# does this where maxFailedTrials is not given.
_FAILED_AT_FIRST = 3


@dataclass(frozen=True)
class Known:
    """A trial, and what is known of it besides its values and its objective.

    Attributes:
      trial: its number, values, state and metrics.
      began, ended: seconds since the epoch; `ended` None while it runs.
      attempt: of the job, in which it was begun.
      reason: why it failed; "" if it did not.
    """

    trial: Trial
    began: float
    ended: float | None
    attempt: int
    reason: str = ""

    @property
    def live(self) -> bool:
        return self.ended is None


@dataclass(frozen=True)
class Begin:
    """A trial is to be begun. `number`: from 1."""

    number: int


@dataclass(frozen=True)
class Wait:
    """Nothing is to be done but what is under way."""


@dataclass(frozen=True)
class Over:
    """The search has ended. `error`: why it failed; "" if it did not."""

    error: str = ""


def following(spec: HyperparameterSpec, known: Sequence[Known], attempt: int) -> Begin | Wait | Over:
    """What is to be done next in a search.

    Args:
      known: all trials that were begun.
      attempt: of the job: what failed in an earlier one is not held against this one.
    """
    error = _given_up(spec, known, attempt)
    if error:
        return Over(error)
    counted = [one for one in known if not (one.trial.state is TrialState.FAILED and one.attempt < attempt)]
    live = sum(one.live for one in known)
    if len(counted) >= spec.effective_max_trials:
        return Wait() if live else Over()
    if live >= spec.effective_max_parallel_trials:
        return Wait()
    return Begin(max((one.trial.number for one in known), default=0) + 1)


def _given_up(spec: HyperparameterSpec, known: Sequence[Known], attempt: int) -> str:
    failed = [one for one in known if one.trial.state is TrialState.FAILED and one.attempt == attempt]
    if not failed:
        return ""
    last = f" Trial {failed[-1].trial.number}: {failed[-1].reason}"
    if spec.max_failed_trials and len(failed) > spec.max_failed_trials:
        return f"{len(failed)} trials failed, more than maxFailedTrials ({spec.max_failed_trials}) allows.{last}"
    succeeded = any(not one.live and one.trial.state is not TrialState.FAILED for one in known)
    most = min(_FAILED_AT_FIRST, spec.effective_max_trials)
    if not spec.max_failed_trials and not succeeded and len(failed) >= most:
        return f"The first {len(failed)} trials failed.{last}"
    return ""


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
        trial = Trial(
            number=number,
            values=begun.get("values", {}),
            state=TrialState(told["state"]) if ended else TrialState.PENDING,
            metrics=tuple(Metric(int(step), float(value), float(at)) for step, value, at in told.get("metrics", ())),
        )
        return Known(
            trial=trial,
            began=float(begun.get("time", 0.0)),
            ended=None if ended is None else float(ended["time"]),
            attempt=int(begun.get("attempt", 1)),
            reason=str(told.get("reason", "")),
        )
