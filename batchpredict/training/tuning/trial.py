"""A trial as the search sees it: what was tried, how it ended, what it measured."""

from __future__ import annotations

import enum
import math
from collections.abc import Sequence
from dataclasses import dataclass

from batchpredict.training.tuning.space import Values


class TrialState(enum.Enum):
    """How far a trial is. A trial that is STOPPED was ended before its time and counts by its last metric."""

    PENDING = "PENDING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    STOPPED = "STOPPED"


@dataclass(frozen=True, order=True)
class Metric:
    """One value of the objective.

    Attributes:
      step: the training step that it belongs to.
      value: may be NaN or infinite, as trainers write what they get.
      seconds: when it was written, since the epoch.
    """

    step: int
    value: float
    seconds: float = 0.0


@dataclass(frozen=True)
class Trial:
    """One trial of a search.

    Attributes:
      number: from 1, in the order in which trials began.
      values: by name of parameter.
      state: how far it is.
      metrics: of the objective so far, one a step, in the order of the steps.
      started: when it began, as a Timestamp of the API; None if nobody has said.
      ended: when it ended.
    """

    number: int
    values: Values
    state: TrialState = TrialState.PENDING
    metrics: Sequence[Metric] = ()
    started: str | None = None
    ended: str | None = None

    @property
    def final(self) -> Metric | None:
        """The metric of the last step, and of those at one step the one that was written last."""
        return max(self.metrics, key=lambda metric: (metric.step, metric.seconds), default=None)

    @property
    def result(self) -> float | None:
        """What an ended trial came to; None if it failed, or measured nothing that can be compared."""
        if self.state in (TrialState.PENDING, TrialState.FAILED):
            return None
        final = self.final
        return final.value if final is not None and math.isfinite(final.value) else None
