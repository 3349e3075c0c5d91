"""Elements of a pipeline to the columns of a signature's inputs.

| element | what it is |
|---|---|
| a dict | a value for each input, by its name; `{"b64": text}` is base64 data, at any depth |
| a number, list or array | the value of the only input |
| text or bytes | for a signature that takes one string, that string; for any other, JSON, as a line of a file is |
| a tf.Example | for a signature that takes one string, its serialized form |

Arrays and scalars of numpy may stand wherever a list or number may, and so may whatever turns into one, such as
tensors. What does not fit is refused alone, in the words that a job has for it.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from batchpredict.errors import INVALID_INPUTS, RecordRefused
from batchpredict.models import Column, Refusals, Signature
from batchpredict.scoring import columnarize, json_values

_PLAIN = frozenset((float, int, bool, bytes, type(None)))
_NUMBERS = frozenset((float, int))
# The kinds of numpy's types that are numbers to a model's inputs.
_NUMERIC = frozenset("biuf")


class ElementDecoder:
    """Decodes batches of elements for one signature. Used by any thread."""

    def __init__(self, signature: Signature) -> None:
        self._signature = signature
        self._string = signature.single_string_input
        self._several = len(signature.inputs) > 1

    def __call__(self, elements: Sequence[Any]) -> tuple[dict[str, Column], Refusals]:
        """One column an input, with a row for each element, and the elements that were refused, by row.

        What stands in the row of a refused element does not matter; if all were refused, nor do the columns.
        """
        refusals: Refusals = {}
        kinds = set(map(type, elements))
        if self._string is not None and kinds == {bytes}:
            return {self._string.alias: list(elements)}, refusals
        if kinds == {np.ndarray} and not self._several and {one.dtype.kind for one in elements} <= _NUMERIC:
            return columnarize(elements, self._signature, refusals), refusals
        values = [self._value(row, element, refusals) for row, element in enumerate(elements)]
        if self._string is None:
            self._parse(values, elements, refusals)
        else:
            values = [self._unwrapped(value) for value in values]
            if all(type(value) is bytes or row in refusals for row, value in enumerate(values)):
                return {self._string.alias: [value or b"" for value in values]}, refusals
            values = [self._shaped(value) for value in values]
        return columnarize(values, self._signature, refusals), refusals

    def _value(self, row: int, element: Any, refusals: Refusals) -> Any:
        """An element in terms that JSON has, and bytes. Text stays what it is."""
        try:
            if type(element) is np.ndarray and self._several:
                # Has no fields, which whoever looks for them asks of lists.
                return element.tolist()
            if self._string is None and _is_message(element):
                raise RecordRefused(INVALID_INPUTS, self._no_example())
            return _plain(element)
        except RecordRefused as refused:
            refusals[row] = refused
        except UnicodeEncodeError:
            refusals[row] = RecordRefused(INVALID_INPUTS, "A text holds half of a surrogate pair.")
        except ValueError:
            refusals[row] = RecordRefused(INVALID_INPUTS, "A b64 value is not valid base64.")
        except RecursionError:
            refusals[row] = RecordRefused(INVALID_INPUTS, "The element is nested too deeply.")
        except Exception as error:
            # Of an object that says it is an array, for one.
            text = f"The element cannot be read: {type(error).__name__}: {error}"
            refusals[row] = RecordRefused(INVALID_INPUTS, text)
        return None

    def _no_example(self) -> str:
        inputs = ", ".join(f"{spec.alias} ({spec})" for spec in self._signature.inputs)
        return (
            f"Input mismatch: a tf.Example is for a signature that takes one string; "
            f"{self._signature.name} takes {inputs}."
        )

    def _unwrapped(self, value: Any) -> Any:
        """For a signature that takes one string: the string, whether it came as a field or by itself."""
        assert self._string is not None
        if type(value) is dict and len(value) == 1 and type(value.get(self._string.alias)) in (str, bytes):
            value = value[self._string.alias]
        return value.encode() if type(value) is str else value

    def _shaped(self, value: Any) -> Any:
        """A string beside others that came as lists, where the signature has them as rows of one."""
        assert self._string is not None
        shape = self._string.row_shape or ()
        if type(value) is bytes and all(size in (1, None) for size in shape):
            for _ in shape:
                value = [value]
        return value

    def _parse(self, values: list[Any], elements: Sequence[Any], refusals: Refusals) -> None:
        """Put what JSON text says in place of the text."""
        rows = [row for row, element in enumerate(elements) if isinstance(element, str | bytes | bytearray)]
        rows = [row for row in rows if row not in refusals]
        if not rows:
            return
        texts = [value.encode() if isinstance(value := values[row], str) else value for row in rows]
        parsed, refused = json_values(texts, text=False)
        for row, value in zip(rows, parsed, strict=True):
            values[row] = value
        refusals.update({rows[at]: reason for at, reason in refused.items()})


def _plain(value: Any) -> Any:
    """A value without numpy's scalars and arrays of text, base64 objects, tensors and protocol buffers.

    Raises:
      ValueError: what should be base64 is not.
      UnicodeEncodeError: a text cannot be encoded.
      RecursionError: it is nested too deeply.
    """
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is str:
        if not value.isascii():
            value.encode()
        return value
    if kind is list:
        return value if value and type(value[0]) in _NUMBERS else [_plain(inner) for inner in value]
    if kind is np.ndarray:
        return _plain_array(value)
    return _plain_fields(value) if kind is dict else _uncommon(value)


def _plain_fields(fields: Mapping[str, Any]) -> Any:
    if len(fields) == 1 and "b64" in fields:
        return _decoded(fields["b64"])
    return {str(name): _plain(inner) for name, inner in fields.items()}


def _uncommon(value: Any) -> Any:
    if isinstance(value, Mapping):
        return _plain_fields(value)
    if isinstance(value, tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, str):
        return _plain(str(value))
    if isinstance(value, bytes | bytearray):
        return bytes(value)
    if isinstance(value, np.generic):
        return value.item()
    if _is_message(value):
        return bytes(value.SerializeToString())
    if hasattr(value, "__array__"):
        return _plain_array(np.asarray(value))
    return value


def _plain_array(array: np.ndarray[Any, Any]) -> Any:
    kind = array.dtype.kind
    if kind in "SUO":
        return _plain(array.tolist())
    # bfloat16 and the float8 types; float32 holds each of them exactly.
    return array.astype(np.float32) if kind == "V" and array.dtype.fields is None else array


def _decoded(text: Any) -> bytes:
    if not isinstance(text, str):
        raise ValueError("b64 is not a string")
    return base64.b64decode(text)


def _is_message(value: Any) -> bool:
    return hasattr(type(value), "SerializeToString")
