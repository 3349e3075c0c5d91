"""Whose fault a failed model call is, by the status that TensorFlow gave it.

| status | whose | what becomes of it |
|---|---|---|
| InvalidArgument, OutOfRange | the records' | the batch is bisected; the guilty record is an error |
| NotFound, AlreadyExists, PermissionDenied, Unauthenticated | the records' | as above |
| Unknown, Cancelled | the records' | as above |
| Unimplemented, FailedPrecondition | the model's | the job fails at once |
| ResourceExhausted | the batch's size | halved; what fits is kept to; a lone record is an error |
| Unavailable, Aborted, DeadlineExceeded | the device's | again in a fresh process, then the job fails |
| Internal | the device's, if it is an accelerator | as above |
| | else ambiguous | a record's, unless record after record has it: then as above |
| DataLoss | the device's, if it is an accelerator | as above |
| | else the records' | the batch is bisected |

Why they stand where they do:

* InvalidArgument and OutOfRange are what a kernel says of values. NotFound, PermissionDenied and their like come
  from ops that open a file whose name is in the record; Unknown is Python's, or an op's, own failure.
* Unimplemented is said by a kernel that lacks a case of its op, FailedPrecondition of a table or variable that
  nobody has initialised. No other record would fare better.
* An op without a kernel is InvalidArgument where a device is looked for and NotFound where a kernel is, at the
  first call or at the first that comes to it: some branches are made ready only when they are taken. TensorFlow's
  sentence then has the op in quotes: No OpKernel was registered to support Op 'NcclAllReduce'. So the model is to
  blame where one of these two statuses names an op of its graph that has no kernel (`named_in`). That the graph has
  such an op is not enough: it may stand in a branch that is never taken, and a record that is refused for what it
  holds must not end the job.
* Internal is said by a device that has broken down. A CPU does not, but its kernels say it of values that they
  should have refused and did not look at.
* DataLoss on a CPU is an op's word for data that it cannot decompress or whose checksum is wrong.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterable
from typing import Any


class Fault(enum.Enum):
    """Whose fault a failed call is."""

    RECORD = "record"
    MODEL = "model"
    SIZE = "size"
    DEVICE = "device"
    AMBIGUOUS = "record or device"


# The canonical codes, as in tensorflow/core/protobuf/error_codes.proto.
CANCELLED, UNKNOWN, INVALID_ARGUMENT, DEADLINE_EXCEEDED, NOT_FOUND, ALREADY_EXISTS = range(1, 7)
PERMISSION_DENIED, RESOURCE_EXHAUSTED, FAILED_PRECONDITION, ABORTED, OUT_OF_RANGE, UNIMPLEMENTED = range(7, 13)
INTERNAL, UNAVAILABLE, DATA_LOSS, UNAUTHENTICATED = range(13, 17)

FAULTS = {
    CANCELLED: Fault.RECORD,
    UNKNOWN: Fault.RECORD,
    INVALID_ARGUMENT: Fault.RECORD,
    DEADLINE_EXCEEDED: Fault.DEVICE,
    NOT_FOUND: Fault.RECORD,
    ALREADY_EXISTS: Fault.RECORD,
    PERMISSION_DENIED: Fault.RECORD,
    RESOURCE_EXHAUSTED: Fault.SIZE,
    FAILED_PRECONDITION: Fault.MODEL,
    ABORTED: Fault.DEVICE,
    OUT_OF_RANGE: Fault.RECORD,
    UNIMPLEMENTED: Fault.MODEL,
    INTERNAL: Fault.DEVICE,
    UNAVAILABLE: Fault.DEVICE,
    DATA_LOSS: Fault.DEVICE,
    UNAUTHENTICATED: Fault.RECORD,
}

# What is said of values where there is no device that could break down.
_ON_CPU = {INTERNAL: Fault.AMBIGUOUS, DATA_LOSS: Fault.RECORD}

MAY_LACK_KERNEL = frozenset({INVALID_ARGUMENT, NOT_FOUND})
"""Statuses under which an op without a kernel is reported, besides those that are the model's anyhow."""


def fault_of(code: int, *, accelerator: bool) -> Fault:
    """Whose fault a call is that ended with a status.

    Args:
      code: the canonical code, `error_code` of TensorFlow's exceptions.
      accelerator: the model runs on something besides the CPU.
    """
    if not accelerator and code in _ON_CPU:
        return _ON_CPU[code]
    return FAULTS.get(code, Fault.RECORD)


def without_op(nodes: Iterable[Any]) -> str | None:
    """The first op among NodeDefs that this TensorFlow does not have; None if it has them all. Needs TensorFlow."""
    from tensorflow.python.framework import op_def_registry

    known: set[str] = set()
    for node in nodes:
        if node.op in known:
            continue
        if op_def_registry.get(node.op) is None:
            return str(node.op)
        known.add(node.op)
    return None


def without_kernel(nodes: Iterable[Any], devices: Collection[str]) -> list[Any]:
    """The NodeDefs whose op has no kernel on these devices for its types. Needs TensorFlow.

    Args:
      nodes: NodeDefs of a graph.
      devices: types of the devices that there are: "CPU", "GPU".
    """
    from tensorflow.python.framework import kernels

    usable = {*devices, "DEFAULT"}
    found: dict[str, list[Any]] = {}
    lacking = []
    for node in nodes:
        if node.op not in found:
            registered = kernels.get_registered_kernels_for_op(node.op).kernel
            found[node.op] = [kernel for kernel in registered if kernel.device_type in usable]
        if not any(_fits(kernel, node) for kernel in found[node.op]):
            lacking.append(node)
    return lacking


def named_in(message: str, nodes: Iterable[Any]) -> Any | None:
    """The first of some NodeDefs whose op a failure's message names, in quotes; None if it names none of them."""
    return next((node for node in nodes if f"'{node.op}'" in message), None)


def _fits(kernel: Any, node: Any) -> bool:
    """Whether a kernel takes the types that a node's attributes name; those left open may be any."""
    for constraint in kernel.constraint:
        kind = node.attr[constraint.name].type if constraint.name in node.attr else 0
        allowed = constraint.allowed_values.list.type
        if kind and allowed and kind not in allowed:
            return False
    return True
