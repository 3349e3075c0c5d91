"""A SavedModel that can be called with columns. Importing this module imports TensorFlow.

It is loaded as TensorFlow Serving does it: the graph into a graph of its own, the checkpoint into a session, tables
and assets by the graph's own initialisation; then it is fed and fetched by the names of its tensors. So whatever
Serving loads is loaded, TensorFlow 1 graphs with reference variables and Keras models with an optimizer among them.

A call by name costs 0.02 ms for a small model of one dense input on one thread, where a call of the signature as a
Python function costs 0.3 ms.
"""

from __future__ import annotations

import atexit
import functools
import os
import re
import weakref
from collections.abc import Mapping
from typing import Any

import numpy as np

from batchpredict.errors import (
    FAILED_TO_RUN_MODEL,
    INVALID_OUTPUTS,
    BatchTooLarge,
    DeviceFailed,
    InternalFailure,
    ModelUnusable,
    RecordRefused,
)
from batchpredict.models.columns import Array, Column, cut
from batchpredict.models.faults import MAY_LACK_KERNEL, Fault, fault_of, named_in, without_kernel, without_op
from batchpredict.models.feeds import feed, padded
from batchpredict.models.graph_walk import GraphWalk
from batchpredict.models.meta_graph import check_usable, choose_meta_graph, describe, rows_of, signature_names
from batchpredict.models.model import Outputs
from batchpredict.models.signature import Signature, choose_signature
from batchpredict.models.tf_core import (
    TENSORFLOW_VERSION,
    Graph,
    SavedModelLoader,
    Session,
    as_dtype,
    config_pb2,
    errors,
)

# What they hold is given out uncopied, and overwritten in place by the next call that assigns to them.
_REFERENCE_VARIABLES = ("Variable", "VariableV2")

_FILES = ("saved_model.pb", "saved_model.pbtxt")


_open_models: weakref.WeakSet[SavedModel] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    for model in list(_open_models):
        model.close()


