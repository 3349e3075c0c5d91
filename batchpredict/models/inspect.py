"""What a SavedModel says of itself, read from its graph definition; nothing of it is run."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from batchpredict import storage
from batchpredict.errors import ModelUnusable
from batchpredict.models.encode import is_bytes
from batchpredict.models.fetch import model_files
from batchpredict.models.signature import DEFAULT_SIGNATURE, Signature, TensorSpec

# TensorFlow keeps its initialisation among the signatures.
_HIDDEN = "__saved_model_"


@dataclass(frozen=True)
class ModelDescription:
    """A SavedModel's meta graph for serving.

    Attributes:
      tags: its tags.
      signatures: its signatures, by name.
      default: the one that a job without signatureName uses; None if it must name one.
    """

    tags: tuple[str, ...]
    signatures: tuple[Signature, ...]
    default: str | None

    def to_dict(self) -> dict[str, Any]:
        return {
            "tags": list(self.tags),
            "defaultSignature": self.default,
            "signatures": {
                signature.name: {
                    "inputs": {spec.alias: _tensor(spec) for spec in signature.inputs},
                    "outputs": {spec.alias: _tensor(spec) for spec in signature.outputs},
                    "exampleLine": self.example(signature),
                }
                for signature in self.signatures
            },
        }

    def example(self, signature: Signature) -> str:
        """A line of TEXT input that this signature takes."""
        if signature.single_string_input is not None:
            return "the line itself is the value of the only input"
        if len(signature.inputs) == 1:
            return orjson.dumps(_zeros(signature.inputs[0])).decode()
        return orjson.dumps({spec.alias: _zeros(spec) for spec in signature.inputs}).decode()


def _tensor(spec: TensorSpec) -> dict[str, Any]:
    return {"dtype": spec.dtype, "shape": None if spec.shape is None else list(spec.shape)}


def _zeros(spec: TensorSpec) -> Any:
    """A value of the right type and shape; a size that the signature leaves open is 1 here."""
    if spec.dtype == "string":
        value: Any = {"b64": "AAEC"} if is_bytes(spec.alias) else "text"
    elif spec.dtype == "bool":
        value = False
    else:
        value = 0.0 if "float" in spec.dtype else 0
    for size in reversed(spec.row_shape or ()):
        value = [value] * (1 if size is None else size)
    return value


def look(uri: str) -> ModelDescription:
    """Describe the SavedModel at a URL.

    Raises:
      ModelUnusable: there is none, or it cannot be read.
    """
    names = {name for name, _, _ in model_files(uri)}
    from google.protobuf import text_format
    from google.protobuf.message import DecodeError

    with _quiet():
        from tensorflow.core.protobuf import saved_model_pb2

    model = saved_model_pb2.SavedModel()
    try:
        if "saved_model.pb" in names:
            model.ParseFromString(storage.read_bytes(storage.join(uri, "saved_model.pb")))
        else:
            text_format.Parse(storage.read_bytes(storage.join(uri, "saved_model.pbtxt")), model)
    except (DecodeError, text_format.ParseError) as error:
        raise ModelUnusable(f"'{uri}' is not a SavedModel: its saved_model.pb cannot be parsed.") from error
    graphs = sorted(model.meta_graphs, key=lambda graph: "serve" not in graph.meta_info_def.tags)
    if not graphs:
        raise ModelUnusable(f"'{uri}' is not a SavedModel: it holds no graph.")
    definitions = graphs[0].signature_def
    signatures = tuple(
        _signature(name, definitions[name]) for name in sorted(definitions) if not name.startswith(_HIDDEN)
    )
    known = [signature.name for signature in signatures]
    default = known[0] if len(known) == 1 else DEFAULT_SIGNATURE if DEFAULT_SIGNATURE in known else None
    return ModelDescription(tuple(sorted(graphs[0].meta_info_def.tags)), signatures, default)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep what TensorFlow's C++ says while it is imported off the terminal: no setting reaches all of it."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    kept = os.dup(2)
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)


def _signature(name: str, definition: Any) -> Signature:
    return Signature(name, _specs(definition.inputs), _specs(definition.outputs))


def _specs(tensors: Any) -> tuple[TensorSpec, ...]:
    import tensorflow as tf

    specs = []
    for alias in sorted(tensors):
        tensor = tensors[alias]
        shape = None
        if not tensor.tensor_shape.unknown_rank:
            shape = tuple(None if dim.size < 0 else int(dim.size) for dim in tensor.tensor_shape.dim)
        specs.append(TensorSpec(alias, tf.as_dtype(tensor.dtype).name, shape))
    return tuple(specs)
