"""One watch that this worker leads: its process, the jobs of its epochs, and what the store is told of it.

What the process says is dealt with in the order in which it was said, by one thread, which waits for the store as
long as it takes, and for jobs. The process waits for its answers, so no more than a few things are ever open.
"""

from __future__ import annotations

import logging
import queue
import random
import threading
import time
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import msgspec

from batchpredict.epochs import source_of
from batchpredict.errors import BatchPredictError, JobCancelled, RunnerFailed, to_document
from batchpredict.job import Job, State, Watch
from batchpredict.service.queue.leading import Falter, LeadEvent, Refuse, Yield
from batchpredict.service.queue.lifecycle import LeaseLost
from batchpredict.service.store.interface import Missing, Store, StoredJob
from batchpredict.service.store.watching import (
    RUNNING,
    SET_ASIDE,
    EpochReport,
    Note,
    StoredEpoch,
    StoredWatch,
)
from batchpredict.service.worker.masking import Mask
from batchpredict.service.worker.protocol import NotUnderstood
from batchpredict.service.worker.running import JobProcess
from batchpredict.service.worker.watches import protocol
from batchpredict.service.worker.watches.submission import epoch_job, model_of, submit

_log = logging.getLogger(__name__)

# Between two looks how a job is: the first and the longest.
_FIRST_LOOK, _LONGEST_LOOK = 0.2, 2.0
# The store may be away: first and longest wait until it is asked again.
_FIRST_WAIT, _LONGEST_WAIT = 0.2, 5.0
_LONGEST_LINE = 2000


