"""The meta graph of a SavedModel that is used, and its signatures as graph and signature definition tell them.

A SavedModel is a protocol buffer, tensorflow/core/protobuf/saved_model.proto: meta graphs, each a graph with tags
and signature definitions. TensorFlow Serving takes the one whose only tag is `serve`. Importing this module imports
TensorFlow.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from batchpredict.errors import ModelUnusable
from batchpredict.models.graph_walk import GraphWalk
from batchpredict.models.signature import (
    Signature,
    TensorSpec,
    batch_of,
    choose_tags,
    is_unbatched,
    offered_names,
)
from batchpredict.models.tf_core import Graph, TensorShape, as_dtype, errors, import_graph_def
from batchpredict.models.values import numpy_dtype

Shape = tuple[int | None, ...] | None


@dataclass(frozen=True)
class BoundTensor:
    """An input or output of a signature, and where it is in the graph.

    Attributes:
      spec: what it is.
      names: its tensor; of a SparseTensor those of its values, indices and dense shape.
    """

    spec: TensorSpec
    names: tuple[str, ...]


@dataclass(frozen=True)
class BoundSignature:
    """A signature with the tensors of its graph, in the order of `signature.inputs` and `signature.outputs`."""

    signature: Signature
    inputs: tuple[BoundTensor, ...]
    outputs: tuple[BoundTensor, ...]


def choose_meta_graph(saved_model: Any) -> Any:
    """The meta graph to use: the one for serving, else the only one, else the first for serving and something else.

    Raises:
      ModelUnusable: there is none, or several and none is for serving.
    """
    graphs = list(saved_model.meta_graphs)
    return graphs[choose_tags([graph.meta_info_def.tags for graph in graphs])]


def signature_names(meta_graph: Any) -> list[str]:
    """The signatures that a caller may use, in the order of their names."""
    return offered_names(meta_graph.signature_def)


def import_graph(meta_graph: Any) -> Any | None:
    """The graph of a meta graph as a `tf.Graph`; None if this TensorFlow cannot import it."""
    graph = Graph()
    try:
        with graph.as_default():
            import_graph_def(meta_graph.graph_def, name="")
    except (ValueError, TypeError, errors.OpError):
        return None
    return graph


def as_listed(meta_graph: Any, name: str) -> Signature:
    """A signature as its definition lists it, whether or not it can be used."""
    definition = meta_graph.signature_def[name]
    return Signature(name, _listed(definition.inputs), _listed(definition.outputs))


def _listed(infos: Any) -> tuple[TensorSpec, ...]:
    return tuple(
        TensorSpec(alias, _dtype(info), _shape_of(info), sparse=info.HasField("coo_sparse"))
        for alias, info in sorted(infos.items())
    )


def describe(meta_graph: Any, name: str, graph: Any | None) -> BoundSignature:
    """A signature as it is called.

    Args:
      meta_graph: a `tensorflow.MetaGraphDef`.
      name: one of its signatures.
      graph: the `tf.Graph` that it was imported into, whose types and shapes win where the signature's contradict
        them; None if it cannot be imported.

    Raises:
      ModelUnusable: an input or output is something that neither records nor results can hold. The sentence names
        it, its type and the signature.
    """
    definition = meta_graph.signature_def[name]
    inputs = tuple(
        _bound(alias, definition.inputs[alias], graph, name, is_input=True) for alias in sorted(definition.inputs)
    )
    outputs = tuple(
        _bound(alias, definition.outputs[alias], graph, name, is_input=False)
        for alias in sorted(definition.outputs)
    )
    unbatched = is_unbatched([bound.spec for bound in inputs])
    size = batch_of(bound.spec for bound in inputs)
    walk = GraphWalk(meta_graph.graph_def)
    sources = [tensor for bound in inputs for tensor in bound.names]

    def batched(output: BoundTensor) -> bool:
        if unbatched or not _has_batch(output.spec.shape, size):
            return False
        shape = output.spec.shape
        if not shape or shape[0] is None or shape[0] == 1:
            return True
        # A constant may happen to have as many values as the graph has records. (With one record a call, the value
        # is the record's either way.)
        return walk.depends(output.names[0], sources)

    outputs = tuple(replace(bound, spec=replace(bound.spec, batched=batched(bound))) for bound in outputs)
    specs = tuple(bound.spec for bound in inputs), tuple(bound.spec for bound in outputs)
    return BoundSignature(Signature(name, *specs), inputs, outputs)


def _has_batch(shape: Shape, fixed_batch: int | None) -> bool:
    """Whether an output's first dimension is the batch.

    It is where it is open or unknown, and where it is the size that the graph was built for. A graph for one record
    may have lost the dimension.
    """
    if shape is None:
        return True
    if not shape:
        return fixed_batch == 1
    return shape[0] is None or shape[0] == fixed_batch


def check_usable(meta_graph: Any, bound: BoundSignature) -> None:
    """Raises ModelUnusable if records cannot be scored with a signature: no inputs, no outputs, or odd ones."""
    name = bound.signature.name
    if not bound.signature.outputs:
        raise ModelUnusable(f"Signature {name} has no outputs, so there is nothing to predict.")
    if not bound.signature.inputs:
        raise ModelUnusable(f"Signature {name} has no inputs, so there is nothing that a record could be.")
    for spec in bound.signature.inputs:
        if not _has_values(spec.dtype):
            raise ModelUnusable(
                f"Input {spec.alias} of signature {name} is of type {spec.dtype}, which no record can hold."
            )
    for output in bound.outputs:
        spec = output.spec
        if spec.dtype in ("variant", "resource") or spec.dtype.startswith("complex"):
            raise ModelUnusable(f"Output {spec.alias} of signature {name} is of type {spec.dtype}.")
    _refuse_composite(meta_graph, bound)
    if bound.signature.unbatched:
        return
    walk = GraphWalk(meta_graph.graph_def)
    sources = [tensor for one in bound.inputs for tensor in one.names]
    for output in bound.outputs:
        if not output.spec.batched and walk.depends(output.names[0], sources):
            raise ModelUnusable(
                f"Output {output.spec.alias} of signature {name} has no batch dimension ({output.spec}) and "
                "depends on the inputs: it is a value of a whole batch, and no record has one of its own. "
                "Use a signature without it."
            )


def _has_values(dtype: str) -> bool:
    if dtype == "string":
        return True
    if dtype in ("variant", "resource") or dtype.startswith("complex"):
        return False
    try:
        numpy_dtype(dtype)
    except TypeError:
        return False
    return True


def _refuse_composite(meta_graph: Any, bound: BoundSignature) -> None:
    """Raises ModelUnusable if inputs are the parts of a ragged or sparse tensor of a TensorFlow 2 function.

    Such a signature lists the parts as inputs like others; only the function that it calls says what they are.
    """
    functions = meta_graph.object_graph_def.concrete_functions
    walk = GraphWalk(meta_graph.graph_def)
    for node in walk.needed(output.names[0] for output in bound.outputs):
        called = node.attr["f"].func.name if "f" in node.attr else ""
        if called in functions:
            kinds = list(_composite(functions[called].canonicalized_input_signature))
            if kinds:
                aliases = ", ".join(spec.alias for spec in bound.signature.inputs)
                raise ModelUnusable(
                    f"An input of signature {bound.signature.name} is a {kinds[0]}, of which the signature lists "
                    f"only the parts ({aliases}); dense inputs can be read, and sparse ones that the signature "
                    "names as such."
                )


def _composite(value: Any) -> Iterable[str]:
    """Kinds of the composite tensors in a `tensorflow.StructuredValue`."""
    kind = value.WhichOneof("kind")
    if kind == "type_spec_value":
        named = value.type_spec_value.type_spec_class_name or "composite tensor"
        if named != "TensorSpec":
            yield named.removesuffix("Spec")
    elif kind in ("tuple_value", "list_value"):
        for inner in getattr(value, kind).values:
            yield from _composite(inner)
    elif kind == "dict_value":
        for inner in value.dict_value.fields.values():
            yield from _composite(inner)


def _bound(alias: str, info: Any, graph: Any | None, signature: str, *, is_input: bool) -> BoundTensor:
    encoding = info.WhichOneof("encoding")
    if encoding == "name" or encoding is None:
        dtype, shape = _dtype(info), _shape_of(info)
        if graph is not None:
            dtype, shape = _as_in_graph(alias, info.name, shape, graph, signature)
        batched = not is_input or shape != ()
        return BoundTensor(TensorSpec(alias, dtype, shape, batched), (info.name,))
    sparse = encoding == "coo_sparse"
    if sparse and is_input:
        coo = info.coo_sparse
        names = (coo.values_tensor_name, coo.indices_tensor_name, coo.dense_shape_tensor_name)
        return BoundTensor(TensorSpec(alias, _dtype(info), _shape_of(info), sparse=True), names)
    kind = "SparseTensor" if sparse else _composite_kind(info)
    raise ModelUnusable(
        f"{'Input' if is_input else 'Output'} {alias} of signature {signature} is a {kind}; only plain tensors "
        "can be read and written, and sparse ones can be read."
    )


def _dtype(info: Any) -> str:
    if info.HasField("composite_tensor"):
        return _composite_kind(info)
    return str(as_dtype(info.dtype).base_dtype.name)


def _composite_kind(info: Any) -> str:
    return str(info.composite_tensor.type_spec.type_spec_class_name.removesuffix("Spec"))


def _shape_of(info: Any) -> Shape:
    return None if info.tensor_shape.unknown_rank else _sizes(TensorShape(info.tensor_shape))


def _sizes(shape: Any) -> Shape:
    return None if shape.rank is None else tuple(shape.as_list())


def _as_in_graph(alias: str, name: str, said: Shape, graph: Any, signature: str) -> tuple[str, Shape]:
    """Type and shape of a tensor: the graph's, made more exact by the signature's where they agree."""
    try:
        tensor = graph.get_tensor_by_name(name)
    except (KeyError, ValueError) as error:
        text = f"{alias} of signature {signature} is the tensor {name!r}, which its graph does not have."
        raise ModelUnusable(text) from error
    known = tensor.shape
    if known.rank is None:
        # A signature without a shape cannot be told from one of shape ().
        shape = said or None
    else:
        try:
            shape = _sizes(known.merge_with(TensorShape(said)))
        except ValueError:
            shape = _sizes(known)
    return str(tensor.dtype.base_dtype.name), shape


def rows_of(value: Any, spec: TensorSpec, count: int, *, unbatched: bool) -> np.ndarray[Any, Any]:
    """What a session gave for an output, as an array with a row for each record of the call.

    Args:
      value: an array, or a scalar of numpy or bytes where the output has no dimension.
      spec: the output.
      count: records of the call.
      unbatched: the call is one record, and the output's value is that record's.
    """
    if isinstance(value, np.ndarray):
        if spec.batched and value.ndim:
            return value
        array = value
    elif isinstance(value, bytes):
        array = np.array(value, dtype=object)
    else:
        array = np.asarray(value)
    if unbatched:
        return array[np.newaxis]
    if spec.batched:
        return array.reshape(1) if array.ndim == 0 else array
    return np.repeat(array[np.newaxis], count, axis=0)
