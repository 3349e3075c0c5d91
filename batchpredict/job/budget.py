"""How many failed records a job may have before it is given up: `maxErrors`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from batchpredict.job.scalars import refuse, shown

_COUNT = re.compile(r"[0-9]{1,18}")
_PERCENTAGE = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,9})?)%")


@dataclass(frozen=True)
class ErrorBudget:
    """At most `limit` failed records, or at most `limit` percent of the records if `is_percentage`."""

    limit: Decimal
    is_percentage: bool = False

    @classmethod
    def read(cls, value: Any) -> ErrorBudget:
        """Read ``10``, ``"10"`` or ``"2.5%"``; raises PydanticCustomError, which is a ValueError."""
        if isinstance(value, ErrorBudget):
            return value
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            # JSON has one kind of number: 10.0 is ten. Two and a half records are nothing.
            text = str(int(value)) if 0 <= value < 10**18 and value == int(value) else ""
        else:
            text = value if isinstance(value, str) else ""
        if _COUNT.fullmatch(text):
            return cls(Decimal(text))
        percentage = _PERCENTAGE.fullmatch(text)
        if percentage and Decimal(percentage[1]) <= 100:
            return cls(Decimal(percentage[1]), is_percentage=True)
        raise refuse(f'Expected a number of records like "10" or a percentage like "2.5%", got {shown(value)}.')

    def is_spent(self, errors: int, records: int) -> bool:
        """Whether `errors` failures among `records` records are more than allowed. Exact: no float is used.

        For a percentage, `records` is what the share is taken of: all records of the job for a final verdict.
        """
        if self.is_percentage:
            return errors * 100 > self.limit * records
        return errors > self.limit

    def __str__(self) -> str:
        return f"{self.limit}%" if self.is_percentage else str(self.limit)


UNLIMITED = ErrorBudget(Decimal("Infinity"))
"""What an absent `maxErrors` means, and what the original service did."""
