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


def call_groups(unlike: Sequence[Column], count: int, equal: Sequence[Column] = ()) -> list[list[int]]:
    """Rows that may share a model call, each group in ascending order.

    Args:
      unlike: columns whose values must have equal shapes.
      count: rows of each column.
      equal: columns whose values must be equal.
    """
    ragged = [column for column in unlike if isinstance(column, Ragged)]
    groups: dict[tuple[Any, ...], list[int]] = {}
    for row in range(count):
        shapes = tuple(column[row].shape for column in ragged)
        groups.setdefault((shapes, *(_bits(column[row]) for column in equal)), []).append(row)
    return list(groups.values())


def all_equal(column: Column) -> bool:
    """Whether every row of a column has one value, bit for bit."""
    first = _bits(column[0]) if len(column) else b""
    return all(_bits(value) == first for value in column)


def _bits(value: Any) -> bytes:
    return value if isinstance(value, bytes) else bytes(np.asarray(value).tobytes())


def dense(column: Column) -> list[bytes] | Array:
    """A column whose rows are known to have one shape, in the form that TensorFlow takes."""
    return np.stack(column) if isinstance(column, Ragged) else column
