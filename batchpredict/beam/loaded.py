"""A model that a worker of a runner holds, and a batch that it has scored."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from batchpredict.beam.elements import ElementDecoder
from batchpredict.errors import RecordRefused
from batchpredict.models import Array, SavedModel, base64_object, fetch_model, take, to_values
from batchpredict.scoring import Piece, Scorer

_LOGGER = logging.getLogger("batchpredict.beam")


@dataclass(frozen=True)
class Scored:
    """What became of a batch. Every row is in one of the pieces, or refused.

    Attributes:
      model_id: the URL of the model.
      pieces: rows of the batch, and for each output its values in the order of these rows.
      refused: why a row has no prediction.
    """

    model_id: str
    pieces: tuple[tuple[Sequence[int], dict[str, list[Any] | Array]], ...]
    refused: dict[int, RecordRefused]


class LoadedModel:
    """A signature of a SavedModel, ready to score batches of elements. Any thread may call it.

    Beam may keep it in another process than the caller's: what goes in and out is pickled then, so both are few
    large pieces, and there is nothing here to read but by a call.

    Args:
      uri: URL of the SavedModel, any that fsspec knows.
      signature_name: the signature; None for the service's default rule.
      threads: threads that a call may use; 0 for TensorFlow's choice.
      batch_size: elements that no batch will have more of.

    Raises:
      ModelUnusable: the model does not load, or has no such signature.
      JobFailed: the cache of models cannot be used.
    """

    def __init__(self, uri: str, signature_name: str | None, *, threads: int, batch_size: int) -> None:
        self._uri = uri
        self._model = SavedModel(fetch_model(uri), signature_name, threads=threads, name=uri)
        self._decode = ElementDecoder(self._model.signature)
        self._batch_size = batch_size
        self._one_at_a_time = contextlib.nullcontext() if self._model.concurrent else threading.Lock()
        self._of_thread = threading.local()
        for remark in self._model.signature.remarks:
            _LOGGER.warning("%s: %s", uri, remark)

    def score(self, elements: Sequence[Any], *, as_json: bool) -> Scored:
        """The predictions of a batch.

        Args:
          elements: as `elements` describes them.
          as_json: values as the lines of a results file have them, instead of numpy's and bytes.

        Raises:
          ModelUnusable: the model fails whatever the elements, or the device cannot hold even one of them.
          DeviceFailed: the device failed.
        """
        columns, refused = self._decode(elements)
        rows: Sequence[int] = range(len(elements))
        if refused:
            rows = [row for row in rows if row not in refused]
            columns = {alias: take(column, rows) for alias, column in columns.items()} if rows else {}
        if not rows:
            return Scored(self._uri, (), refused)
        with self._one_at_a_time:
            pieces, refused_by_model = self._scorer().score(columns, len(rows))
        refused = {**refused, **{rows[row]: reason for row, reason in refused_by_model.items()}}
        found = []
        for piece in pieces:
            places = piece.rows if isinstance(rows, range) else [rows[row] for row in piece.rows]
            outputs: dict[str, list[Any] | Array] = dict(piece.outputs)
            if as_json:
                outputs = _json_values(piece, places, refused)
            found.append((places, outputs))
        return Scored(self._uri, tuple(found), refused)

    def _scorer(self) -> Scorer:
        """This thread's own: it remembers what failed, and how large a call may be."""
        scorer: Scorer | None = getattr(self._of_thread, "scorer", None)
        if scorer is None:
            scorer = Scorer(
                self._model, self._batch_size, on_all_refused=self._all_refused, on_too_large=self._too_large
            )
            self._of_thread.scorer = scorer
        return scorer

    def _all_refused(self, message: str) -> None:
        _LOGGER.warning("%s has refused every record of several batches in a row: %s", self._uri, message)

    def _too_large(self, rows: int, fitting: int, message: str) -> None:
        _LOGGER.warning(
            "%s: the device's memory does not hold a call of %d records, %d fit; a max_batch_size of that saves "
            "the calls that fail. %s",
            self._uri, rows, fitting, message,
        )  # fmt: skip


def _json_values(
    piece: Piece, places: Sequence[int], refused: dict[int, RecordRefused]
) -> dict[str, list[Any] | Array]:
    """The outputs of a piece in terms of JSON. Adds to `refused` the rows that it has no terms for."""
    values: dict[str, list[Any] | Array] = {}
    for alias, array in piece.outputs.items():
        values[alias], wrong = to_values(alias, array, strict_json=True, b64=base64_object)
        refused.update({places[at]: reason for at, reason in wrong.items()})
    return values
