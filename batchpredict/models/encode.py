"""Model outputs to values that a result file can hold, by the service's rules.

A string output whose alias ends in `_bytes` becomes {"b64": …}; any other string output must be UTF-8. In
JSON the three floats that it lacks are the strings "NaN", "Infinity" and "-Infinity", as in protobuf's JSON.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import orjson

from batchpredict.errors import INVALID_OUTPUTS, RecordRefused
from batchpredict.models.columns import Array
from batchpredict.models.values import Refusals

BYTES_SUFFIX = "_bytes"

# orjson writes 254 levels and no more.
_DEEPEST = 200


def is_bytes(alias: str) -> bool:
    """Whether a string output holds bytes rather than text: told by its name alone."""
    return alias.endswith(BYTES_SUFFIX)


def to_values(
    alias: str, array: Array, *, strict_json: bool, b64: Callable[[bytes], Any], arrays: bool = False
) -> tuple[list[Any] | Array, Refusals]:
    """One output as a Python value per row, nested lists for more than one dimension.

    Args:
      alias: the output's name; decides whether strings are text or bytes.
      array: rows along the first dimension; numbers, booleans, or an object array of bytes.
      strict_json: replace floats that JSON does not have.
      b64: what to make of the bytes of a `_bytes` output.
      arrays: numbers may stay an array, of float64 where they are floats.
    """
    kind = array.dtype.kind
    if kind == "O" or kind == "S":
        return _text(alias, array, b64)
    if kind == "V" or array.dtype == np.float16:
        # bfloat16 and the float8 types have no Python form of their own; float32 holds each of them exactly.
        array = array.astype(np.float32)
        kind = "f"
    if strict_json and kind == "f" and not np.isfinite(array).all():
        return [_spelled(value) for value in array.tolist()], {}
    if arrays and array.size:
        # The digits of a float32 are those of the float64 that it is, as Python would write them.
        return array.astype(np.float64) if kind == "f" else array, {}
    return array.tolist(), {}


def _spelled(value: Any) -> Any:
    if isinstance(value, list):
        return [_spelled(inner) for inner in value]
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _text(alias: str, array: Array, b64: Callable[[bytes], Any]) -> tuple[list[Any], Refusals]:
    convert: Callable[[bytes], Any] = b64 if is_bytes(alias) else _utf8
    values: list[Any] = []
    refusals: Refusals = {}
    for row, value in enumerate(array.tolist()):
        try:
            values.append(_map(value, convert))
        except UnicodeDecodeError:
            values.append(None)
            refusals[row] = RecordRefused(
                INVALID_OUTPUTS,
                f"Prediction failed during encoding instances: output {alias} is not valid UTF-8; "
                f"an output of bytes must have a name that ends in {BYTES_SUFFIX}.",
            )
    return values, refusals


def _utf8(value: bytes) -> str:
    return value.decode("utf-8")


def _map(value: Any, convert: Callable[[bytes], Any]) -> Any:
    return [_map(inner, convert) for inner in value] if isinstance(value, list) else convert(value)


def base64_object(value: bytes) -> dict[str, str]:
    """Bytes as the object that stands for them in JSON."""
    return {"b64": base64.b64encode(value).decode("ascii")}


def json_text(value: Any) -> bytes:
    """A value of a record that was carried past the model, or is shown in an error, as JSON text."""
    try:
        return orjson.dumps(to_json_value(value))
    except ValueError:
        return orjson.dumps("(nested too deeply to be shown)")


def to_json_value(value: Any, deepest: int = _DEEPEST) -> Any:
    """A value that came with a record as orjson can write it. A decimal is a number with all its digits.

    Raises:
      ValueError: it is nested in more than `deepest` levels.
    """
    if deepest < 0:
        raise ValueError("nested too deeply")
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            return base64_object(value)
    if isinstance(value, float):
        return _spelled(value)
    if isinstance(value, Decimal):
        return orjson.Fragment(format(value, "f"))
    if isinstance(value, dict):
        return {str(name): to_json_value(inner, deepest - 1) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [to_json_value(inner, deepest - 1) for inner in value]
    if value is None or isinstance(value, str | int):
        return value
    return str(value)
