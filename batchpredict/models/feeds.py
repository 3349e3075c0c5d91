"""Columns to the arrays that a session is fed with."""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from batchpredict.errors import INVALID_INPUTS, RecordRefused
from batchpredict.models.columns import Array, Column, Ragged, dense
from batchpredict.models.signature import TensorSpec


def feed(column: Column, spec: TensorSpec, dtype: Any) -> list[Array]:
    """The arrays of one input, in the order of its tensors: one, or values, indices and dense shape.

    Args:
      column: a value for each record of the call; of an input without batch dimension they are equal.
      spec: the input.
      dtype: the numpy type that TensorFlow has for it.
    """
    if isinstance(column, np.ndarray) and column.dtype == dtype and spec.batched and not spec.sparse:
        return [column]
    if spec.sparse:
        return _sparse(column, spec, dtype)
    array = _array(dense(column), spec, dtype)
    if not spec.batched:
        return [array[0:1].reshape(array.shape[1:])]
    return [array]


def _array(column: list[bytes] | Array, spec: TensorSpec, dtype: Any) -> Array:
    if isinstance(column, np.ndarray):
        return _typed(column, dtype)
    # numpy looks into each of a list's items for a sequence, unless it is told that they are objects.
    array = np.fromiter(column, dtype=object, count=len(column))
    if spec.batched and spec.row_shape and all(size in (1, None) for size in spec.row_shape):
        # A record is one string, and Keras likes its string inputs as [batch, 1].
        return array.reshape([len(column)] + [1] * len(spec.row_shape))
    return array


def _typed(array: Array, dtype: Any) -> Array:
    if array.dtype == dtype:
        return array
    if dtype.fields is not None:
        # TensorFlow's quantized integers are to numpy a record of one integer.
        (inner,) = (field[0] for field in dtype.fields.values())
        return np.ascontiguousarray(array, dtype=inner).view(dtype)
    return array.astype(dtype)


def _sparse(column: Column, spec: TensorSpec, dtype: Any) -> list[Array]:
    """Values, indices int64 [values, rank] and dense shape int64 [rank] of rows whose values stand at 0, 1, …"""
    rows = [np.asarray(row, dtype=object) if isinstance(row, bytes) else cast(Array, row) for row in column]
    rank = 1 + len(spec.row_shape or ())
    shape = np.array([len(rows), *(max((row.shape[at] for row in rows), default=0) for at in range(rank - 1))])
    for at, size in enumerate(spec.shape or ()):
        if at and size is not None:
            if shape[at] > size:
                text = f"Input mismatch: input {spec.alias} has rows of at most {size} values, got {shape[at]}."
                raise RecordRefused(INVALID_INPUTS, text)
            shape[at] = size
    values = [row.reshape(-1) for row in rows]
    indices = [
        np.concatenate([np.full((row.size, 1), at), np.indices(row.shape).reshape(row.ndim, row.size).T], axis=1)
        for at, row in enumerate(rows)
    ]
    joined = np.concatenate(values)
    return [_typed(joined, dtype), np.concatenate(indices).astype(np.int64), shape.astype(np.int64)]


def padded(column: Column, count: int) -> Column:
    """A column filled up to the batch size that the graph was built for, with its last row."""
    missing = count - len(column)
    if isinstance(column, np.ndarray):
        return np.concatenate([column, np.repeat(column[-1:], missing, axis=0)])
    if isinstance(column, Ragged):
        return Ragged([*column, *column[-1:] * missing])
    return column + column[-1:] * missing
