"""A filter as a condition of SQL: what `filters.matches` says of a job, said to the database.

No condition is ever NULL, so that NOT is the opposite. A prefix is a range of an index, because names are compared
by code point.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, exists, func, not_, or_, select, true

from batchpredict.job import to_datetime
from batchpredict.service.filters import And, Comparison, Filter, Not, Or, prefix_of
from batchpredict.service.store.columns import storable
from batchpredict.service.store.rows import select_jobs
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


FEW = 2000
"""Jobs with a label that are few: they are looked up first, and of more one of them soon comes by."""


def page_of(
    connection: Connection, project: str, where: Filter | None, size: int, before: int | None
) -> Select[Any]:
    """Selects the newest `size` jobs of a project that a filter matches, with lower numbers than `before`."""
    parts = () if where is None else where.parts if isinstance(where, And) else (where,)
    counts = {label: _count(connection, project, label) for part in parts for label in _labels_in(part)}
    few = frozenset(label for label, count in counts.items() if count < FEW)
    # The index of labels has the jobs of one value in their order, and of several values it gives a few.
    ordered = [label for label in counts if label in parts and (label in few or prefix_of(label) is None)]
    driving = min(ordered, key=lambda label: counts[label], default=None)
    statement = select_jobs()
    sequence: ColumnElement[Any] = jobs.c.sequence
    if driving is not None:
        sequence = job_labels.c.sequence
        statement = statement.join(job_labels, job_labels.c.sequence == jobs.c.sequence)
        statement = statement.where(job_labels.c.project == project, _label(driving))
    else:
        statement = statement.where(jobs.c.project == project)
    if before is not None:
        statement = statement.where(sequence < before)
    conditions = (condition(part, project, few) for part in parts if part is not driving)
    return statement.where(*conditions).order_by(sequence.desc()).limit(size)


def condition(where: Filter, project: str, few: frozenset[Comparison] = frozenset()) -> ColumnElement[bool]:
    """What is true of the rows of `jobs` of a project that a filter matches, and false of the others.

    Args:
      few: comparisons of labels that few jobs match.
    """
    if isinstance(where, And):
        return and_(*(condition(part, project, few) for part in where.parts))
    if isinstance(where, Or):
        return or_(*(condition(part, project, few) for part in where.parts))
    if isinstance(where, Not):
        return not_(condition(where.inner, project, few))
    if where.operator == "!=":
        return not_(condition(_equal(where), project, few))
    if where.field.startswith(_LABELS):
        if where in few:
            return jobs.c.sequence.in_(select(job_labels.c.sequence).where(_of(project), _label(where)))
        return exists().where(job_labels.c.sequence == jobs.c.sequence, _label(where)).correlate(jobs)
    if where.field in _TIMES:
        column = _TIMES[where.field]
        if prefix_of(where) == "":
            return column.is_not(None)
        return and_(column.is_not(None), _OPERATORS[where.operator](column, to_datetime(where.value)))
    # A text that is not set is "", and equal to nothing.
    return and_(_TEXTS[where.field] != "", _text(_TEXTS[where.field], where))


def _labels_in(where: Filter) -> Iterator[Comparison]:
    if isinstance(where, (And, Or)):
        for part in where.parts:
            yield from _labels_in(part)
    elif isinstance(where, Not):
        yield from _labels_in(where.inner)
    elif where.field.startswith(_LABELS):
        yield _equal(where) if where.operator == "!=" else where


def _equal(where: Comparison) -> Comparison:
    return Comparison(where.field, "=", where.value)


def _count(connection: Connection, project: str, label: Comparison) -> int:
    """Jobs of a project that a comparison of a label matches, counted up to `FEW`."""
    some = select(job_labels.c.sequence).where(_of(project), _label(label)).limit(FEW).subquery()
    return connection.execute(select(func.count()).select_from(some)).scalar_one()


def _of(project: str) -> ColumnElement[bool]:
    return job_labels.c.project == project


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
