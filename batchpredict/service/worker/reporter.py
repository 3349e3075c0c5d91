"""One job's way into the store: its log and what is said of it, in order, from a thread that nobody waits for."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone

from batchpredict.errors import IllegalTransition
from batchpredict.service.queue import lifecycle
from batchpredict.service.queue.lifecycle import LeaseLost, NotNow
from batchpredict.service.store.interface import JobStore, Missing, StoredJob
from batchpredict.service.worker import events as e
from batchpredict.service.worker.joblog import SERVICE, LineBuffer
from batchpredict.service.worker.masking import LineMask, Mask

_log = logging.getLogger(__name__)

# Lines wait so long for others to be stored with them.
_FLUSH_SECONDS = 1.0
# The store may be away: first and longest wait until it is asked again.
_FIRST_WAIT, _LONGEST_WAIT = 0.2, 5.0

Told = e.TellBegin | e.TellReport | e.TellEnd


class Reporter:
    """Tells the store of one run. Nothing here waits for the store but its own thread.

    What the store cannot take now is told again until it does, or says that the lease is not ours any more: then
    nothing more is told.

    Args:
      store: of the job.
      job: as it was claimed.
      mask: for every text.
      settled: called once the end is told, or is nobody's business any more.
    """

    def __init__(self, store: JobStore, job: StoredJob, mask: Mask, settled: Callable[[e.Run], None]) -> None:
        self._store = store
        self._job = job
        self._run = e.Run.of(job)
        self._mask = mask
        self._mask_line = LineMask(mask)
        self._settled = settled
        self._lines = LineBuffer()
        self._waiting: deque[Told | e.Forget] = deque()
        self._more = threading.Condition()
        self._lost = False
        self._thread = threading.Thread(target=self._work, name=f"report-{job.job_id}", daemon=True)

    def start(self) -> None:
        """Begin, with what the original wrote of a job that was created."""
        name = self._job.job_id
        if self._run.generation == 1:
            # They are of the creation, when nobody held the job who could have written them.
            for text in (
                "Validating job requirements...",
                "Job creation request has been successfully validated.",
                f"Job {name} is queued.",
            ):
                self._add(self._job.created, "INFO", SERVICE, text)
        again = "" if self._run.generation == 1 else f", for the {_ordinal(self._run.generation)} time"
        lease = self._job.standing.lease
        where = lease.worker if lease else "a worker"
        self.log("INFO", SERVICE, f"Job {name} is being prepared on {where}{again}.")
        self._thread.start()

    def log(self, severity: str, task: str, text: str) -> None:
        """Add to the job's log; an empty line is none."""
        for line in text.splitlines():
            if line.strip():
                self._add(datetime.now(timezone.utc), severity, task, line)

    def tell(self, told: Told | e.Forget) -> None:
        """Tell the store, after everything that was told and logged before. Nothing is told after the end."""
        with self._more:
            last = self._waiting[-1] if self._waiting else None
            if isinstance(told, e.TellReport) and isinstance(last, e.TellReport):
                # The store is slower than the job: the later report is what counts.
                self._waiting.pop()
                told = replace(told, advanced=told.advanced or last.advanced)
            self._waiting.append(told)
            self._more.notify()

    def _add(self, at: datetime, severity: str, task: str, text: str) -> None:
        self._lines.add((at, severity, task, self._mask_line(task, text)))

    def _work(self) -> None:
        next_flush = 0.0
        while True:
            told = self._next(max(next_flush - time.monotonic(), 0.0))
            if isinstance(told, e.Forget):
                return
            if isinstance(told, e.TellEnd):
                self._say_end(told)
            if isinstance(told, e.TellEnd) or time.monotonic() >= next_flush:
                self._flush(last=isinstance(told, e.TellEnd))
                next_flush = time.monotonic() + _FLUSH_SECONDS
            if told is not None:
                self._persist(told)
            if isinstance(told, e.TellEnd):
                self._settled(self._run)
                return

    def _next(self, seconds: float) -> Told | e.Forget | None:
        """What is to be told next; None if nothing is within so many seconds."""
        with self._more:
            if not self._waiting:
                self._more.wait(seconds)
            return self._waiting.popleft() if self._waiting else None

    def _say_end(self, end: e.TellEnd) -> None:
        texts = {
            "succeed": ("INFO", "Job completed successfully."),
            "fail": ("ERROR", end.text),
            "stop": ("INFO", "Job was cancelled."),
            "release": ("INFO", "The worker shuts down; the job goes on when a worker takes it."),
            "lose": ("WARNING", f"The job's process is lost: {end.text}. What is committed is kept."),
        }
        severity, text = texts[end.event]
        self.log(severity, SERVICE, text)

    def _flush(self, *, last: bool) -> None:
        """Store the lines that wait. Those that the store does not take wait for the next time, if there is one."""
        for _ in range(2 if last else 1):
            lines = self._lines.take()
            if not lines or self._lost:
                return
            try:
                self._store.append_log(*self._run.key, self._run.generation, lines)
            except (LeaseLost, Missing):
                self._lost = True
            except Exception as error:
                _log.warning("the log of %s is not stored: %s", self._run, error)
                self._lines.put_back(lines)
            else:
                return
            time.sleep(_FIRST_WAIT if last else 0.0)

    def _persist(self, told: Told) -> None:
        """Tell until the store has heard it, or does not want to."""
        wait = _FIRST_WAIT
        while not self._lost:
            try:
                self._tell_once(told)
            except (LeaseLost, Missing):
                self._lost = True
            except (IllegalTransition, NotNow) as error:
                _log.error("the store refuses what %s says: %s", self._run, error)
            except Exception as error:
                _log.warning("the store cannot be told of %s: %s", self._run, error)
                if not isinstance(told, e.TellReport):
                    time.sleep(wait * random.uniform(0.5, 1.5))
                    wait = min(wait * 2, _LONGEST_WAIT)
                    continue
                # The next report says the same and more.
            return

    def _tell_once(self, told: Told) -> None:
        generation = self._run.generation
        if isinstance(told, e.TellBegin):
            self._store.tell(*self._run.key, lifecycle.Begin(generation))
        elif isinstance(told, e.TellReport):
            event = lifecycle.Advance(generation, told.advanced)
            self._store.tell(*self._run.key, event, told.output, told.progress)
        else:
            self._store.tell(*self._run.key, ending(told, self._mask), told.output)


def ending(end: e.TellEnd, mask: Mask) -> lifecycle.Event:
    """The event of a run's end, as the queue has it."""
    generation = end.run.generation
    events: dict[str, lifecycle.Event] = {
        "succeed": lifecycle.Succeed(generation),
        "fail": lifecycle.Fail(generation, mask(end.text), end.error),
        "stop": lifecycle.Stop(generation),
        "release": lifecycle.Release(generation),
        "lose": lifecycle.Lose(generation, mask(end.text)),
    }
    return events[end.event]


def _ordinal(number: int) -> str:
    suffix = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{suffix}"
