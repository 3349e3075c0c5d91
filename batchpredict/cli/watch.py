"""`batchpredict watch`: files that keep arriving, scored in epochs."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import TYPE_CHECKING, Any

from batchpredict.cli.document import read_job
from batchpredict.cli.fields import in_flags
from batchpredict.cli.observers import JsonObserver, LineObserver, PredictionGauge, log_line
from batchpredict.cli.observers import choose as choose_observer
from batchpredict.cli.predict import failed_records
from batchpredict.errors import BatchPredictError, InvalidJob, WrongCall, WrongFlag
from batchpredict.job import Job
from batchpredict.launch import (
    FAILED,
    INTERRUPTED,
    SUCCEEDED,
    Terminated,
    ending_at_once,
    raise_when_terminated,
    refuse,
    silence_logs,
    status_of,
)

if TYPE_CHECKING:
    from batchpredict.epochs import Epoch, Finished, FixedModel, NewestVersion, State, Watch
    from batchpredict.ledger import Snapshot
    from batchpredict.runners import Observer

_PROGRAM = "batchpredict watch"
# Epochs whose failures are told at the end.
_NAMED = 3
_STOPPING = "ends when what is under way is done; Ctrl-C again ends it at once"


def watch(options: argparse.Namespace) -> int:
    """Watch as the options say; returns the exit status."""
    silence_logs()
    console = _Console(options)
    try:
        watching, close = _watch(options, console)
    except (WrongCall, InvalidJob) as error:
        return refuse(_PROGRAM, error)
    except BatchPredictError as error:
        return console.failed(error)
    try:
        return _run(watching, console)
    finally:
        close()


def _watch(options: argparse.Namespace, console: _Console) -> tuple[Watch, Any]:
    """The watch that the options describe, and what to call at its end.

    Raises:
      WrongCall: a flag is wrong.
      InvalidJob: the jobs would be none.
      ModelUnusable: there is no model.
    """
    from batchpredict import storage
    from batchpredict.epochs import (
        Changed,
        Execution,
        Folder,
        Pace,
        Wanted,
        Watch,
        refuse_inputs_in_output,
        source_of,
    )
    from batchpredict.ledger import PredictionSpec
    from batchpredict.runners import choose, in_this_process, silence_threads

    job, model = _job_and_model(options)
    spec = PredictionSpec.of(job)
    for field, url in (*(("--input-paths", one) for one in spec.inputs), ("--output-path", spec.output_path)):
        try:
            storage.check(url)
        except (ValueError, ImportError, OSError) as error:
            raise WrongFlag(f"{field}: '{url}' cannot be used: {error}") from error
    refuse_inputs_in_output(spec.output_path, spec.inputs)
    runner = choose(options.runner, options.beam_flags)
    runner.check()
    model.choose()
    silence_threads()
    folder = Folder(spec.output_path)
    execution = Execution(
        folder,
        runner,
        job_id=job.job_id if options.job else "watch",
        labels=job.labels,
        workers=None if options.max_worker_count is None else spec.max_workers,
        early=in_this_process(options.runner) and not options.once,
    )
    watching = Watch(
        folder,
        Wanted(spec.inputs, options.settle, Changed(options.changed), options.max_files, options.max_bytes),
        source_of(job),
        model,
        execution,
        console,
        pace=Pace(every=options.every, tries=options.tries),
        once=options.once,
        retry=options.retry,
    )

    def close() -> None:
        watching.close()
        execution.close()

    return watching, close


def _job_and_model(options: argparse.Namespace) -> tuple[Job, FixedModel | NewestVersion]:
    """The job that an epoch is, and which model it takes."""
    from batchpredict import storage
    from batchpredict.epochs import FixedModel, NewestVersion

    if options.model_base is None:
        job = read_job(options)
        uri = job.prediction_input.uri if job.prediction_input is not None else None
        return job, FixedModel(storage.absolute(uri or ""))
    if options.model_dir is not None:
        raise WrongFlag("--model-base: give one model by --model-dir or a folder of versions, not both")
    model = NewestVersion(storage.absolute(options.model_base), "--model-base")
    # Which one it is says each epoch; a job has to have one.
    job = read_job(argparse.Namespace(**{**vars(options), "model_dir": options.model_base}))
    return job, model


def _run(watching: Watch, console: _Console) -> int:
    from batchpredict.epochs import Ending

    stop = threading.Event()

    def interrupt(number: int, frame: FrameType | None) -> None:
        del number, frame
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        console.interrupted()

    signal.signal(signal.SIGINT, interrupt)
    raise_when_terminated()
    try:
        ending = watching.run(stop)
    except (KeyboardInterrupt, Terminated) as stopped:
        with ending_at_once(stopped):
            console.error(f"{_PROGRAM}: stopped; what is committed is kept. Run the same command again to go on.")
            with contextlib.suppress(OSError):
                watching.close()
    except BatchPredictError as error:
        return console.failed(error)
    if ending is Ending.STOPPED:
        console.error(f"{_PROGRAM}: stopped. Run the same command again to go on.")
        return INTERRUPTED
    if ending is Ending.LEFT:
        console.left(watching.state)
        return FAILED
    return SUCCEEDED


class _Console:
    """A `WatchObserver` for people: messages and progress on stderr, a line of JSON on stdout for each epoch."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        gauge = PredictionGauge()
        quiet = options.quiet
        self._lines = (
            JsonObserver(gauge, sys.stderr, quiet=quiet, seconds=0.0)
            if options.json_logs
            else LineObserver(gauge, sys.stderr, quiet=quiet, seconds=0.0)
        )

    def message(self, text: str) -> None:
        self._lines.message(text)

    def warning(self, text: str) -> None:
        self._lines.warning(in_flags(text, self._options))

    def error(self, text: str) -> None:
        self._lines.error(text)

    def failed(self, error: BatchPredictError) -> int:
        """Say why the watch has ended; the exit status."""
        self.error(f"{_PROGRAM}: {in_flags(str(error), self._options)}")
        return status_of(error)

    def left(self, state: State) -> None:
        """Say which epochs a single pass has not done."""
        left = [*state.open, *state.aside]
        reasons = "; ".join(f"epoch {epoch.number}: {epoch.reason}" for epoch in left[:_NAMED])
        more = f"; and {len(left) - _NAMED:,} more" if len(left) > _NAMED else ""
        self.error(f"{_PROGRAM}: not everything is scored: {in_flags(reasons, self._options)}{more}")

    def interrupted(self) -> None:
        """Say that it ends; from a signal's handler, which may have interrupted whoever writes to stderr."""
        text = f"{_PROGRAM}: {_STOPPING}."
        if self._options.json_logs:
            text = log_line("INFO", text)
        if not self._options.quiet:
            with contextlib.suppress(OSError):
                os.write(2, f"{text}\n".encode())

    @contextlib.contextmanager
    def job(self, epoch: Epoch) -> Iterator[Observer[Snapshot]]:
        del epoch
        options = self._options
        reporter = choose_observer(PredictionGauge(), quiet=options.quiet, json_logs=options.json_logs)
        try:
            yield reporter
        finally:
            reporter.close()

    def finished(self, done: Finished) -> None:
        epoch = done.epoch
        line = {
            "epoch": epoch.number,
            "files": epoch.list.files,
            "bytes": epoch.list.bytes,
            "model": epoch.model,
            "predictionOutput": done.output.to_wire(),
        }
        print(json.dumps(line), flush=True)
        if said := failed_records(done.output):
            self.message(said)
