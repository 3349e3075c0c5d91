"""Whose fault a failed call is: the table of statuses, through TensorFlow's own exceptions."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from batchpredict.errors import BatchTooLarge, DeviceFailed, InternalFailure, ModelUnusable, RecordRefused
from batchpredict.models.faults import FAULTS, Fault, fault_of, without_kernel, without_op
from batchpredict.models.saved_model import SavedModel

E = tf.errors

STATUSES: list[tuple[Any, type[Exception], type[Exception]]] = [
    # TensorFlow's exception, what it becomes on a CPU, and where there is an accelerator.
    (E.CancelledError, RecordRefused, RecordRefused),
    (E.UnknownError, RecordRefused, RecordRefused),
    (E.InvalidArgumentError, RecordRefused, RecordRefused),
    (E.DeadlineExceededError, DeviceFailed, DeviceFailed),
    (E.NotFoundError, RecordRefused, RecordRefused),
    (E.AlreadyExistsError, RecordRefused, RecordRefused),
    (E.PermissionDeniedError, RecordRefused, RecordRefused),
    (E.UnauthenticatedError, RecordRefused, RecordRefused),
    (E.ResourceExhaustedError, BatchTooLarge, BatchTooLarge),
    (E.FailedPreconditionError, ModelUnusable, ModelUnusable),
    (E.AbortedError, DeviceFailed, DeviceFailed),
    (E.OutOfRangeError, RecordRefused, RecordRefused),
    (E.UnimplementedError, ModelUnusable, ModelUnusable),
    (E.InternalError, InternalFailure, DeviceFailed),
    (E.UnavailableError, DeviceFailed, DeviceFailed),
    (E.DataLossError, RecordRefused, DeviceFailed),
]


@pytest.fixture
def failing(testdata: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Exception]:
    """What a call of a real model raises whose session fails with an exception of TensorFlow's."""

    def fail(error: Any, devices: set[str]) -> Exception:
        model = SavedModel(os.path.join(testdata, "models", "double"))

        def run(*_: Any) -> Any:
            raise error(None, None, "so it is\n\t [[{{node mul}}]]")

        monkeypatch.setattr(model, "_run", run)
        monkeypatch.setattr(model, "_devices", frozenset(devices))
        with pytest.raises((RecordRefused, ModelUnusable, DeviceFailed)) as caught:
            model.call({"x": np.ones(2, np.float32)}, 2)
        return caught.value

    return fail


@pytest.mark.parametrize(("error", "on_cpu", "on_gpu"), STATUSES, ids=[error.__name__ for error, _, _ in STATUSES])
def test_a_status_says_whose_fault_it_is(
    failing: Callable[..., Exception], error: Any, on_cpu: type[Exception], on_gpu: type[Exception]
) -> None:
    for devices, expected in (({"CPU"}, on_cpu), ({"CPU", "GPU"}, on_gpu)):
        found = failing(error, devices)
        assert type(found) is expected
        assert "so it is" in str(found)
        assert "node" not in str(found)


def test_every_status_stands_in_the_table() -> None:
    codes = {error(None, None, "").error_code for error, _, _ in STATUSES}
    assert codes == set(FAULTS) == set(range(1, 17))


def test_a_status_that_nobody_knows_is_the_record_s() -> None:
    assert fault_of(99, accelerator=True) is Fault.RECORD


def test_what_the_model_is_to_blame_for_names_its_op_and_the_model(failing: Callable[..., Exception]) -> None:
    assert str(failing(E.UnimplementedError, {"CPU"})).endswith(
        "/models/double cannot be used: its op Mul (mul) failed: so it is"
    )


def nodes(**ops: dict[str, Any]) -> list[Any]:
    found = []
    for op, types in ops.items():
        node = tf.compat.v1.NodeDef(name=op.lower(), op=op)
        for name, dtype in types.items():
            node.attr[name].type = dtype.as_datatype_enum
        found.append(node)
    return found


class TestOps:
    def test_one_that_tensorflow_does_not_know_is_named(self) -> None:
        assert without_op(nodes(Relu={}, FancyActivation={})) == "FancyActivation"
        assert without_op(nodes(Relu={}, NcclAllReduce={})) is None

    def test_one_without_a_kernel_for_these_devices_is_found(self) -> None:
        model = nodes(Relu={"T": tf.float32}, NcclAllReduce={"T": tf.float32})
        found = without_kernel(model, {"CPU"})
        assert found is not None
        assert found.name == "ncclallreduce"
        assert without_kernel(model[:1], {"CPU"}) is None

    def test_a_kernel_for_other_types_does_not_count(self) -> None:
        found = without_kernel(nodes(Relu={"T": tf.string}), {"CPU"})
        assert found is not None
        assert found.name == "relu"
