"""Passes on what one job process says: to the machine, and to the log of its job."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from batchpredict.errors import BatchPredictError, JobFailed, from_document
from batchpredict.service.worker import events as e
from batchpredict.service.worker import protocol
from batchpredict.service.worker.joblog import MASTER, SERVICE, severity_of
from batchpredict.service.worker.reporter import Reporter

# Lines that a process without a job may print before they are dropped: it imports, no more.
_EARLY_LINES = 100


class Listening:
    """A `running.Listener` that hears a process also before there is a job for it.

    Args:
      put: gives events to the machine.
    """

    def __init__(self, put: Callable[[e.Event], None]) -> None:
        self._put = put
        self._lock = threading.Lock()
        self._job: tuple[e.Run, Reporter] | None = None
        self._early: list[tuple[str, str, str]] = []
        self._how: str | None = None

    def attach(self, run: e.Run, reporter: Reporter) -> None:
        """From now on, and what was printed before, it is of this job."""
        with self._lock:
            self._job = run, reporter
            for line in self._early:
                reporter.log(*line)
            if self._how is not None:
                self._put(e.Died(run, self._how))

    def said(self, message: protocol.Message) -> None:
        job = self._job
        if job is None:
            return
        run, reporter = job
        if isinstance(message, protocol.Begun):
            self._put(e.Began(run))
        elif isinstance(message, protocol.Progress):
            self._put(e.Reported(run, message.committed, message.output, message.progress))
        elif isinstance(message, protocol.Said):
            reporter.log(message.severity, message.task or SERVICE, message.text)
        elif isinstance(message, protocol.Succeeded):
            self._put(e.Ended(run, e.Done(message.output)))
        elif isinstance(message, protocol.Failed):
            error = error_of(message.error)
            self._put(e.Ended(run, e.Refused(str(error), type(error).__name__)))
        else:
            self._put(e.Ended(run, e.Stopped()))

    def printed(self, text: str, *, stderr: bool) -> None:
        self._log(severity_of(text, stderr=stderr), MASTER, text)

    def misspoke(self, error: protocol.NotUnderstood) -> None:
        self._log("WARNING", SERVICE, str(error))

    def died(self, how: str) -> None:
        with self._lock:
            self._how = how
            self._put(e.SpareDied() if self._job is None else e.Died(self._job[0], how))

    def _log(self, severity: str, task: str, text: str) -> None:
        with self._lock:
            if self._job is not None:
                self._job[1].log(severity, task, text)
            elif len(self._early) < _EARLY_LINES:
                self._early.append((severity, task, text))


def error_of(document: dict[str, Any]) -> BatchPredictError:
    """What a job says of its failure: its model may have had a hand in that, so it may be anything."""
    try:
        error = from_document(document)
        str(error)
    except Exception:
        return JobFailed("The job failed, and its process did not say why.")
    return error
