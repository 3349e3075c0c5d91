"""Columns: the values of one model input for many rows.

Three forms, because each is the fastest for what it holds: a list of bytes for scalar strings, a numpy array
for rows of one shape, and `Ragged` for rows whose shapes differ where the signature leaves a size open.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias, cast

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]


class Ragged(list[Array]):
    """One array a row, of one dtype, not all of one shape."""


Column: TypeAlias = "list[bytes] | Array | Ragged"


def cut(column: Column, start: int, stop: int) -> Column:
    """Rows [start, stop) of a column."""
    return Ragged(column[start:stop]) if isinstance(column, Ragged) else column[start:stop]


def take(column: Column, rows: Sequence[int]) -> Column:
    """The given rows of a column, in the given order."""
    if isinstance(column, np.ndarray):
        return column[list(rows)]
    if isinstance(column, Ragged):
        return Ragged(column[row] for row in rows)
    return [column[row] for row in rows]


def concatenate(columns: Sequence[Column]) -> Column:
    """Columns of one input, one behind the other."""
    if len(columns) == 1:
        return columns[0]
    arrays = [column for column in columns if isinstance(column, np.ndarray)]
    if len(arrays) == len(columns) and len({array.shape[1:] for array in arrays}) == 1:
        return np.concatenate(arrays)
    if arrays or any(isinstance(column, Ragged) for column in columns):
        return Ragged(cast(Array, row) for column in columns for row in column)
    joined: list[bytes] = []
    for column in columns:
        joined.extend(cast("list[bytes]", column))
    return joined


def shape_groups(columns: Sequence[Column], count: int) -> list[list[int]]:
    """Rows that may share a model call: those whose values have equal shapes, in every column."""
    ragged = [column for column in columns if isinstance(column, Ragged)]
    groups: dict[tuple[tuple[int, ...], ...], list[int]] = {}
    for row in range(count):
        groups.setdefault(tuple(column[row].shape for column in ragged), []).append(row)
    return list(groups.values())


def dense(column: Column) -> list[bytes] | Array:
    """A column whose rows are known to have one shape, in the form that TensorFlow takes."""
    return np.stack(column) if isinstance(column, Ragged) else column
