"""JSON values (or a column's Python values) to the column of one model input.

Conversion is tried for the whole column at once; only if that fails is each value looked at, so that the
guilty ones are named and the others go on.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from batchpredict.errors import INVALID_INPUTS, RecordRefused
from batchpredict.models.columns import Array, Column, Ragged
from batchpredict.models.signature import TensorSpec


class InvalidText(bytes):
    """What a column of text holds where it is not UTF-8: neither text nor meant as bytes, so no input takes it."""


Refusals = dict[int, RecordRefused]
"""What was refused, by row."""


def numpy_dtype(name: str) -> np.dtype[Any]:
    """The numpy type that values of a TensorFlow type are held in; integers for the quantized types.

    bfloat16 is known once ml_dtypes (with TensorFlow) is loaded.

    Raises:
      TypeError: numpy has none.
    """
    return np.dtype(object if name == "string" else _QUANTIZED.get(name, name))


_QUANTIZED = {"qint8": "int8", "quint8": "uint8", "qint16": "int16", "quint16": "uint16", "qint32": "int32"}


def to_column(values: Sequence[Any] | Array, spec: TensorSpec) -> tuple[Column, Refusals]:
    """Values of one input, a row each, as a column.

    Returns:
      The column, with a row for each value (a placeholder where the value was refused), and the refusals. The
      column is meaningless if every value was refused.
    """
    if spec.dtype == "string":
        return _strings(values, spec)
    try:
        return _numbers(values, spec, rows=True), {}
    except (ValueError, TypeError, OverflowError, RecordRefused):
        return _row_by_row(values, spec)


def _row_by_row(values: Sequence[Any] | Array, spec: TensorSpec) -> tuple[Column, Refusals]:
    rows: list[Array | None] = []
    refusals: Refusals = {}
    for row, value in enumerate(values):
        try:
            rows.append(_numbers(value, spec, rows=False))
        except RecordRefused as refused:
            refusals[row] = refused
            rows.append(None)
        except (ValueError, TypeError, OverflowError):
            refusals[row] = mismatch(spec, _describe(value))
            rows.append(None)
    return _assemble(rows), refusals


def _assemble(rows: list[Array | None]) -> Column:
    filler = next((row for row in rows if row is not None), np.zeros(()))
    filled = [filler if row is None else row for row in rows]
    if len({row.shape for row in filled}) == 1:
        return np.stack(filled)
    return Ragged(filled)


def _numbers(values: Any, spec: TensorSpec, *, rows: bool) -> Array:
    """Values of many rows (or of one) as an array of the input's dtype; raises what is wrong with them."""
    # np.array of an inhomogeneous list raises ValueError, which is what we want here.
    array = np.array(values)
    shape = array.shape[1:] if rows else array.shape
    if array.size and array.dtype.kind not in "biuf":
        raise mismatch(spec, _describe(values))
    if not compatible(shape, spec.row_shape):
        raise mismatch(spec, f"a value of shape {list(shape)}")
    if array.dtype.kind == "f" and numpy_dtype(spec.dtype).kind in "iu":
        array = _exact(array, values, spec)
    return _cast(array, spec)


def _exact(array: Array, values: Any, spec: TensorSpec) -> Array:
    """Whole numbers that numpy read as floats, because some of them were written so or they have no common type.

    Above 2**53 that is a loss; there they are taken as Python's integers.
    """
    if not array.size or not (np.isfinite(array) & (np.abs(array) >= 2.0**53)).any():
        return array
    if not (np.isfinite(array).all() and (np.floor(array) == array).all()):
        raise mismatch(spec, "a number that is not whole")
    integers = [int(value) for value in np.array(values, dtype=object).ravel()]
    limits = np.iinfo(numpy_dtype(spec.dtype))
    if min(integers) < limits.min or max(integers) > limits.max:
        raise mismatch(spec, "a number out of its range")
    return np.array(integers, dtype=numpy_dtype(spec.dtype)).reshape(array.shape)


