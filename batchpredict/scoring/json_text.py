"""JSON text as the service read it: as Python does, with base64 where an object says so.

A text that cannot be read is refused alone, with its reason, whatever stands beside it.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Sequence
from typing import Any

import orjson

from batchpredict.errors import INVALID_INPUTS, RecordRefused
from batchpredict.models import Refusals

_NOT_JSON = (
    "The record is not JSON text. A signature that takes one string gets records as they are, tf.Examples for one; "
    "this signature does not."
)
TOO_DEEP = "Invalid JSON: nested too deeply, or a number too long."
_NOT_UTF8 = "The line is not valid UTF-8; encode binary data as base64."


def parse_json(payloads: Sequence[bytes], *, text: bool) -> tuple[list[Any], Refusals, list[int]]:
    """JSON texts as values; None where a text was refused. `text`: they are lines, which must be UTF-8.

    The last of the three names the rows that hold a number out of the range of a double: to be refused by
    `refuse_out_of_range`, once it is known which fields are read as numbers at all.
    """
    refusals: Refusals = {}
    loads = orjson.loads
    try:
        return [loads(payload) for payload in payloads], refusals, []
    except orjson.JSONDecodeError:
        values = [_parse_one(row, payload, refusals, text=text) for row, payload in enumerate(payloads)]
    return values, refusals, [row for row, value in enumerate(values) if _out_of_range(value)]


def refuse_out_of_range(values: Sequence[Any], rows: Sequence[int], refusals: Refusals) -> None:
    """Add to `refusals` those of `rows` whose value holds a number out of the range of a double."""
    for row in rows:
        if row not in refusals and _out_of_range(values[row]):
            refusals[row] = RecordRefused(INVALID_INPUTS, "Invalid JSON: a number out of the range of a double.")


def decode_all_base64(values: list[Any], payloads: Sequence[bytes], refusals: Refusals) -> None:
    """Replace base64 objects in values by their bytes, and add to `refusals` the rows where they are not base64."""
    # Looking for the marker once in the whole run is far cheaper than walking every value.
    if not may_hold_base64(b"".join(payloads)):
        return
    for row, value in enumerate(values):
        if row not in refusals:
            try:
                values[row] = decode_base64(value)
            except ValueError:
                refusals[row] = RecordRefused(INVALID_INPUTS, "A b64 value is not valid base64.")
            except RecursionError:
                refusals[row] = RecordRefused(INVALID_INPUTS, TOO_DEEP)


def may_hold_base64(text: bytes) -> bool:
    """Whether JSON text may hold a base64 object; a backslash-u could spell its key in another way."""
    return b'"b64"' in text or b"\\u" in text


def _parse_one(row: int, payload: bytes, refusals: Refusals, *, text: bool) -> Any:
    try:
        return orjson.loads(payload)
    except orjson.JSONDecodeError:
        pass
    try:
        # The service read JSON as Python does: NaN and Infinity as bare words, numbers of any size.
        # Of what is no line of text it took any encoding of Unicode, with a byte order mark or without.
        encoding = "utf-8" if text else json.detect_encoding(payload)
        value = json.loads(payload.decode(encoding), parse_int=_integer, parse_float=_float)
        if b"\\u" in payload:
            # Python lets half of a surrogate pair pass, which is no text: neither a model nor a file can have it.
            json.dumps(value, ensure_ascii=False).encode("utf-8")
        return value
    except UnicodeEncodeError:
        refusals[row] = RecordRefused(INVALID_INPUTS, "Invalid JSON: an escape that is half of a surrogate pair.")
    except UnicodeDecodeError:
        refusals[row] = RecordRefused(INVALID_INPUTS, _NOT_UTF8 if text else _NOT_JSON)
    except json.JSONDecodeError as error:
        refusals[row] = RecordRefused(INVALID_INPUTS, f"Invalid JSON: {error}")
    except (RecursionError, ValueError):
        refusals[row] = RecordRefused(INVALID_INPUTS, TOO_DEEP)
    return None


def _integer(text: str) -> int | float:
    """A whole number as orjson reads it: of more than 64 bits only as a float."""
    value = int(text)
    return value if -(2**63) <= value < 2**64 else _float(text)


class _OutOfRange(float):
    """A number that a double cannot hold. Python would make an infinity of it, which nobody has written."""


def _float(text: str) -> float:
    value = float(text)
    return _OutOfRange(value) if math.isinf(value) else value


def _out_of_range(value: Any) -> bool:
    # Not by recursion: what the parser had depth for, this must have too.
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            waiting.extend(one.values())
        elif isinstance(one, list):
            waiting.extend(one)
        elif type(one) is _OutOfRange:
            return True
    return False


def decode_base64(value: Any) -> Any:
    """`value` with every object of the form {"b64": text} replaced by the bytes that it stands for.

    As the service did, and the standard library does, this passes over characters that base64 does not have, such
    as line breaks; what is left must be padded.

    Raises:
      ValueError: the text is not base64.
    """
    if isinstance(value, dict):
        if len(value) == 1 and "b64" in value:
            if not isinstance(value["b64"], str):
                raise ValueError("b64 is not a string")
            return base64.b64decode(value["b64"])
        return {name: decode_base64(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [decode_base64(inner) for inner in value]
    return value


def not_utf8(payloads: list[bytes]) -> Refusals:
    """The rows of lines that are not UTF-8, with the reason."""
    try:
        # One decode for the whole run: a newline cannot be part of a longer UTF-8 sequence.
        b"\n".join(payloads).decode("utf-8")
    except UnicodeDecodeError:
        pass
    else:
        return {}
    refusals: Refusals = {}
    for row, payload in enumerate(payloads):
        try:
            payload.decode("utf-8")
        except UnicodeDecodeError:
            refusals[row] = RecordRefused(INVALID_INPUTS, _NOT_UTF8)
    return refusals
