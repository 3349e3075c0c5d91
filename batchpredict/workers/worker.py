"""A worker process: loads the model once, then scores the splits it is given.

It knows no Beam and holds nothing that would be missed: its supervisor may kill it at any moment.
"""

from __future__ import annotations

import contextlib
import gc
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection

from batchpredict.errors import BatchPredictError, ModelUnusable, to_document
from batchpredict.ledger import PredictionSpec, Staging
from batchpredict.scoring import Place, SplitPredictor
from batchpredict.workers.devices import claim, visible_gpus
from batchpredict.workers.protocol import CallNote, Done, Failed, Progress, Ready, Setup, Warned

# Seconds between two progress messages.
_REPORT_SECONDS = 0.2


def main() -> None:
    """Entry point: the file descriptors of pipe, call note and lifeline are the three arguments."""
    serve(SplitPredictor)


def serve(make: Callable[..., SplitPredictor]) -> None:
    """Be a worker process until its supervisor is gone.

    Args:
      make: what makes the predictor of a job whose model is loaded; called as `SplitPredictor` is.
    """
    pipe, call_note, lifeline = (int(argument) for argument in sys.argv[1:4])
    threading.Thread(target=_die_with_supervisor, args=(lifeline,), daemon=True).start()
    connection: Connection = Connection(pipe)
    with contextlib.suppress(EOFError, BrokenPipeError):
        _serve(connection, CallNote(call_note), make)
    # TensorFlow's threads may still run; there is nothing left that an orderly exit would save.
    os._exit(0)


def _die_with_supervisor(lifeline: int) -> None:
    """End this process when the other end of the lifeline closes, which a supervisor's death does too."""
    os.read(lifeline, 1)
    os._exit(1)


def _serve(connection: Connection, call_note: CallNote, make: Callable[..., SplitPredictor]) -> None:
    early: Exception | None = None
    try:
        # Takes longest, and is the same for every job: done before the job is known.
        _prepare()
    except Exception as error:
        early = error
    setup: Setup = connection.recv()
    try:
        if early is not None:
            raise early
        predictor = load(setup, PipeWatch(connection, call_note), make)
    except Exception as error:
        connection.send(_failure(error))
        return
    connection.send(Ready())
    while True:
        task = connection.recv()
        try:
            reply: Done | Failed = Done(predictor(task))
        except Exception as error:
            reply = _failure(error)
        call_note.clear()
        connection.send(reply)


def _failure(error: Exception) -> Failed:
    if isinstance(error, BatchPredictError):
        return Failed(to_document(error))
    traceback.print_exc()
    return Failed(None, f"{type(error).__name__}: {error}")


def _prepare() -> None:
    """Import TensorFlow, which then sees a GPU of this process's own if there is one to be had."""
    # Held, like the GPU itself, until the process ends.
    device = claim(visible_gpus())
    device.apply(os.environ)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from batchpredict.models import SavedModel

    del SavedModel


def load(
    setup: Setup, watch: PipeWatch | None = None, make: Callable[..., SplitPredictor] = SplitPredictor
) -> SplitPredictor:
    """Load a job's model into this process."""
    started = time.monotonic()
    from batchpredict.models import TENSORFLOW_VERSION, SavedModel, fetch_model

    spec = PredictionSpec.from_json(setup.spec)
    _check_model(spec.model_uri, setup.model)
    path = fetch_model(spec.model_uri)
    model = SavedModel(path, spec.signature_name, threads=setup.threads, name=spec.model_uri)
    # It may have been replaced while it was fetched and read.
    _check_model(spec.model_uri, setup.model)
    # The collector would walk TensorFlow's million objects again and again, for the lists of rows that come
    # and go; measured at batch 1024: half of the time.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    return make(
        spec,
        Staging(spec.output_path, setup.fingerprint),
        model,
        load_seconds=time.monotonic() - started,
        watch=watch,
        tensorflow=TENSORFLOW_VERSION,
    )


def _check_model(uri: str, planned: str | None) -> None:
    """Raises ModelUnusable if a model's files have another digest than those that the job was planned with."""
    from batchpredict.models import model_digest

    if planned is not None and model_digest(uri) != planned:
        raise ModelUnusable(f"uri: the model at '{uri}' has changed since the job was planned.")


class PipeWatch:
    """A `Watch` that tells the supervisor."""

    def __init__(self, connection: Connection, call_note: CallNote) -> None:
        self._connection = connection
        self._call_note = call_note
        self._reported = 0.0

    def calling(self, first: Place, last: Place) -> None:
        self._call_note.note(first, last)

    def called(self) -> None:
        self._call_note.clear()

    def scored(
        self, predictions: int, errors: int, bytes_read: int, first_error: str | None, *, at_once: bool = False
    ) -> None:
        now = time.monotonic()
        if at_once or now - self._reported >= _REPORT_SECONDS:
            self._reported = now
            self._connection.send(Progress(predictions, errors, bytes_read, first_error))

    def warn(self, kind: str, message: str) -> None:
        self._connection.send(Warned(kind, message))