def _cast(array: Array, spec: TensorSpec) -> Array:
    dtype = numpy_dtype(spec.dtype)
    if array.dtype == dtype:
        return array
    kind = dtype.kind
    if kind == "b":
        if array.size:
            raise mismatch(spec, "a number")
        return array.astype(dtype)
    if kind in "iu":
        return _cast_integers(array, dtype, spec)
    if array.dtype.kind in "iu":
        # As the mixed column of another run would go, or a large integer could be rounded in two ways.
        array = array.astype(np.float64)
    with np.errstate(over="ignore"):
        cast = array.astype(dtype)
    # bfloat16 and its kin are of kind V for numpy, so finiteness is asked of a type that numpy knows.
    finite = np.isfinite(cast.astype(np.float64))
    if not finite.all() and (np.isfinite(array) & ~finite).any():
        raise mismatch(spec, "a number out of its range")
    return cast


def _cast_integers(array: Array, dtype: np.dtype[Any], spec: TensorSpec) -> Array:
    if not array.size:
        return array.astype(dtype)
    if array.dtype.kind == "f" and not (np.isfinite(array).all() and (np.floor(array) == array).all()):
        raise mismatch(spec, "a number that is not whole")
    limits = np.iinfo(dtype)
    if int(array.min()) < limits.min or int(array.max()) > limits.max:
        raise mismatch(spec, "a number out of its range")
    return array.astype(dtype)


def compatible(shape: tuple[int, ...], wanted: tuple[int | None, ...] | None) -> bool:
    """Whether a value of this shape fits where `wanted` is asked for, in which None stands for any size."""
    if wanted is None:
        return True
    return len(shape) == len(wanted) and all(
        want is None or have == want for have, want in zip(shape, wanted, strict=True)
    )


def _strings(values: Sequence[Any] | Array, spec: TensorSpec) -> tuple[Column, Refusals]:
    if spec.row_shape == ():
        column: list[bytes] = []
        refusals: Refusals = {}
        for row, value in enumerate(values):
            if type(value) is str:
                column.append(value.encode())
            elif type(value) is bytes:
                column.append(value)
            else:
                column.append(b"")
                refusals[row] = mismatch(spec, _describe(value))
        return column, refusals
    rows: list[Array | None] = []
    refusals = {}
    for row, value in enumerate(values):
        try:
            rows.append(_string_array(value, spec))
        except RecordRefused as refused:
            rows.append(None)
            refusals[row] = refused
        except ValueError:
            rows.append(None)
            refusals[row] = mismatch(spec, _describe(value))
    return _assemble(rows), refusals


def _string_array(value: Any, spec: TensorSpec) -> Array:
    array = np.array(value, dtype=object)
    if not compatible(array.shape, spec.row_shape):
        raise mismatch(spec, f"a value of shape {list(array.shape)}")
    for position, element in np.ndenumerate(array):
        if type(element) is str:
            array[position] = element.encode()
        elif type(element) is not bytes:
            raise mismatch(spec, _describe(element))
    return array


def mismatch(spec: TensorSpec, got: str) -> RecordRefused:
    """The service's words for a value that an input does not take; `got` says what it is, not which."""
    if spec.row_shape is None:
        wanted = spec.dtype
    elif spec.row_shape == ():
        wanted = f"one {spec.dtype}"
    else:
        sizes = ", ".join("?" if size is None else str(size) for size in spec.row_shape)
        wanted = f"{spec.dtype} of shape [{sizes}]"
    message = f"Input mismatch: input {spec.alias} takes {wanted}, got {got}."
    return RecordRefused(INVALID_INPUTS, message)


def _describe(value: Any) -> str:
    """What kind of JSON value this is; never the value itself, so that equal faults have equal messages."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float):
        return (
            "a number that is not finite" if isinstance(value, float) and not math.isfinite(value) else "a number"
        )
    if isinstance(value, str):
        return "a string"
    if isinstance(value, InvalidText):
        return "text that is not valid UTF-8"
    if isinstance(value, bytes):
        return "base64 data"
    if isinstance(value, dict):
        return "an object"
    if not isinstance(value, list | tuple | np.ndarray):
        # Dates and decimals, which a column of a file can hold and JSON cannot.
        return f"a {type(value).__name__}"
    try:
        array = np.array(value)
    except ValueError:
        return "a list of uneven lengths"
    if array.dtype.kind in "biuf":
        return f"a value of shape {list(array.shape)}"
    return "a list that holds something else"
