"""Whose fault a failed call is: the table of statuses, through TensorFlow's own exceptions."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from batchpredict.errors import BatchTooLarge, DeviceFailed, InternalFailure, ModelUnusable, RecordRefused
from batchpredict.models.faults import FAULTS, Fault, fault_of, named_in, without_kernel, without_op
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
        assert [node.name for node in without_kernel(model, {"CPU"})] == ["ncclallreduce"]
        assert without_kernel(model[:1], {"CPU"}) == []

    def test_a_kernel_for_other_types_does_not_count(self) -> None:
        assert [node.name for node in without_kernel(nodes(Relu={"T": tf.string}), {"CPU"})] == ["relu"]

    def test_is_to_blame_if_it_is_named(self) -> None:
        (node,) = nodes(NcclAllReduce={})
        assert named_in("No registered 'NcclAllReduce' OpKernel for CPU devices", [node]) is node
        assert named_in("No registered 'Relu' OpKernel for CPU devices", [node]) is None


@pytest.fixture(scope="module")
def branching(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model that refuses what is not finite, and whose branch for negative values has no kernel on a CPU.

    TensorFlow makes a branch of a plain `If` ready when it is first taken.
    """
    from tensorflow.python.framework import function

    v1 = tf.compat.v1

    @function.Defun(tf.float32)
    def reduced(x: Any) -> Any:
        return tf.raw_ops.NcclAllReduce(input=x, reduction="sum", num_devices=1, shared_name="one")

    @function.Defun(tf.float32)
    def doubled(x: Any) -> Any:
        return tf.raw_ops.CheckNumerics(tensor=2 * x, message="it must be finite")

    path = str(tmp_path_factory.mktemp("models") / "branching")
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None], name="x")
        negative = tf.reduce_any(x < 0)
        (y,) = tf.raw_ops.If(
            cond=negative,
            input=[x],
            Tout=[tf.float32],
            then_branch=reduced,
            else_branch=doubled,
            output_shapes=[[None]],
        )
        v1.saved_model.simple_save(session, path, {"x": x}, {"y": tf.ensure_shape(y, [None])})
    return path


class TestBranchWithoutKernel:
    def test_ends_the_job_when_it_is_taken(self, branching: str) -> None:
        model = SavedModel(branching)
        assert model.call({"x": np.ones(2, np.float32)}, 2)["y"].tolist() == [2.0, 2.0]
        with pytest.raises(ModelUnusable, match=r"has no kernel for its op NcclAllReduce \(\w+\) on CPU"):
            model.call({"x": -np.ones(2, np.float32)}, 2)

    def test_does_not_take_the_blame_for_a_record(self, branching: str) -> None:
        with pytest.raises(RecordRefused, match="it must be finite"):
            SavedModel(branching).call({"x": np.full(2, np.inf, np.float32)}, 2)

    def test_is_looked_for_once(self, branching: str, monkeypatch: pytest.MonkeyPatch) -> None:
        searches: list[Any] = []

        def search(*given: Any) -> list[Any]:
            searches.append(given)
            return without_kernel(*given)

        monkeypatch.setattr("batchpredict.models.saved_model.without_kernel", search)
        model = SavedModel(branching)
        for _ in range(3):
            with pytest.raises(RecordRefused):
                model.call({"x": np.full(2, np.inf, np.float32)}, 2)
        assert len(searches) == 1
