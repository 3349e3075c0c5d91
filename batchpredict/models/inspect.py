"""What a SavedModel says of itself, read from its graph definition; nothing of it is run."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from batchpredict import storage
from batchpredict.errors import ModelUnusable
from batchpredict.models.encode import is_bytes
from batchpredict.models.fetch import model_files
from batchpredict.models.signature import DEFAULT_SIGNATURE, Signature, TensorSpec


@dataclass(frozen=True)
class ModelDescription:
    """A SavedModel's meta graph for serving.

    Attributes:
      tags: its tags.
      signatures: its signatures, by name.
      default: the one that a job without signatureName uses; None if it must name one.
      refused: signatures that cannot be used for prediction, and why.
    """

    tags: tuple[str, ...]
    signatures: tuple[Signature, ...]
    default: str | None
    refused: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        return {
            "tags": list(self.tags),
            "defaultSignature": self.default,
            "signatures": {
                signature.name: {
                    "inputs": {spec.alias: _tensor(spec) for spec in signature.inputs},
                    "outputs": {spec.alias: _tensor(spec) for spec in signature.outputs},
                    "exampleLine": self.example(signature),
                    **({"remarks": list(remarks)} if (remarks := self.remarks(signature)) else {}),
                }
                for signature in self.signatures
            },
        }

    def example(self, signature: Signature) -> str | None:
        """A line of TEXT input that this signature takes; None if it cannot be used."""
        if signature.name in self.refused:
            return None
        if signature.single_string_input is not None:
            return "the line itself is the value of the only input"
        if len(signature.inputs) == 1:
            return orjson.dumps(_zeros(signature.inputs[0])).decode()
        return orjson.dumps({spec.alias: _zeros(spec) for spec in signature.inputs}).decode()

    def remarks(self, signature: Signature) -> tuple[str, ...]:
        """What is special about a signature: why it cannot be used, or how it is to be read."""
        if signature.name in self.refused:
            return (f"cannot be used for prediction: {self.refused[signature.name]}",)
        sparse = (
            f"input {spec.alias} is sparse: a list of any length is the values of a row, at its places 0, 1, …"
            for spec in signature.inputs
            if spec.sparse
        )
        return (*sparse, *signature.remarks)


def _tensor(spec: TensorSpec) -> dict[str, Any]:
    found = {"dtype": spec.dtype, "shape": None if spec.shape is None else list(spec.shape)}
    return {**found, "sparse": True} if spec.sparse else found


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
        from batchpredict.models.tf_core import saved_model_pb2

    model = saved_model_pb2.SavedModel()
    try:
        if "saved_model.pb" in names:
            model.ParseFromString(storage.read_bytes(storage.join(uri, "saved_model.pb")))
        else:
            text_format.Parse(storage.read_bytes(storage.join(uri, "saved_model.pbtxt")), model)
    except (DecodeError, text_format.ParseError) as error:
        raise ModelUnusable(f"'{uri}' is not a SavedModel: its saved_model.pb cannot be parsed.") from error
    with _quiet():
        from batchpredict.models.meta_graph import choose_meta_graph, import_graph, signature_names
    try:
        meta_graph = choose_meta_graph(model)
    except ModelUnusable as error:
        raise ModelUnusable(f"'{uri}' cannot be used: {error}.") from error
    graph = import_graph(meta_graph)
    names_of = signature_names(meta_graph)
    signatures, refused = [], {}
    for name in names_of:
        signature, reason = _look_at(meta_graph, name, graph)
        signatures.append(signature)
        if reason is not None:
            refused[name] = reason
    default = names_of[0] if len(names_of) == 1 else DEFAULT_SIGNATURE if DEFAULT_SIGNATURE in names_of else None
    return ModelDescription(tuple(sorted(meta_graph.meta_info_def.tags)), tuple(signatures), default, refused)


def _look_at(meta_graph: Any, name: str, graph: Any | None) -> tuple[Signature, str | None]:
    """A signature, and why it cannot be used if it cannot."""
    from batchpredict.models.meta_graph import as_listed, check_usable, describe

    try:
        bound = describe(meta_graph, name, graph)
        check_usable(meta_graph, bound)
    except ModelUnusable as error:
        return as_listed(meta_graph, name), str(error)
    return bound.signature, None


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
