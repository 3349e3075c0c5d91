"""A SavedModel that can be called with columns. Importing this module imports TensorFlow.

Beam's own TensorFlow model handlers cannot load a SavedModel under Keras 3, so signatures are called here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from batchpredict.errors import FAILED_TO_RUN_MODEL, INVALID_OUTPUTS, ModelUnusable, RecordRefused
from batchpredict.models.columns import Array, Column, cut, dense
from batchpredict.models.model import Outputs
from batchpredict.models.signature import Signature, TensorSpec, choose

SERVE_TAG = "serve"


class SavedModel:
    """One signature of a SavedModel.

    Calling a signature from Python costs 0.2 to 0.3 ms, more than a small model itself takes for 64 rows. So
    several batches can be run by one call of a wrapper, which loops over them inside the graph: the model
    still sees `batch_size` rows at a time, and the values are the same.

    Args:
      path: local folder of the SavedModel.
      signature_name: the signature asked for, or None for the service's default rule.

    Raises:
      ModelUnusable: it does not load, has no such signature, or gives what no output format can hold.
    """

    def __init__(self, path: str, signature_name: str | None = None) -> None:
        loaded = load(path)
        # The signatures do not keep the variables of the model alive; the loaded object does.
        self._loaded = loaded
        name = choose(sorted(loaded.signatures), signature_name)
        self._function = loaded.signatures[name]
        self.signature = describe(name, self._function)
        if not self.signature.outputs:
            raise ModelUnusable(f"Signature {name} has no outputs, so there is nothing to predict.")
        for spec in self.signature.outputs:
            if spec.dtype in ("variant", "resource") or spec.dtype.startswith("complex"):
                raise ModelUnusable(f"Output {spec.alias} of signature {name} is of type {spec.dtype}.")
        self.can_chain = self.signature.fixed_rows
        self._chain: Callable[..., Any] | None = None
        self._chain_batch = 0

    def call(self, columns: Mapping[str, Column], count: int) -> Outputs:
        fixed = self.signature.fixed_batch
        if fixed is not None and count > fixed:
            return self._call_in_parts(columns, count, fixed)
        feeds = {alias: dense(column) for alias, column in columns.items()}
        if fixed is not None and count != fixed:
            feeds = {alias: _padded(column, fixed) for alias, column in feeds.items()}
        results = self._run(self._function, feeds)
        outputs = {spec.alias: _rows(results[spec.alias]) for spec in self.signature.outputs}
        check_sizes(outputs, count if fixed is None else fixed)
        return outputs if fixed is None else {alias: array[:count] for alias, array in outputs.items()}

    def _call_in_parts(self, columns: Mapping[str, Column], count: int, size: int) -> Outputs:
        """More rows than the graph was built for, in as many calls as they need."""
        parts = []
        for start in range(0, count, size):
            stop = min(start + size, count)
            parts.append(
                self.call({name: cut(column, start, stop) for name, column in columns.items()}, stop - start)
            )
        return {alias: np.concatenate([part[alias] for part in parts]) for alias in parts[0]}

    def call_chain(self, columns: Mapping[str, Column], count: int, batch_size: int) -> Outputs:
        if self._chain is None or self._chain_batch != batch_size:
            try:
                self._chain = self._make_chain(batch_size)
            except (tf.errors.OpError, ValueError, TypeError) as error:
                # A graph of another batch size, or one whose outputs are not what its signature says.
                self.can_chain = False
                raise RecordRefused(FAILED_TO_RUN_MODEL, f"The model cannot be chained: {brief(error)}") from error
            self._chain_batch = batch_size
        results = self._run(self._chain, {alias: dense(column) for alias, column in columns.items()})
        outputs = {alias: np.asarray(value.numpy()) for alias, value in results.items()}
        check_sizes(outputs, count)
        return outputs

    def _run(self, function: Callable[..., Any], feeds: Mapping[str, Any]) -> Any:
        try:
            return function(**{spec.alias: _tensor(feeds[spec.alias], spec) for spec in self.signature.inputs})
        except (tf.errors.OpError, ValueError, TypeError) as error:
            message = f"Exception during running the graph: {brief(error)}"
            raise RecordRefused(FAILED_TO_RUN_MODEL, message) from error

    def _make_chain(self, batch_size: int) -> Callable[..., Any]:
        """The signature in a loop over batches; batches run one after the other, as separate calls would."""
        function = self._function
        inputs, outputs = self.signature.inputs, self.signature.outputs

        def chain(**tensors: Any) -> Any:
            count = tf.shape(tensors[inputs[0].alias])[0] // batch_size
            arrays = [
                tf.TensorArray(
                    spec.dtype,
                    size=count,
                    element_shape=(batch_size, *(spec.row_shape or ())),
                    infer_shape=False,
                )
                for spec in outputs
            ]

            def body(step: Any, arrays: list[Any]) -> Any:
                start = step * batch_size
                batch = {}
                for spec in inputs:
                    rows = tensors[spec.alias][start : start + batch_size]
                    batch[spec.alias] = tf.ensure_shape(rows, [batch_size, *rows.shape[1:]])
                results = function(**batch)
                written = [
                    array.write(step, results[spec.alias]) for array, spec in zip(arrays, outputs, strict=True)
                ]
                return step + 1, written

            _, arrays = tf.while_loop(
                lambda step, _: step < count, body, [tf.constant(0), arrays], parallel_iterations=1
            )
            return {spec.alias: array.concat() for spec, array in zip(outputs, arrays, strict=True)}

        specs = {
            spec.alias: tf.TensorSpec(
                None if spec.row_shape is None else [None, *spec.row_shape], spec.dtype, name=spec.alias
            )
            for spec in inputs
        }
        concrete = tf.function(chain, autograph=False).get_concrete_function(**specs)

        def call(**tensors: Any) -> Any:
            return concrete(**tensors)

        return call


def load(path: str) -> Any:
    """The SavedModel in a local folder, the meta graph tagged for serving.

    Raises:
      ModelUnusable: it cannot be loaded.
    """
    if not any(os.path.isfile(os.path.join(path, name)) for name in ("saved_model.pb", "saved_model.pbtxt")):
        raise ModelUnusable(f"The model at {path} cannot be loaded: there is no saved_model.pb in that folder.")
    try:
        try:
            return tf.saved_model.load(path)
        except ValueError:
            # Several meta graphs: then a tag must be named.
            return tf.saved_model.load(path, tags=[SERVE_TAG])
    except Exception as error:
        # Anything at all can come out of a damaged SavedModel: decode errors, missing ops, missing files.
        raise ModelUnusable(f"The model at {path} cannot be loaded: {brief(error)}") from error


def describe(name: str, function: Any) -> Signature:
    """A loaded signature in terms that need no TensorFlow."""
    _, inputs = function.structured_input_signature
    return Signature(
        name,
        tuple(_spec(alias, inputs[alias]) for alias in sorted(inputs)),
        tuple(_spec(alias, function.structured_outputs[alias]) for alias in sorted(function.structured_outputs)),
    )


def _spec(alias: str, tensor: Any) -> TensorSpec:
    if not isinstance(tensor, tf.TensorSpec | tf.Tensor):
        kind = type(tensor).__name__.removesuffix("Spec")
        raise ModelUnusable(f"{alias} of the signature is a {kind}; only plain tensors can be read and written.")
    shape = None if tensor.shape.rank is None else tuple(tensor.shape.as_list())
    return TensorSpec(alias, tensor.dtype.name, shape)


def check_sizes(outputs: Outputs, count: int) -> None:
    """Every output must have a row for each instance.

    Raises:
      RecordRefused: with the service's message.
    """
    if all(len(array) == count for array in outputs.values()):
        return
    sizes = {alias: len(array) for alias, array in sorted(outputs.items())}
    raise RecordRefused(
        INVALID_OUTPUTS,
        "Bad output from running tensorflow session: "
        "outputs had differing sizes in the batch (outer) dimension. "
        f"See the outputs and their size: {sizes}, for a batch of {count}. "
        "Check your model for bugs that effect the size of the outputs.",
    )


def brief(error: BaseException) -> str:
    """TensorFlow's message without stack traces and the names of graph nodes, which differ from call to call."""
    text = str(getattr(error, "message", None) or error)
    # A failure inside a graph is told in this order: the node, a stack trace of its making, what went wrong.
    text = _TRACE.sub("", text)
    text = re.split(r"\n\nCaused by op|\n\t ?\[\[|\n\nOriginal stack trace", text)[0]
    text = re.sub(r"\s*\[\[\{\{node [^]]*\]\]|\s*\[Op:[^]]*\]", "", text)
    text = re.sub(r"\b__inference_(\w+?)_\d+\b", r"\1", text)
    return " ".join(text.split()) or type(error).__name__


_TRACE = re.compile(
    r"^(?:Graph execution error:|Detected at node .*|<stack traces unavailable>| +File \".*\", line \d+, in .*)$",
    re.MULTILINE,
)


def _tensor(column: list[bytes] | Array, spec: TensorSpec) -> Any:
    """A column as the tensor that the signature takes."""
    tensor = tf.constant(column, dtype=spec.dtype)
    if isinstance(column, list) and spec.row_shape and all(size in (1, None) for size in spec.row_shape):
        # A record is one string, and Keras likes its string inputs as [batch, 1].
        return tf.reshape(tensor, [len(column)] + [1] * len(spec.row_shape))
    return tensor


def _rows(tensor: Any) -> Array:
    array = np.asarray(tensor.numpy())
    return array.reshape(1) if array.ndim == 0 else array


def _padded(column: list[bytes] | Array, count: int) -> list[bytes] | Array:
    """A column filled up to the batch size that the graph was built for, with its last row."""
    missing = count - len(column)
    if isinstance(column, np.ndarray):
        return np.concatenate([column, np.repeat(column[-1:], missing, axis=0)])
    return column + column[-1:] * missing
