"""JSON texts of many records straight to one array, without a Python object for each number.

For a model with one numeric input a text is a number or a list of numbers, or an object that holds it under the
input's name. Where all texts of a run are written alike, as programs write them, they are put together as one
JSON document, which simdjson parses into a buffer: half the time of parsing each and building an array. Anything
else, and anything that is wrong, is left to the decoder that looks at each record.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import orjson
import simdjson

from batchpredict.models import Array, TensorSpec, compatible, numpy_dtype

# What numbers and the white space around them are made of: what is left of a text without it is its structure.
_NUMBERS = b"0123456789+-.eE \t"


class BulkParser:
    """Parses runs of texts for one numeric input. Used by one thread at a time."""

    def __init__(self, spec: TensorSpec) -> None:
        self._parser = simdjson.Parser()
        self._row_shape = spec.row_shape
        self._integers = numpy_dtype(spec.dtype).kind in "iu"
        self._opening = re.compile(rb'\{[ \t]*"' + re.escape(spec.alias.encode()) + rb'"[ \t]*:[ \t]*')
        self._skeleton: tuple[tuple[int, ...], bytes] = (0,), b"[]"

    @staticmethod
    def takes(spec: TensorSpec) -> bool:
        """Whether texts for an input can be parsed here.

        A name that JSON can spell in several ways is not looked for, nor the one that marks base64.
        """
        name = spec.alias
        plain = name.isascii() and name.isprintable() and not {'"', "\\", "/"} & set(name) and name != "b64"
        return plain and spec.dtype not in ("string", "bool")

    def __call__(self, payloads: Sequence[bytes]) -> Array | None:
        """int64 or float64 [rows, *row shape]; None if the texts are not all sound, plain and of one shape."""
        count = len(payloads)
        opening, value, closing = self._unwrap(payloads[0]) if count else (b"", b"", b"")
        row = _shape_of(value)
        if row is None or not compatible(row, self._row_shape):
            return None
        # Between two texts stand all the closing and opening brackets of their rows, so no row goes from one text
        # into the next; if there are then as many rows as texts, each text is one.
        left, right = b"[" * len(row), b"]" * len(row)
        joined = b"\n".join(payloads)
        border = right + closing + b"\n" + opening + left
        whole = joined.startswith(opening + left) and joined.endswith(right + closing)
        if not whole or joined.count(b"\n") != count - 1:
            return None
        inner = joined[len(opening) : len(joined) - len(closing)]
        # Every newline has to be part of a border: those that are not are left, and the structure is another.
        document = b"[" + inner.replace(border, right + b"," + left) + b"]"
        shape = (count, *row)
        if document.translate(None, _NUMBERS) != self._skeleton_of(shape):
            return None
        try:
            # The parsed array is let go of at once: the parser cannot be used again before.
            buffer = cast("simdjson.Array", self._parser.parse(document)).as_buffer(
                of_type="i" if self._integers else "d"
            )
            return np.frombuffer(buffer, np.int64 if self._integers else np.float64).reshape(shape)
        except (ValueError, TypeError, RuntimeError):
            # No number after all, or none of this type.
            return None

    def _unwrap(self, text: bytes) -> tuple[bytes, bytes, bytes]:
        """What stands before the value in a text, the value, and what stands behind it."""
        match = self._opening.match(text)
        if match is None:
            return b"", text, b""
        value = text[match.end() :].rstrip(b" \t}")
        closing = text[match.end() + len(value) :]
        return (match[0], value, closing) if closing.count(b"}") == 1 else (b"", b"", b"")

    def _skeleton_of(self, shape: tuple[int, ...]) -> bytes:
        """The JSON text of an array of this shape, without its numbers."""
        if self._skeleton[0] != shape:
            text = b""
            for size in reversed(shape):
                text = b"[" + b",".join([text] * size) + b"]"
            self._skeleton = shape, text
        return self._skeleton[1]


def _shape_of(text: bytes) -> tuple[int, ...] | None:
    """The shape of a JSON text of numbers, by the first of each list; None if it is something else."""
    try:
        value: Any = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    shape = []
    while isinstance(value, list) and value:
        shape.append(len(value))
        value = value[0]
    return tuple(shape) if type(value) in (int, float) else None
