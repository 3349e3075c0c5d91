"""The filter of list calls as a tree, and what it means.

    jobId:census*                               has: equal, or with the prefix before a trailing `*`
    state=FAILED  state!=FAILED                 equal, not equal
    createTime>"2017-01-01T00:00:00Z"           times: also `<`, `<=`, `>=`; a date alone is its first moment in UTC
    labels.team=blue  labels.team:*             a label; whether there is one at all
    jobId:rnn* AND state:FAILED                 all of them; so does a blank between two
    state=FAILED OR state=CANCELLED             one of them
    NOT state=FAILED  -state=FAILED             not
    (a OR b) AND c                              `AND` and `OR` side by side need parentheses, as in gcloud

A blank binds less than `OR`: `a b OR c` is `a AND (b OR c)`, also as in gcloud (`gcloud topic filters`). Names
of fields are in camelCase or snake_case. A value with blanks or parentheses is put between quotes, single or
double, in which a backslash takes the meaning from the character after it. A field that is not set is equal to
nothing, and `!=` is always the opposite of `=`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from batchpredict.errors import BatchPredictError
from batchpredict.job import to_datetime


class FilterInvalid(BatchPredictError):
    """A filter that does not parse: `position` is the character, from 1, at which it goes wrong."""

    def __init__(self, position: int, description: str) -> None:
        self.position = position
        super().__init__(f"The filter is not valid at character {position}: {description}")


@dataclass(frozen=True)
class Comparison:
    """field OPERATOR value.

    Attributes:
      field: in snake_case; `labels.KEY` for a label.
      operator: one of `:`, `=`, `!=`, `<`, `<=`, `>`, `>=`.
      value: as it was written, without quotes; of a time, a Timestamp; of a flag, "true" or "false". After `:` it
        may end with `*`; `*` alone matches whatever is set.
    """

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


def conjunction(parts: Sequence[Filter]) -> Filter:
    """All of at least one part."""
    flat = tuple(inner for part in parts for inner in (part.parts if isinstance(part, And) else (part,)))
    return And(flat) if len(flat) > 1 else flat[0]


def disjunction(parts: Sequence[Filter]) -> Filter:
    """One of at least one part."""
    flat = tuple(inner for part in parts for inner in (part.parts if isinstance(part, Or) else (part,)))
    return Or(flat) if len(flat) > 1 else flat[0]


class Kind(Enum):
    """What the values of a field are."""

    TEXT = "text"
    STATE = "state"
    TIME = "time"
    FLAG = "flag"


Fields = Mapping[str, Kind]
"""Fields that a filter may name, in snake_case. Labels may be named always."""

JOB_FIELDS: Fields = {
    "job_id": Kind.TEXT,
    "state": Kind.STATE,
    "create_time": Kind.TIME,
    "start_time": Kind.TIME,
    "end_time": Kind.TIME,
    "error_message": Kind.TEXT,
}
MODEL_FIELDS: Fields = {"name": Kind.TEXT, "description": Kind.TEXT, "create_time": Kind.TIME}
VERSION_FIELDS: Fields = {
    "name": Kind.TEXT,
    "description": Kind.TEXT,
    "create_time": Kind.TIME,
    "state": Kind.TEXT,
    "framework": Kind.TEXT,
    "is_default": Kind.FLAG,
    "error_message": Kind.TEXT,
}

Values = Mapping[str, "str | datetime | bool | None"]
"""Values by field, in snake_case, and labels as `labels.KEY`; a field that is absent is as one that is None."""


def matches(where: Filter, values: Values) -> bool:
    """Whether something with these values is one of those that a filter is for."""
    if isinstance(where, And):
        return all(matches(part, values) for part in where.parts)
    if isinstance(where, Or):
        return any(matches(part, values) for part in where.parts)
    if isinstance(where, Not):
        return not matches(where.inner, values)
    return _compares(where, values.get(where.field))


def prefix_of(comparison: Comparison) -> str | None:
    """The prefix that is asked for; None if the whole value is."""
    if comparison.operator == ":" and comparison.value.endswith("*"):
        return comparison.value[:-1]
    return None


def _compares(comparison: Comparison, value: str | datetime | bool | None) -> bool:
    if comparison.operator == "!=":
        return not _compares(Comparison(comparison.field, "=", comparison.value), value)
    if value is None:
        return False
    if prefix_of(comparison) == "":
        return True
    if isinstance(value, datetime):
        return _ORDER[comparison.operator](value, to_datetime(comparison.value))
    if isinstance(value, bool):
        return value == (comparison.value == "true")
    prefix = prefix_of(comparison)
    if prefix is None:
        return value == comparison.value
    return value.startswith(prefix)


_ORDER: Mapping[str, Callable[[datetime, datetime], bool]] = {
    ":": lambda one, other: one == other,
    "=": lambda one, other: one == other,
    "<": lambda one, other: one < other,
    "<=": lambda one, other: one <= other,
    ">": lambda one, other: one > other,
    ">=": lambda one, other: one >= other,
}
