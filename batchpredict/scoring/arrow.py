"""Rows of a Parquet file to columns: a column of the file is an input of the model.

Numbers and lists of numbers stay in Arrow's buffers; anything else goes by way of Python values, through the
same checks as JSON.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from batchpredict.errors import INVALID_INPUTS, RecordRefused
from batchpredict.models.columns import Array, Column
from batchpredict.models.signature import Signature, TensorSpec
from batchpredict.models.values import Refusals, to_column
from batchpredict.scoring.fields import FieldRule, unfit


def decode_rows(
    table: Any, signature: Signature, rule: FieldRule
) -> tuple[dict[str, Column], list[dict[str, Any]] | None, Refusals]:
    """The columns of a record batch for the model, the fields carried past it, and what was refused.

    A file whose columns do not fit the signature has every row refused, with the message that a JSON instance
    with these fields would get.
    """
    names = table.schema.names
    refusals: Refusals = {}
    goes_in = [name for name in names if not rule or rule.goes_in(name)]
    if rule.key is not None and rule.key not in names:
        reason: str | None = f"The key field {rule.key} is missing from the instance."
    else:
        reason = unfit(goes_in, [spec.alias for spec in signature.inputs])
    if reason:
        return {}, None, {row: RecordRefused(INVALID_INPUTS, reason) for row in range(table.num_rows)}
    columns: dict[str, Column] = {}
    for spec in signature.inputs:
        column, refused = _column(table.column(spec.alias), spec)
        columns[spec.alias] = column
        refusals = {**refused, **refusals}
    carried = None
    if rule:
        past = sorted((name for name in names if not rule.goes_in(name)), key=lambda name: name != rule.key)
        carried = table.select(past).to_pylist()
    return columns, carried, refusals


def _column(array: Any, spec: TensorSpec) -> tuple[Column, Refusals]:
    if spec.dtype != "string" and array.null_count == 0:
        numbers = _numbers(array)
        if numbers is not None:
            # The array is a sequence of rows; the checks of JSON values hold for it as they are.
            return to_column(numbers, spec)
    return to_column(array.to_pylist(), spec)


def _numbers(array: Any) -> Array | None:
    """Numbers, or equally long lists of them, as a numpy array of one row each; None for anything else."""
    kind = array.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind):
        return np.asarray(array.to_numpy(zero_copy_only=False))
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        inner = array.flatten()
        lengths = np.asarray(array.value_lengths()) if len(array) else np.zeros(0, int)
        if inner.null_count == 0 and len(lengths) and (lengths == lengths[0]).all():
            flat = _numbers(inner)
            if flat is not None:
                return flat.reshape((len(array), int(lengths[0]), *flat.shape[1:]))
    return None
