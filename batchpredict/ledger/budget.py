"""Watching the error budget while a job runs."""

from __future__ import annotations

from dataclasses import dataclass

from batchpredict.errors import BudgetSpent
from batchpredict.job import ErrorBudget
from batchpredict.ledger.manifest import Manifest

# A percentage is of all the job's records, whose number is known only at the end. Before that it is taken from
# the bytes, and held against the job only by a margin: record sizes differ within a job.
_MARGIN = 2.0
# Fewer errors than this, or fewer records, say nothing about a percentage yet.
_FEWEST = 20
_FEWEST_RECORDS = 1000


@dataclass(frozen=True)
class Tally:
    """What a job, or a part of it, came to."""

    predictions: int = 0
    errors: int = 0
    bytes: int = 0

    @property
    def records(self) -> int:
        return self.predictions + self.errors

    @classmethod
    def of(cls, manifest: Manifest) -> Tally:
        """What one committed split came to."""
        return cls(manifest.predictions, manifest.error_count, manifest.bytes_read)

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.predictions + other.predictions, self.errors + other.errors, self.bytes + other.bytes)


def parse_budget(text: str | None) -> ErrorBudget | None:
    """The budget that a spec holds as text; None if there is none."""
    return None if text is None else ErrorBudget.read(text)


def check(budget: ErrorBudget | None, tally: Tally, example: str | None) -> None:
    """The final verdict over a whole job.

    Raises:
      BudgetSpent: it has more errors than its budget allows.
    """
    if budget is not None and budget.is_spent(tally.errors, tally.records):
        raise _spent(budget, tally, example)


def check_early(budget: ErrorBudget | None, tally: Tally, total_bytes: int, example: str | None) -> None:
    """The verdict over what has been read so far of a job of `total_bytes`, what waits for the model included.

    Raises:
      BudgetSpent: the budget will not do, for a percentage by all appearance.
    """
    if budget is None:
        return
    if not budget.is_percentage:
        check(budget, tally, example)
    elif tally.errors >= _FEWEST and tally.records >= _FEWEST_RECORDS and tally.bytes:
        expected = tally.records * max(total_bytes / tally.bytes, 1.0)
        if budget.is_spent(tally.errors, int(expected * _MARGIN)):
            raise _spent(budget, tally, example)


def _spent(budget: ErrorBudget, tally: Tally, example: str | None) -> BudgetSpent:
    cause = f" For example: {example}" if example else ""
    return BudgetSpent(
        f"More errors than maxErrors ({budget}) allows: "
        f"{tally.errors} of the {tally.records} records so far failed.{cause}"
    )
