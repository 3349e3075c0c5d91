"""A filter as a condition of SQL: what `filters.matches` says of a job, said to the database.

No condition is ever NULL, so that NOT is the opposite. A prefix is a range of an index, because names are compared
by code point.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, exists, not_, or_, true

from batchpredict.job import to_datetime
from batchpredict.service.filters import And, Comparison, Filter, Not, Or, prefix_of
from batchpredict.service.store.columns import storable
from batchpredict.service.store.tables import job_labels, jobs

_LABELS = "labels."

_TIMES = {"create_time": jobs.c.created, "start_time": jobs.c.start_time, "end_time": jobs.c.end_time}
_TEXTS = {"job_id": jobs.c.job_id, "state": jobs.c.state, "error_message": jobs.c.message}

_OPERATORS: Mapping[str, Callable[[Any, Any], Any]] = {
    ":": operator.eq,
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def page_of(
    statement: Select[Any], project: str, where: Filter | None, size: int, before: int | None
) -> Select[Any]:
    """The newest `size` jobs of a project that a filter matches, of those with lower numbers than `before`."""
    sequence: ColumnElement[Any] = jobs.c.sequence
    parts = () if where is None else where.parts if isinstance(where, And) else (where,)
    driving = next((part for part in parts if _is_label(part)), None)
    if isinstance(driving, Comparison):
        # The index of labels has the jobs of a label in their order: where few have it, few are looked at.
        sequence = job_labels.c.sequence
        statement = statement.join(job_labels, job_labels.c.sequence == jobs.c.sequence).where(
            job_labels.c.project == project, _label(driving)
        )
        parts = tuple(part for part in parts if part is not driving)
    else:
        statement = statement.where(jobs.c.project == project)
    if before is not None:
        statement = statement.where(sequence < before)
    return statement.where(*(condition(part) for part in parts)).order_by(sequence.desc()).limit(size)


def condition(where: Filter) -> ColumnElement[bool]:
    """What is true of the rows of `jobs` that a filter matches, and false of all others."""
    if isinstance(where, And):
        return and_(*(condition(part) for part in where.parts))
    if isinstance(where, Or):
        return or_(*(condition(part) for part in where.parts))
    if isinstance(where, Not):
        return not_(condition(where.inner))
    if where.operator == "!=":
        return not_(condition(Comparison(where.field, "=", where.value)))
    if where.field.startswith(_LABELS):
        return exists().where(job_labels.c.sequence == jobs.c.sequence, _label(where)).correlate(jobs)
    if where.field in _TIMES:
        column = _TIMES[where.field]
        if prefix_of(where) == "":
            return column.is_not(None)
        return and_(column.is_not(None), _OPERATORS[where.operator](column, to_datetime(where.value)))
    # A text that is not set is "", and equal to nothing.
    return and_(_TEXTS[where.field] != "", _text(_TEXTS[where.field], where))


def _is_label(where: Filter) -> bool:
    """Whether one label has one value: by this the index of labels is read in order."""
    return (
        isinstance(where, Comparison)
        and where.field.startswith(_LABELS)
        and where.operator != "!="
        and prefix_of(where) is None
    )


def _label(where: Comparison) -> ColumnElement[bool]:
    key = storable(where.field.removeprefix(_LABELS))
    return and_(job_labels.c.key == key, _text(job_labels.c.value, where))


def _text(column: ColumnElement[Any], where: Comparison) -> ColumnElement[bool]:
    prefix = prefix_of(where)
    if prefix is None:
        return column == storable(where.value)
    prefix = storable(prefix)
    after = _after(prefix)
    return and_(column >= prefix if prefix else true(), column < after if after else true())


def _after(prefix: str) -> str:
    """The first text after all those that begin with `prefix`; "" if there is none."""
    cut = prefix.rstrip("\U0010ffff")
    if not cut:
        return ""
    following = ord(cut[-1]) + 1
    # No text has surrogates.
    return cut[:-1] + chr(0xE000 if following == 0xD800 else following)