class LedWatch:
    """A `running.Listener` of a watch's process.

    Args:
      store: of the service.
      watch: as it was taken.
      mask: for every text.
      over: called when no process is left and the store was told.
    """

    def __init__(self, store: Store, watch: StoredWatch, mask: Mask, over: Callable[[LedWatch], None]) -> None:
        self.watch = watch
        self.retries = watch.retries
        self._store = store
        self._asked = Watch.submitted({"watchId": watch.watch_id, **watch.new.document})
        self._mask = mask
        self._over = over
        self._process: JobProcess[protocol.WatchMessage] | None = None
        self._said: queue.SimpleQueue[protocol.WatchMessage | None] = queue.SimpleQueue()
        self._ending = threading.Event()
        self._event: LeadEvent | None = None
        self._lost = False
        self._last_line = ""
        self._how = ""
        self._thread = threading.Thread(target=self._work, name=f"watch-{watch.watch_id}", daemon=True)

    @property
    def generation(self) -> int:
        return self.watch.leading.generation

    @property
    def name(self) -> str:
        """For logs."""
        return f"{self.watch.project}/watches/{self.watch.watch_id}/{self.generation}"

    def start(self, process: JobProcess[protocol.WatchMessage], order: protocol.WatchOrder, until: float) -> None:
        """Begin. `until`: when the process ends by itself unless that is moved."""
        self._process = process
        self._thread.start()
        process.give(order, self.name, until)

    def order(self, roots: list[str], excluded: list[str]) -> protocol.WatchOrder:
        """What its process is to do."""
        asked, pinned = self._asked, self.watch.new.pinned
        return protocol.WatchOrder(
            watch_id=self.watch.watch_id,
            source=source_of(Job(job_id=self.watch.watch_id, prediction_input=asked.prediction_input)),
            inputs=list(pinned["inputPaths"]),
            output_path=pinned["outputPath"],
            uri=pinned.get("uri", ""),
            newest_version=bool(asked.newest_version),
            every=asked.effective_every,
            settle=asked.effective_settle,
            max_files=asked.max_files,
            max_bytes=asked.max_bytes,
            changed=asked.effective_changed.value,
            tries=asked.effective_tries,
            roots=roots,
            excluded=excluded,
        )

    def extend(self, until: float) -> None:
        if self._process is not None:
            self._process.extend(until)

    def stop(self) -> None:
        """Ask the process to end; the watch is free for whoever may lead it then."""
        self._event = self._event or Yield(self.generation)
        self._ending.set()
        if self._process is not None:
            self._process.stop()

    def kill(self, *, lost: bool = False) -> None:
        """End the process now. `lost`: another worker leads the watch, or nobody: nothing more is told of it."""
        self._lost = self._lost or lost
        self._ending.set()
        if self._process is not None:
            self._process.kill()

    def retry(self) -> None:
        """Have the process take up what was set aside."""
        if self._process is not None:
            self._process.say(protocol.Retry())

    # What the process says

    def said(self, message: protocol.WatchMessage) -> None:
        self._said.put(message)

    def printed(self, text: str, *, stderr: bool) -> None:
        del stderr
        if text.strip():
            # Of a process that dies the last line says why, as a traceback does.
            self._last_line = text.strip()[:_LONGEST_LINE]
            _log.info("%s: %s", self.name, self._mask(text))

    def misspoke(self, error: NotUnderstood) -> None:
        _log.warning("%s: %s", self.name, error)

    def died(self, how: str) -> None:
        self._how = how
        self._ending.set()
        self._said.put(None)

    # What is done about it, in a thread of its own

    def _work(self) -> None:
        try:
            while (message := self._said.get()) is not None:
                if not self._lost:
                    self._handle(message)
            if not self._lost:
                self._tell_end()
        except Exception:
            _log.exception("%s: its leader has failed", self.name)
            self.kill()
        finally:
            self._over(self)

    def _handle(self, message: protocol.WatchMessage) -> None:
        if isinstance(message, protocol.Stands):
            self._persist(lambda: self._report(_report_of(message)))
        elif isinstance(message, protocol.Noted):
            note = Note(datetime.now(timezone.utc), message.severity, self._mask(message.text))
            self._persist(lambda: self._report(None, note))
        elif isinstance(message, protocol.Refused):
            self._event = Refuse(self.generation, self._mask(message.reason))
        else:
            self._answer(message)

    def _answer(self, message: protocol.AskModel | protocol.Submit) -> None:
        answer: msgspec.Struct
        try:
            if isinstance(message, protocol.AskModel):
                answer = protocol.ModelIs(model_of(self._store, self._asked).uri)
            else:
                ended = self._wait_for(self._submitted(message))
                if ended is None:
                    return
                answer = _ended(ended)
        except BatchPredictError as error:
            answer = protocol.Refusal(to_document(error))
        if self._process is not None:
            self._process.say(answer)

    def _submitted(self, message: protocol.Submit) -> StoredJob:
        """Raises RunnerFailed, StoreFailed, QueueFull: it cannot be created now."""
        job = submit(self._store, epoch_job(self._store, self.watch, self._asked, message), self.watch)
        self._persist(
            lambda: self._store.report_epoch_job(self.watch.number, self.generation, message.epoch, job.job_id)
        )
        return job

    def _wait_for(self, job: StoredJob) -> StoredJob | None:
        """The job when it has ended; None if this watch has to end before.

        Raises:
          RunnerFailed: it is not there any more.
        """
        wait = _FIRST_LOOK
        while not job.standing.end_time:
            if self._ending.wait(wait):
                return None
            wait = min(wait * 1.5, _LONGEST_LOOK)
            try:
                job = self._store.job(job.project, job.job_id)
            except Missing as error:
                raise RunnerFailed(f"The job {job.job_id} was deleted before its end was seen.") from error
            except BatchPredictError as error:
                _log.warning("%s: the store does not answer: %s", self.name, error)
        return job

    def _tell_end(self) -> None:
        event = self._event
        if event is None:
            why = f": {self._mask(self._last_line)}" if self._last_line else ""
            event = Falter(self.generation, f"The process of the watch was lost: {self._how}{why}")
        told: LeadEvent = event
        self._persist(
            lambda: self._store.tell_watch(*self.watch.key, told, number=self.watch.number), to_the_end=True
        )

    def _report(self, report: EpochReport | None, *notes: Note) -> None:
        self._store.report_epochs(self.watch.number, self.generation, report, notes)

    def _persist(self, tell: Callable[[], Any], *, to_the_end: bool = False) -> None:
        """Tell the store until it has heard it, or does not want to.

        Args:
          to_the_end: some more times also where the watch has to end; else once more.
        """
        wait, left = _FIRST_WAIT, 10 if to_the_end else 1
        while not self._lost:
            try:
                tell()
                return
            except (LeaseLost, Missing):
                self.kill(lost=True)
                return
            except Exception as error:
                _log.warning("%s: the store cannot be told: %s", self.name, error)
                if self._ending.is_set():
                    left -= 1
                    if left < 0:
                        return
            time.sleep(wait * random.uniform(0.5, 1.5))
            wait = min(wait * 2, _LONGEST_WAIT)


def _report_of(message: protocol.Stands) -> EpochReport:
    return EpochReport(
        message.last,
        [
            StoredEpoch(
                epoch=one.epoch,
                state=SET_ASIDE if one.set_aside else RUNNING,
                files=one.files,
                bytes=one.bytes,
                model=one.model,
                failures=one.failures,
                message=one.reason,
            )
            for one in message.epochs
        ],
    )


def _ended(job: StoredJob) -> protocol.JobEnded | protocol.Refusal:
    standing = job.standing
    if standing.state is State.SUCCEEDED:
        return protocol.JobEnded(dict(job.output or {}))
    if standing.state is State.CANCELLED:
        error = to_document(JobCancelled(standing.message or "The job was cancelled."))
    else:
        error = {"error": standing.error or "JobFailed", "message": standing.message}
    return protocol.Refusal(error)
