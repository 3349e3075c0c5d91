"""`batchpredict predict`: one job, here and now."""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import sys
from dataclasses import replace
from types import FrameType
from typing import TYPE_CHECKING

from batchpredict.cli.document import WrongCall, in_flags, read_job
from batchpredict.cli.observers import JsonObserver, LineObserver, TerminalObserver, choose
from batchpredict.cli.parser import USAGE_ERROR
from batchpredict.errors import BatchPredictError, InvalidJob
from batchpredict.runners.flags import WrongFlag

if TYPE_CHECKING:
    from batchpredict.ledger.progress import Snapshot
    from batchpredict.prediction.request import Request
    from batchpredict.runners.interface import Runner

_FAILURE, _INTERRUPTED, _TERMINATED = 1, 130, 143


class _Terminated(BaseException):
    """SIGTERM, as an exception of the main thread."""


def predict(options: argparse.Namespace) -> int:
    """Run the job that the options describe; returns the exit status."""
    # Beam and its dependencies log what they miss, which is no news to the user of this command.
    logging.basicConfig(level=logging.DEBUG if os.environ.get("BATCHPREDICT_DEBUG") else logging.CRITICAL)
    try:
        request = _request(options)
        runner = _runner(options)
    except (WrongCall, InvalidJob, WrongFlag) as error:
        for line in str(error).splitlines():
            print(f"batchpredict predict: {line}", file=sys.stderr)
        return USAGE_ERROR
    from batchpredict.runners.drive import run, silence_threads

    observer = choose(quiet=options.quiet, json_logs=options.json_logs)
    watcher = _Resuming(observer)
    signal.signal(signal.SIGTERM, _on_terminate)
    silence_threads()
    try:
        output = run(runner, request, watcher)
    except (KeyboardInterrupt, _Terminated) as stopped:
        # A second Ctrl-C must not cut this short: it takes no time.
        _ignore_signals()
        observer.error(f"stopped; {watcher.kept()}. Run the same command again to go on.")
        observer.close()
        sys.stdout.flush()
        sys.stderr.flush()
        # Beam's thread may still hold on to something; the workers are gone, and nothing else needs an end.
        os._exit(_INTERRUPTED if isinstance(stopped, KeyboardInterrupt) else _TERMINATED)
    except BatchPredictError as error:
        what = "" if isinstance(error, WrongFlag) else "the job failed: "
        observer.error(f"batchpredict predict: {what}{in_flags(str(error), options)}")
        return USAGE_ERROR if isinstance(error, (InvalidJob, WrongFlag)) else _FAILURE
    finally:
        observer.close()
    if output.error_count:
        observer.message(
            f"{output.error_count:,} of {(output.prediction_count or 0) + output.error_count:,} records failed; "
            f"see {output.output_path}/prediction.errors-*"
        )
    print(json.dumps(output.to_wire(), indent=2))
    return 0


def _runner(options: argparse.Namespace) -> Runner:
    from batchpredict.runners import choose

    runner = choose(options.runner, options.beam_flags)
    runner.check()
    return runner


def _request(options: argparse.Namespace) -> Request:
    job = read_job(options)
    # Only a job that is right is worth the import of what runs it.
    from batchpredict.prediction.request import Request

    request = Request.of(job, overwrite=options.overwrite, fresh=options.fresh)
    # A job's maxWorkerCount is a ceiling; the flag says how many this machine shall start.
    workers = request.spec.max_workers if options.max_worker_count is not None else None
    return replace(request, workers=workers)


def _ignore_signals() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def _on_terminate(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise _Terminated


class _Resuming:
    """Passes progress on, and says at the start what earlier runs have left."""

    def __init__(self, observer: TerminalObserver | LineObserver | JsonObserver) -> None:
        self._observer = observer
        self._last: Snapshot | None = None

    def progress(self, snapshot: Snapshot) -> None:
        if self._last is None and snapshot.splits_done:
            self._observer.message(
                f"resuming: {snapshot.splits_done} of {snapshot.splits} splits are committed already "
                f"({snapshot.tally.records:,} records)"
            )
        self._last = snapshot
        self._observer.progress(snapshot)

    def warning(self, message: str) -> None:
        self._observer.warning(message)

    def message(self, text: str) -> None:
        self._observer.message(text)

    def kept(self) -> str:
        if self._last is None:
            return "nothing was begun"
        return f"{self._last.splits_done} of {self._last.splits} splits are committed and kept"
