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
# Characters of a message; the statistics of a manifest have 300.
_COMPARED = 200

HOLDS = "holds"
MAY_BE_SPENT = "may be spent"
SPENT = "would be spent"


@dataclass(frozen=True)
class Kind:
    """Errors that are alike.

    Attributes:
      code: the service's name of what is wrong.
      message: that of the example.
      count: records that failed so.
      example: the first that was found: "source", "offset", "message", and "instance", as an error file has it,
        where it has one.
    """

    code: str
    message: str
    count: int
    example: Mapping[str, Any]


def kinds(attempts: Sequence[Measured]) -> list[Kind]:
    """The errors of some attempts by kind, the most frequent first, at most `MOST_KINDS`."""
    examples: dict[str, Mapping[str, Any]] = {}
    counts: dict[str, int] = {}
    for attempt in attempts:
        for message, count in attempt.error_stats:
            counts[_kind(message)] = counts.get(_kind(message), 0) + count
        for line in attempt.failed:
            source = attempt.segments[line["segment"]].path
            examples.setdefault(_kind(line["message"]), {"source": source, **line})
    ordered = sorted(counts.keys() & examples.keys(), key=lambda kind: (-counts[kind], kind))
    names = ("source", "offset", "message", "instance")
    return [
        Kind(
            str(examples[kind]["code"]),
            str(examples[kind]["message"]),
            counts[kind],
            {name: examples[kind][name] for name in names if name in examples[kind]},
        )
        for kind in ordered[:MOST_KINDS]
    ]


def _kind(message: str) -> str:
    """What messages of one kind have in common, by as much of them as a manifest's statistics have."""
    return _PARTICULARS.sub("…", message[:_COMPARED])


def verdict(budget: ErrorBudget, share: Range, records: Range) -> str:
    """Whether a job with so many failures keeps within its error budget: `HOLDS`, `MAY_BE_SPENT` or `SPENT`."""
    if budget.is_percentage:
        least, most, limit = share.low * 100, share.high * 100, float(budget.limit)
    else:
        least, most, limit = share.low * records.low, share.high * records.high, float(budget.limit)
    if least > limit:
        return SPENT
    return MAY_BE_SPENT if most > limit else HOLDS
