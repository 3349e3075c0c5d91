"""The `ModelHandler`. Importing this module imports Beam, and not TensorFlow."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from apache_beam.metrics import Metrics
from apache_beam.ml.inference.base import ModelHandler, PredictionResult

from batchpredict import storage
from batchpredict.beam.refused import Way, dead_letter, failure, way
from batchpredict.errors import INVALID_INPUTS, RecordRefused

if TYPE_CHECKING:
    from batchpredict.beam.loaded import LoadedModel, Scored

NAMESPACE = "BatchPredict_SavedModel"
"""The namespace of the metrics, unless `RunInference` is given another."""

# As many elements as Beam puts into a batch if nobody says.
_LARGEST_BATCH = 10_000


class SavedModelHandler(ModelHandler[Any, PredictionResult, "LoadedModel"]):  # type: ignore[misc]
    """Scores elements with a SavedModel in `RunInference`.

    The model is any that a job takes: of TensorFlow 2 or 1, of Keras 2 or 3. `batchpredict.beam.elements` says
    what an element may be. A result is a `PredictionResult`: `example` is the element as it came, `inference` a
    dict of numpy values by output name (bytes for strings), `model_id` the URL of the model that gave them.

    A record that cannot be decoded or that the model refuses does not touch the others of its batch. With exception
    handling it is a dead letter of its own, `([element], error)` among the `failed_inferences`; without, the call
    raises `RecordRefused`, as Beam's handlers raise. Under Beam's `KeyedModelHandler`, which lets only results
    pass, it is a result whose `inference` is the `RecordRefused`; with `keyed=True` it is a dead letter there too.

    Args:
      uri: URL of the SavedModel, any that fsspec knows.
      signature_name: the signature; None for the only one, else `serving_default`.
      keyed: elements are pairs of a key and an element, and results pairs of that key and a result.
      as_json: values of outputs are those of a results file's lines (lists, numbers, text, base64 objects) and not
        numpy's. A record whose values JSON cannot hold is refused.
      threads: threads that a model call may use, 0 for all. By default 1, as runners have a worker for each core;
        0 where the model is shared across processes.
      min_batch_size, max_batch_size, max_batch_duration_secs, element_size_fn, batch_length_fn,
        batch_bucket_boundaries, large_model, model_copies: as Beam's `ModelHandler` has them.
      env_vars: environment variables of the worker, set before TensorFlow is imported.
      resource_hints: of the step, as `PTransform.with_resource_hints` takes them.

    Raises:
      ValueError: threads, or the largest batch, that cannot be.
      ModelUnusable: by a worker, where the model does not load or has no such signature.
    """

    def __init__(
        self,
        uri: str | os.PathLike[str],
        signature_name: str | None = None,
        *,
        keyed: bool = False,
        as_json: bool = False,
        threads: int | None = None,
        min_batch_size: int | None = None,
        max_batch_size: int | None = None,
        max_batch_duration_secs: float | None = None,
        element_size_fn: Callable[[Any], int] | None = None,
        batch_length_fn: Callable[[Any], int] | None = None,
        batch_bucket_boundaries: list[int] | None = None,
        large_model: bool = False,
        model_copies: int | None = None,
        env_vars: Mapping[str, str] | None = None,
        resource_hints: Mapping[str, Any] | None = None,
    ) -> None:
        # Both would fail on a worker, where the pipeline tries again and names neither.
        if threads is not None and threads < 0:
            raise ValueError(f"threads: {threads} is negative; 0 is all threads")
        if max_batch_size is not None and max_batch_size < 1:
            raise ValueError(f"max_batch_size: {max_batch_size} is less than 1")
        super().__init__(
            min_batch_size=min_batch_size,
            max_batch_size=max_batch_size,
            max_batch_duration_secs=max_batch_duration_secs,
            element_size_fn=element_size_fn,
            batch_length_fn=batch_length_fn,
            batch_bucket_boundaries=batch_bucket_boundaries,
            large_model=large_model,
            model_copies=model_copies,
            env_vars=dict(env_vars or {}),
        )
        self._uri = os.fspath(uri)
        self._signature_name = signature_name
        self._keyed = keyed
        self._as_json = as_json
        self._threads = threads
        self._batch_size = max_batch_size or _LARGEST_BATCH
        self._resource_hints = dict(resource_hints or {})

    def __repr__(self) -> str:
        named = f", signature_name={self._signature_name!r}" if self._signature_name else ""
        return f"SavedModelHandler({self._uri!r}{named})"

    def load_model(self) -> LoadedModel:
        from batchpredict.beam.loaded import LoadedModel

        threads = self._threads
        if threads is None:
            threads = 0 if self.share_model_across_processes() else 1
        return LoadedModel(self._uri, self._signature_name, threads=threads, batch_size=self._batch_size)

    def update_model_path(self, model_path: str | None = None) -> None:
        """Take another model when it is next loaded.

        Args:
          model_path: the folder of a SavedModel, or a file in it, which is what a watcher of files tells of. None
            or "" changes nothing.
        """
        if model_path:
            self._uri = _folder_of(model_path)

    def validate_inference_args(self, inference_args: dict[str, Any] | None) -> None:
        if inference_args:
            names = ", ".join(map(str, inference_args))
            raise ValueError(
                f"inference_args: a signature takes its inputs and nothing else, so not {names}. A value that is "
                "the same for all records is a field of each."
            )

    def run_inference(
        self, batch: Sequence[Any], model: LoadedModel, inference_args: dict[str, Any] | None = None
    ) -> Iterable[Any]:
        """A result for each element of a batch, in its order, and dead letters where Beam wants them.

        Raises:
          RecordRefused: a record is refused, and there are no dead letters.
          ModelUnusable: the model fails whatever the records.
          DeviceFailed: the device fails.
        """
        del inference_args
        whole = list(batch)
        if not whole:
            return []
        elements, unpaired = _unpaired(whole) if self._keyed else (whole, {})
        scored = model.score(elements, as_json=self._as_json)
        refused = {**scored.refused, **unpaired}
        results = _results(elements, scored)
        if refused:
            # Looked at here, where the calls that led here are known.
            Metrics.counter(NAMESPACE, "num_refused").inc(len(refused))
            chosen = way()
            if chosen is Way.RAISE:
                raise failure(refused, len(whole))
            if chosen is Way.RESULT:
                for row, reason in refused.items():
                    results[row] = PredictionResult(elements[row], reason, scored.model_id)
                refused = {}
        if self._keyed:
            results = [
                (pair[0], result) if result is not None else None
                for pair, result in zip(whole, results, strict=True)
            ]
        for row, reason in refused.items():
            results[row] = dead_letter(whole[row], reason)
        return results

    def get_num_bytes(self, batch: Sequence[Any]) -> int:
        return sum(map(_bytes_of, batch))

    def get_metrics_namespace(self) -> str:
        return NAMESPACE

    def get_resource_hints(self) -> dict[str, Any]:
        return dict(self._resource_hints)


def _results(elements: Sequence[Any], scored: Scored) -> list[Any]:
    """A `PredictionResult` for each element; None where it was refused."""
    results: list[Any] = [None] * len(elements)
    # Half of the time of its constructor, which is written in Python.
    make = PredictionResult._make
    for rows, outputs in scored.pieces:
        names = tuple(outputs)
        columns = zip(*map(list, outputs.values()), strict=True)
        for row, values in zip(rows, columns, strict=True):
            results[row] = make((elements[row], dict(zip(names, values, strict=True)), scored.model_id))
    for row in scored.refused:
        results[row] = None
    return results


def _unpaired(pairs: Sequence[Any]) -> tuple[list[Any], dict[int, RecordRefused]]:
    """The elements of pairs, and the refusals of what is no pair."""
    elements: list[Any] = []
    refused: dict[int, RecordRefused] = {}
    for row, pair in enumerate(pairs):
        if isinstance(pair, tuple) and len(pair) == 2:
            elements.append(pair[1])
        else:
            elements.append(None)
            text = f"keyed=True takes pairs of a key and an element, got a {type(pair).__name__}."
            refused[row] = RecordRefused(INVALID_INPUTS, text)
    return elements, refused


def _bytes_of(value: Any) -> int:
    """About the bytes of an element: those of its numbers and texts, and none for what holds them together."""
    if hasattr(value, "nbytes"):
        return int(value.nbytes)
    if isinstance(value, str | bytes):
        return len(value)
    if isinstance(value, dict):
        return sum(map(_bytes_of, value.values()))
    if isinstance(value, list | tuple):
        # To look at every number of every list would cost more than the model does.
        return 8 * len(value) if value and type(value[0]) in (float, int) else sum(map(_bytes_of, value))
    return int(value.ByteSize()) if hasattr(value, "ByteSize") else 8


def _folder_of(path: str) -> str:
    """The folder of a SavedModel, by its own path or by that of a file in it."""
    if storage.name_of(path) in ("saved_model.pb", "saved_model.pbtxt"):
        return storage.parent(path)
    try:
        is_file = storage.exists(path) and not storage.is_directory(path)
    except (OSError, ValueError, ImportError):
        # Whoever loads it says what is wrong with it.
        return path
    return storage.parent(path) if is_file else path
