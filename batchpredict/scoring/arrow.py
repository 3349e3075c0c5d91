"""Rows of a Parquet file to columns: a column of the file is an input of the model.

Numbers and lists of numbers stay in Arrow's buffers; anything else goes by way of Python values, through the
same checks as JSON. What those values are, for each type of Arrow, is said in `arrow_values`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa

from batchpredict.errors import INVALID_INPUTS, RecordRefused
from batchpredict.models import Array, Column, Refusals, Signature, TensorSpec, compatible, mismatch, to_column
from batchpredict.scoring.arrow_values import names_of, temporal_kind, to_json, to_python
from batchpredict.scoring.fields import Carried, FieldRule, unfit


def decode_rows(
    table: Any, signature: Signature, rule: FieldRule
) -> tuple[dict[str, Column], list[Carried] | None, Refusals]:
    """The columns of a record batch for the model, the fields carried past it, and what was refused.

    A file whose columns do not fit the signature has every row refused, with the message that a JSON instance
    with these fields would get. Of two columns of a name the last counts, as of two fields of a JSON object.
    """
    numbers = {name: number for number, name in enumerate(names_of(table))}
    refusals: Refusals = {}
    try:
        carried_names = rule.carried(numbers)
        reason = unfit([name for name in numbers if rule.goes_in(name)], [spec.alias for spec in signature.inputs])
    except RecordRefused as refused:
        reason = refused.message
    if reason:
        return {}, None, {row: RecordRefused(INVALID_INPUTS, reason) for row in range(table.num_rows)}
    columns: dict[str, Column] = {}
    for spec in signature.inputs:
        column, refused_rows = _column(table.column(numbers[spec.alias]), spec)
        columns[spec.alias] = column
        refusals = {**refused_rows, **refusals}
    if not rule:
        return columns, None, refusals
    texts = [to_json(table.column(numbers[name])) for name in carried_names]
    rows = zip(*texts, strict=True) if texts else [()] * table.num_rows
    return columns, [dict(zip(carried_names, row, strict=True)) for row in rows], refusals


def _column(array: Any, spec: TensorSpec) -> tuple[Column, Refusals]:
    if spec.dtype != "string" and array.null_count == 0:
        numbers = _numbers(array, spec)
        if numbers is not None:
            # The array is a sequence of rows; the checks of JSON values hold for it as they are.
            return to_column(numbers, spec)
    values = to_python(array)
    kind = temporal_kind(array.type)
    if kind is not None and spec.dtype != "string":
        refusals = {row: mismatch(spec, "null" if value is None else kind) for row, value in enumerate(values)}
        return [b""] * len(values), refusals
    return to_column([_number(value) for value in values] if _has_decimals(array.type) else values, spec)


def _has_decimals(kind: Any) -> bool:
    """Whether there are decimals anywhere in a type."""
    if isinstance(kind, pa.BaseExtensionType):
        return _has_decimals(kind.storage_type)
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        return _has_decimals(kind.value_type)
    fields = (kind.field(number).type for number in range(kind.num_fields))
    return bool(pa.types.is_decimal(kind)) or any(map(_has_decimals, fields))


def _number(value: Any) -> Any:
    """A decimal as JSON would have been read: whole numbers of up to 64 bits are integers, others are floats."""
    if isinstance(value, Decimal):
        whole = int(value)
        return whole if whole == value and -(2**63) <= whole < 2**64 else float(value)
    return [_number(inner) for inner in value] if isinstance(value, list) else value


def _numbers(array: Any, spec: TensorSpec) -> Array | None:
    """Numbers, or equally long lists of them, as a numpy array of one row each; None for anything else."""
    kind = array.type
    if isinstance(kind, pa.FixedShapeTensorType):
        # A tensor has its own shape where the model asks for it; else it is the list that it is stored as.
        return array.to_numpy_ndarray() if compatible(tuple(kind.shape), spec.row_shape) else None
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind):
        return np.asarray(array.to_numpy(zero_copy_only=False))
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        inner = array.flatten()
        lengths = np.asarray(array.value_lengths()) if len(array) else np.zeros(0, int)
        if inner.null_count == 0 and len(lengths) and (lengths == lengths[0]).all():
            flat = _numbers(inner, spec)
            if flat is not None:
                return flat.reshape((len(array), int(lengths[0]), *flat.shape[1:]))
    return None
