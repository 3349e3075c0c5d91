"""A filter as a condition of SQL."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select

from batchpredict.service.filters import Filter
from batchpredict.service.store.tables import jobs


def narrowed(statement: Select[Any], project: str, where: Filter | None) -> Select[Any]:
    """Jobs of a project that a filter matches."""
    if where is not None:
        raise NotImplementedError
    return statement.where(jobs.c.project == project)
