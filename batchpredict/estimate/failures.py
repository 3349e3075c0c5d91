"""What fails in a sample, by kind, and whether a job's error budget would bear it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from batchpredict.estimate.ranges import Range
from batchpredict.estimate.sampled import Measured
from batchpredict.job import ErrorBudget

# What differs between two messages of one kind: numbers and what is quoted.
_PARTICULARS = re.compile(r"'[^']*'|\"[^\"]*\"|\[[^\]]*\]|-?\d[\d.eE+-]*")
MOST_KINDS = 20

HOLDS = "holds"
MAY_BE_SPENT = "may be spent"
SPENT = "would be spent"


@dataclass(frozen=True)
class Kind:
    """Errors that are alike.

    Attributes:
      code: the service's name of what is wrong.
      message: that of the example.
      count: records of the sample that failed so.
      example: of the first: "source", "offset", "message", and where it has one its "instance", as an error file.
    """

    code: str
    message: str
    count: int
    example: Mapping[str, Any]


def kinds(found: Sequence[tuple[Measured, Sequence[Mapping[str, Any]]]]) -> list[Kind]:
    """The errors of a sample by kind, the most frequent first, at most `MOST_KINDS`.

    Args:
      found: attempts, with the lines of the error part of each.
    """
    examples: dict[tuple[str, str], Mapping[str, Any]] = {}
    counts: dict[tuple[str, str], int] = {}
    for measured, lines in found:
        for line in lines:
            kind = (str(line["code"]), _PARTICULARS.sub("…", str(line["message"])))
            counts[kind] = counts.get(kind, 0) + int(line.get("records", 1))
            if kind not in examples:
                source = measured.segments[line["segment"]].path
                names = ("offset", "message", "instance")
                examples[kind] = {"source": source, **{name: line[name] for name in names if name in line}}
    ordered = sorted(counts, key=lambda kind: (-counts[kind], kind))[:MOST_KINDS]
    return [Kind(kind[0], str(examples[kind]["message"]), counts[kind], examples[kind]) for kind in ordered]


def verdict(budget: ErrorBudget, share: Range, records: Range) -> str:
    """Whether a job with so many failures keeps within its error budget: `HOLDS`, `MAY_BE_SPENT` or `SPENT`."""
    if budget.is_percentage:
        least, most, limit = share.low * 100, share.high * 100, float(budget.limit)
    else:
        least, most, limit = share.low * records.low, share.high * records.high, float(budget.limit)
    if least > limit:
        return SPENT
    return MAY_BE_SPENT if most > limit else HOLDS
