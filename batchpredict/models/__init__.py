"""SavedModels: how they are fetched, loaded and described, and the columns and values that they take and give."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchpredict._lazy import lazily

if TYPE_CHECKING:
    from batchpredict.models.columns import Array, Column, Ragged, all_equal, call_groups, concatenate, cut, take
    from batchpredict.models.encode import base64_object, is_bytes, json_text, to_values
    from batchpredict.models.fetch import clean_cache, fetch_model, model_digest
    from batchpredict.models.graph_file import listed_signatures
    from batchpredict.models.inspect import look
    from batchpredict.models.model import Model, Outputs
    from batchpredict.models.saved_model import SavedModel
    from batchpredict.models.signature import Signature, TensorSpec, choose_signature
    from batchpredict.models.tf_core import TENSORFLOW_VERSION, parse_example
    from batchpredict.models.values import InvalidText, Refusals, compatible, mismatch, numpy_dtype, to_column

__all__ = [
    "TENSORFLOW_VERSION",
    "Array",
    "Column",
    "InvalidText",
    "Model",
    "Outputs",
    "Ragged",
    "Refusals",
    "SavedModel",
    "Signature",
    "TensorSpec",
    "all_equal",
    "base64_object",
    "call_groups",
    "choose_signature",
    "clean_cache",
    "compatible",
    "concatenate",
    "cut",
    "fetch_model",
    "is_bytes",
    "json_text",
    "listed_signatures",
    "look",
    "mismatch",
    "model_digest",
    "numpy_dtype",
    "parse_example",
    "take",
    "to_column",
    "to_values",
]

if not TYPE_CHECKING:
    __getattr__ = lazily(
        __name__,
        {
            "Array": "columns",
            "Column": "columns",
            "InvalidText": "values",
            "Model": "model",
            "Outputs": "model",
            "Ragged": "columns",
            "Refusals": "values",
            "SavedModel": "saved_model",
            "Signature": "signature",
            "TENSORFLOW_VERSION": "tf_core",
            "TensorSpec": "signature",
            "all_equal": "columns",
            "base64_object": "encode",
            "call_groups": "columns",
            "choose_signature": "signature",
            "clean_cache": "fetch",
            "compatible": "values",
            "concatenate": "columns",
            "cut": "columns",
            "fetch_model": "fetch",
            "is_bytes": "encode",
            "json_text": "encode",
            "listed_signatures": "graph_file",
            "look": "inspect",
            "mismatch": "values",
            "model_digest": "fetch",
            "numpy_dtype": "values",
            "parse_example": "tf_core",
            "take": "columns",
            "to_column": "values",
            "to_values": "encode",
        },
    )
