"""One work on any runner, from submission to its end, with somebody watching."""

from __future__ import annotations

import contextlib
import logging
import threading

from batchpredict.errors import BatchPredictError, RunnerFailed
from batchpredict.runners.interface import Execution, Runner
from batchpredict.runners.work import Observer, R, S, Unobserved, Work

_log = logging.getLogger(__name__)

# Seconds between two looks how far the work is.
_POLL_SECONDS = 0.25


def run(runner: Runner, work: Work[S, R], observer: Observer[S] | None = None) -> R:
    """Have a work done and wait for its end.

    An exception from outside, a KeyboardInterrupt for instance, cancels it; what is committed stays.

    Args:
      runner: takes the work.
      work: of any kind.
      observer: told of progress and warnings.

    Raises:
      JobFailed: the job cannot succeed, and why.
      InvalidJob: it contradicts its model.
      JobCancelled: somebody else stopped it.
      RunnerFailed: also for what a store refuses at a place where nobody can do without it.
    """
    try:
        return _run(runner, work, observer or Unobserved())
    except OSError as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise RunnerFailed(
            f"What became of the job cannot be told: {reason}. What is committed is kept; run the same command "
            "again to go on from there, or to be told that it is done."
        ) from error


def _run(runner: Runner, work: Work[S, R], watcher: Observer[S]) -> R:
    execution = runner.submit(work, watcher)
    try:
        try:
            while not execution.ended(_POLL_SECONDS):
                _show(execution, watcher)
        except BaseException:
            said = execution.cancel()
            # What was committed up to the last moment is kept, and whoever asked for the end is told how much.
            _show(execution, watcher, at_once=True)
            if said:
                watcher.message(said)
            raise
        return execution.output()
    finally:
        execution.close()


def silence_threads() -> None:
    """Have what Beam's threads die of logged, not printed: they do when a job is stopped, and nobody can use it."""

    def log(died: threading.ExceptHookArgs) -> None:
        _log.debug("a thread died", exc_info=died.exc_value)

    threading.excepthook = log


def _show(execution: Execution[S, R], watcher: Observer[S], *, at_once: bool = False) -> None:
    # What cannot be read now may be read the next time; if not, publishing will say so.
    with contextlib.suppress(BatchPredictError, OSError):
        snapshot = execution.snapshot(at_once=at_once)
        if snapshot is not None:
            watcher.progress(snapshot)
