"""A filter as a condition of SQL: what `filters.matches` says of a job, said to the database.

No condition is ever NULL, so that NOT is the opposite. A prefix is a range of an index, because names are compared
by code point.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, func, not_, or_, select, true
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import GenericFunction
from sqlalchemy.types import Integer

from batchpredict.job import to_datetime
from batchpredict.service.filters import And, Comparison, Filter, Not, Or, prefix_of
from batchpredict.service.store import labels
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


class _Find(GenericFunction[int]):
    """Where a text has another in it, from 1; 0 if it has not."""

    type = Integer()
    name = "instr"
    inherit_cache = True


@compiles(_Find, "postgresql")
def _strpos(find: _Find, compiler: Any, **how: Any) -> str:
    return f"strpos{compiler.function_argspec(find, **how)}"


FEW = 2000
"""Jobs with a label that are few: they are all looked at, and of more one of them soon comes by."""


def page_of(
    connection: Connection, project: str, where: Filter | None, size: int, before: int | None
) -> Select[Any]:
    """Selects the newest `size` jobs of a project that a filter matches, with lower numbers than `before`.

    Which they are is found out first, from as little as it takes; then their rows are read.
    """
    parts = () if where is None else where.parts if isinstance(where, And) else (where,)
    driving = _driving(connection, project, parts)
    order: ColumnElement[Any] = jobs.c.sequence
    if driving is None:
        sequence: ColumnElement[Any] = jobs.c.sequence
        found = select(sequence).where(jobs.c.project == project)
        if _few_ids(connection, project, parts):
            # An order that no index has leads to the index of ids, and the few are sorted.
            order = sequence + 0
    else:
        sequence = order = job_labels.c.sequence
        found = select(sequence).where(_of(project), _label(driving))
        parts = tuple(part for part in parts if part is not driving)
        if parts:
            found = found.join(jobs, jobs.c.sequence == sequence)
    if before is not None:
        found = found.where(sequence < before)
    page = found.where(*map(condition, parts)).order_by(order.desc()).limit(size).subquery()
    return select_jobs().join(page, page.c.sequence == jobs.c.sequence).order_by(jobs.c.sequence.desc())


def _driving(connection: Connection, project: str, parts: Iterable[Filter]) -> Comparison | None:
    """The label that fewest jobs have, of those that all have to match and that lead to them.

    The index of labels has the jobs of one value in their order; those of several it gives only if they are few.
    """
    counts: dict[Comparison, int] = {}
    for part in parts:
        if isinstance(part, Comparison) and part.field.startswith(_LABELS) and part.operator != "!=":
            some = select(job_labels.c.sequence).where(_of(project), _label(part)).limit(FEW).subquery()
            count = connection.execute(select(func.count()).select_from(some)).scalar_one()
            if count < FEW or prefix_of(part) is None:
                counts[part] = count
    return min(counts, key=lambda part: counts[part], default=None)


def _few_ids(connection: Connection, project: str, parts: Iterable[Filter]) -> bool:
    """Whether all have to match a beginning of their ids that few have."""
    for part in parts:
        if isinstance(part, Comparison) and part.field == "job_id" and part.operator == ":":
            same = and_(jobs.c.project == project, _text(jobs.c.job_id, part))
            some = select(jobs.c.job_id).where(same).limit(FEW).subquery()
            return connection.execute(select(func.count()).select_from(some)).scalar_one() < FEW
    return False


def condition(where: Filter) -> ColumnElement[bool]:
    """What is true of the rows of `jobs` that a filter matches, and false of all others."""
    if isinstance(where, And):
        return and_(*map(condition, where.parts))
    if isinstance(where, Or):
        return or_(*map(condition, where.parts))
    if isinstance(where, Not):
        return not_(condition(where.inner))
    if where.operator == "!=":
        return not_(condition(_equal(where)))
    if where.field.startswith(_LABELS):
        return _has(where)
    if where.field in _TIMES:
        column = _TIMES[where.field]
        if prefix_of(where) == "":
            return column.is_not(None)
        return and_(column.is_not(None), _OPERATORS[where.operator](column, to_datetime(where.value)))
    # A text that is not set is "", and equal to nothing.
    return and_(_TEXTS[where.field] != "", _text(_TEXTS[where.field], where))


def _has(where: Comparison) -> ColumnElement[bool]:
    """Whether the labels in the row have this one."""
    key, prefix = storable(where.field.removeprefix(_LABELS)), prefix_of(where)
    sought = labels.whole(key, where.value) if prefix is None else labels.beginning(key, prefix)
    return _Find(jobs.c.labels, storable(sought)) > 0


def _equal(where: Comparison) -> Comparison:
    return Comparison(where.field, "=", where.value)


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
