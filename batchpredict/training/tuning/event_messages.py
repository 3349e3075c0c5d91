"""What an event file's `Event` message says of scalars, without TensorFlow.

Only the fields that a scalar needs are declared, with the numbers that TensorFlow's `event.proto` (core/util),
`summary.proto`, `tensor.proto` and `tensor_shape.proto` (core/framework) give them; protobuf passes over the rest.
TensorFlow 1 writes a scalar as `simple_value`, TensorFlow 2 as a `tensor` without dimensions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

_PACKAGE = "batchpredict.events"
_MESSAGES = {
    "Event": {
        "wall_time": (1, "double"),
        "step": (2, "int64"),
        "summary": (5, "Summary"),
    },
    "Summary": {"value": (1, "Value*")},
    "Value": {"tag": (1, "string"), "simple_value": (2, "float"), "tensor": (8, "Tensor")},
    "Tensor": {
        "dtype": (1, "int32"),
        "tensor_shape": (2, "Shape"),
        "tensor_content": (4, "bytes"),
        "float_val": (5, "float*"),
        "double_val": (6, "double*"),
        "int_val": (7, "int32*"),
        "int64_val": (10, "int64*"),
        "bool_val": (11, "bool*"),
        "half_val": (13, "int32*"),
    },
    "Shape": {"dim": (2, "Dim*")},
    "Dim": {"size": (1, "int64")},
}

# DataType of types.proto: how `tensor_content` holds a number of it, and which field does if that is empty.
_FLOAT, _BFLOAT16, _HALF = 1, 14, 19
_STORED = {
    _FLOAT: ("<f4", "float_val"),
    2: ("<f8", "double_val"),
    3: ("<i4", "int_val"),
    4: ("<u1", "int_val"),
    5: ("<i2", "int_val"),
    6: ("<i1", "int_val"),
    9: ("<i8", "int64_val"),
    10: ("?", "bool_val"),
    _BFLOAT16: ("<u2", "half_val"),
    _HALF: ("<f2", "half_val"),
}


@dataclass(frozen=True)
class Scalar:
    """One value of a summary. `seconds` is its wall time, since the epoch."""

    tag: str
    step: int
    value: float
    seconds: float


def scalars(event: bytes) -> Iterator[Scalar]:
    """The scalars of a serialized Event; none of what is no such message."""
    try:
        message = _EVENT.FromString(event)
    except DecodeError:
        return
    for value in message.summary.value:
        number = _number(value)
        if number is not None:
            yield Scalar(value.tag, message.step, number, message.wall_time)


def _number(value: Any) -> float | None:
    if value.HasField("simple_value"):
        return float(value.simple_value)
    tensor = value.tensor
    if tensor.dtype not in _STORED or any(dim.size != 1 for dim in tensor.tensor_shape.dim):
        return None
    stored, field = _STORED[tensor.dtype]
    if tensor.tensor_content:
        content = tensor.tensor_content
        if len(content) != np.dtype(stored).itemsize:
            return None
        number = np.frombuffer(content, stored)[0]
    else:
        # A number that is zero may be left out.
        numbers = getattr(tensor, field) or [0]
        number = numbers[0]
        if tensor.dtype == _HALF:
            number = np.array([number], "<u2").view("<f2")[0]
    if tensor.dtype == _BFLOAT16:
        # It is the upper half of a float.
        number = np.array([int(number) << 16], "<u4").view("<f4")[0]
    return float(number)


def _event_class() -> Any:
    field_type = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="batchpredict/events.proto", package=_PACKAGE, syntax="proto2")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, (number, kind) in fields.items():
            kind, many = kind.rstrip("*"), kind.endswith("*")
            declared = message.field.add(name=field, number=number)
            declared.label = field_type.LABEL_REPEATED if many else field_type.LABEL_OPTIONAL
            if kind in _MESSAGES:
                declared.type, declared.type_name = field_type.TYPE_MESSAGE, f".{_PACKAGE}.{kind}"
            else:
                declared.type = getattr(field_type, f"TYPE_{kind.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.Event"))


_EVENT = _event_class()
