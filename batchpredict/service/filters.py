"""The filter of list calls: text to a small tree. Knows no database.

As the service had it: `jobId:census*`, `state=FAILED`, `jobId:rnn* AND state:FAILED`, `createTime>"2017-01-01T00:00:00Z"`,
`labels.team=blue`, with AND (also by juxtaposition), OR, NOT (also `-`), and parentheses. `:` means has: equal, or
with the prefix before a trailing `*`; `=` and `!=` compare; `<`, `<=`, `>`, `>=` compare times.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Comparison:
    """field OPERATOR value. `field` is in snake_case; `labels.KEY` for a label."""

    field: str
    operator: str
    value: str


@dataclass(frozen=True)
class Not:
    inner: Filter


@dataclass(frozen=True)
class And:
    parts: tuple[Filter, ...]


@dataclass(frozen=True)
class Or:
    parts: tuple[Filter, ...]


Filter = Comparison | Not | And | Or

Values = Mapping[str, "str | datetime | bool | None"]
"""Values by field, in snake_case, and labels as `labels.KEY`; a field that is absent is as one that is None."""


def matches(where: Filter, values: Values) -> bool:
    raise NotImplementedError