class SavedModel:
    """One signature of a SavedModel.

    Args:
      path: local folder of the SavedModel.
      signature_name: the signature asked for, or None for the service's default rule.
      threads: threads that an operation may use, and operations that may run at a time; 0 for TensorFlow's choice.
      name: what to call the model in messages; its path unless said otherwise.

    Raises:
      ModelUnusable: it does not load, has no such signature, or takes or gives what no record or result can hold.
    """

    def __init__(
        self, path: str, signature_name: str | None = None, *, threads: int = 0, name: str | None = None
    ) -> None:
        self._name = name or path
        self._devices = frozenset({"CPU"})
        meta_graph, tags, loader = self._read(path)
        signature_name = choose_signature(signature_names(meta_graph), signature_name)
        self._meta_graph = meta_graph
        self._session = self._load(loader, tags, threads)
        self._bound = describe(meta_graph, signature_name, self._session.graph)
        check_usable(meta_graph, self._bound)
        self.signature = self._bound.signature
        self._fetches = tuple(name for bound in self._bound.outputs for name in bound.names)
        # Asked for in every call, and worked out once.
        self._fixed = self.signature.fixed_batch
        self._unbatched = self.signature.unbatched
        self._inputs = [
            (spec.alias, spec, np.dtype(as_dtype(spec.dtype).as_numpy_dtype)) for spec in self.signature.inputs
        ]
        self._devices = frozenset(device.device_type for device in self._session.list_devices())
        needed = GraphWalk(meta_graph.graph_def).needed(self._fetches)
        self._may_overwrite = any(node.op in _REFERENCE_VARIABLES for node in needed)
        self._plain = self._fixed is None and not self._may_overwrite and _is_plain(self.signature)
        self._run = self._callable(threads)
        _open_models.add(self)

    @property
    def concurrent(self) -> bool:
        """Whether several threads may call it at a time: sessions allow it, but values of reference variables are
        overwritten by the next call."""
        return not self._may_overwrite

    def close(self) -> None:
        """Let go of the session, before TensorFlow's own modules are taken down at the end of the process."""
        self._run = None
        self._session.close()

    def _read(self, path: str) -> tuple[Any, list[str], Any]:
        if not any(os.path.isfile(os.path.join(path, name)) for name in _FILES):
            raise self._unloadable("there is no saved_model.pb in that folder.")
        try:
            loader = SavedModelLoader(path)
            meta_graph = choose_meta_graph(loader.saved_model)
        except ModelUnusable as error:
            raise self._unloadable(f"{error}.") from error
        except Exception as error:
            raise self._unloadable(brief(error)) from error
        return meta_graph, sorted(meta_graph.meta_info_def.tags), loader

    def _load(self, loader: Any, tags: list[str], threads: int) -> Any:
        walk = GraphWalk(self._meta_graph.graph_def)
        unknown = without_op(node for node in walk.everything() if not walk.defines(node.op))
        if unknown is not None:
            raise self._unloadable(f"it has the op {unknown}, which TensorFlow {TENSORFLOW_VERSION} does not know.")
        # Ops that have no kernel for the device that the graph names go to the CPU, as in TensorFlow Serving.
        config = config_pb2.ConfigProto(
            allow_soft_placement=True, intra_op_parallelism_threads=threads, inter_op_parallelism_threads=threads
        )
        graph = Graph()
        try:
            with graph.as_default():
                session = Session(graph=graph, config=config)
                loader.load(session, tags)
        except Exception as error:
            # Anything at all can come out of a damaged SavedModel: decode errors, missing files, missing kernels.
            raise self._unloadable(self._lacking(error) or brief(error)) from error
        return session

    def _unloadable(self, reason: str) -> ModelUnusable:
        return ModelUnusable(f"The model at {self._name} cannot be loaded: {reason}")

    def _callable(self, threads: int) -> Any:
        options = config_pb2.CallableOptions()
        options.feed.extend(name for bound in self._bound.inputs for name in bound.names)
        options.fetch.extend(self._fetches)
        if threads == 1:
            # In the calling thread: to hand a call to the only other one costs 0.015 ms.
            options.run_options.inter_op_thread_pool = -1
        try:
            return self._session._make_callable_from_options(options)
        except errors.OpError as error:
            raise self._unusable(error) from error

    def call(self, columns: Mapping[str, Column], count: int) -> Outputs:
        fixed = self._fixed
        if fixed is not None and count > fixed:
            return self._call_in_parts(columns, count, fixed)
        if fixed is not None and count != fixed:
            columns = {alias: padded(column, fixed) for alias, column in columns.items()}
        size = count if fixed is None else fixed
        arrays: list[Array] = []
        try:
            for alias, spec, dtype in self._inputs:
                arrays += feed(columns[alias], spec, dtype)
            values = self._run(*arrays)
            if self._may_overwrite:
                values = [np.array(value) if isinstance(value, np.ndarray) else value for value in values]
        except errors.OpError as error:
            raise self._failed(error, count) from error
        except (ValueError, TypeError) as error:
            raise RecordRefused(FAILED_TO_RUN_MODEL, _RUNNING + brief(error)) from error
        outputs = {
            spec.alias: rows_of(value, spec, size, unbatched=self._unbatched)
            for spec, value in zip(self.signature.outputs, values, strict=True)
        }
        check_sizes(outputs, size)
        return outputs if size == count else {alias: array[:count] for alias, array in outputs.items()}

    def call_batches(self, columns: Mapping[str, Column], count: int, batch_size: int) -> list[Outputs]:
        starts = range(0, count, batch_size)
        if not self._plain:
            cuts = ({name: cut(column, at, at + batch_size) for name, column in columns.items()} for at in starts)
            return [self.call(batch, batch_size) for batch in cuts]
        run, specs = self._run, self.signature.outputs
        try:
            arrays = [feed(columns[alias], spec, dtype)[0] for alias, spec, dtype in self._inputs]
            if len(arrays) == 1:
                (array,) = arrays
                called = [run(array[at : at + batch_size]) for at in starts]
            else:
                called = [run(*(array[at : at + batch_size] for array in arrays)) for at in starts]
        except errors.OpError as error:
            raise self._failed(error, batch_size) from error
        except (ValueError, TypeError) as error:
            raise RecordRefused(FAILED_TO_RUN_MODEL, _RUNNING + brief(error)) from error
        shapes = {tuple(map(np.shape, values)) for values in called}
        if len(shapes) == 1 and all(shape[:1] == (batch_size,) for shape in next(iter(shapes))):
            joined = map(np.concatenate, zip(*called, strict=True))
            return [{spec.alias: array for spec, array in zip(specs, joined, strict=True)}]
        pieces = []
        for values in called:
            paired = zip(specs, values, strict=True)
            pieces.append({spec.alias: rows_of(value, spec, batch_size, unbatched=False) for spec, value in paired})
            check_sizes(pieces[-1], batch_size)
        return pieces

    def _call_in_parts(self, columns: Mapping[str, Column], count: int, size: int) -> Outputs:
        """More rows than the graph was built for, in as many calls as they need."""
        parts = []
        for start in range(0, count, size):
            stop = min(start + size, count)
            parts.append(
                self.call({name: cut(column, start, stop) for name, column in columns.items()}, stop - start)
            )
        return {alias: np.concatenate([part[alias] for part in parts]) for alias in parts[0]}

    def _failed(self, error: Any, count: int) -> Exception:
        """What a failed call is to those who called."""
        if error.error_code in MAY_LACK_KERNEL and self._lacking(error):
            return self._unusable(error)
        fault = fault_of(error.error_code, accelerator=bool(self._devices - {"CPU"}))
        if fault is Fault.MODEL:
            return self._unusable(error)
        if fault is Fault.DEVICE:
            return DeviceFailed(f"The model at {self._name} failed on its device: {brief(error)}")
        if fault is Fault.SIZE:
            text = f"The device's memory does not hold a model call of {count} records: {brief(error)}"
            return BatchTooLarge(FAILED_TO_RUN_MODEL, text)
        if fault is Fault.AMBIGUOUS:
            return InternalFailure(FAILED_TO_RUN_MODEL, _RUNNING + brief(error))
        return RecordRefused(FAILED_TO_RUN_MODEL, _RUNNING + brief(error))

    def _unusable(self, error: Any) -> ModelUnusable:
        """That no record can be scored, with the op that says so where TensorFlow names its node."""
        reason = self._lacking(error)
        if reason is None:
            named = _NODE.search(str(error))
            op = self._op_of(named[1]) if named else None
            where = f"its op {op} ({named[1]}) failed: " if op and named else ""
            reason = where + brief(error)
        return ModelUnusable(f"The model at {self._name} cannot be used: {reason}")

    def _lacking(self, error: Exception) -> str | None:
        """That an op has no kernel here, as a reason, if it is this that a failure names; else None."""
        node = named_in(str(error), self._without_kernel)
        if node is None:
            return None
        return (
            f"TensorFlow {TENSORFLOW_VERSION} has no kernel for its op {node.op} ({node.name}) on "
            f"{' and '.join(sorted(self._devices))}."
        )

    @functools.cached_property
    def _without_kernel(self) -> list[Any]:
        """The nodes whose op has no kernel here. Worked out once: some models refuse a record in ten."""
        walk = GraphWalk(self._meta_graph.graph_def)
        nodes = (node for node in walk.everything() if not walk.defines(node.op))
        return without_kernel(nodes, self._devices)

    def _op_of(self, node: str) -> str | None:
        """The op of a node, which within a function carries the names of the calls that led there."""
        last = node.rpartition("/")[2]
        walk = GraphWalk(self._meta_graph.graph_def)
        found = {one.op for one in walk.everything() if one.name == node or one.name.rpartition("/")[2] == last}
        return found.pop() if len(found) == 1 else None


def _is_plain(signature: Signature) -> bool:
    """Whether every input and output is one tensor whose first dimension is the batch."""
    batched = all(spec.batched for spec in (*signature.inputs, *signature.outputs))
    return batched and not any(spec.sparse for spec in signature.inputs)


_RUNNING = "Exception during running the graph: "
_NODE = re.compile(r"\{\{node ([^}]+)\}\}")


def check_sizes(outputs: Outputs, count: int) -> None:
    """Every output must have a row for each instance.

    Raises:
      RecordRefused: with the service's message.
    """
    for array in outputs.values():
        if len(array) != count:
            break
    else:
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
