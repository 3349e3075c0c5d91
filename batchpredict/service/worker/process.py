"""A job process: `python -m batchpredict.service.worker.process FD [RUNNER]`.

It waits for its order on stdin, has the work done, says how it goes on the pipe FD, and ends. With a RUNNER it is
started before there is a job, and makes itself ready for whatever job comes. It takes one. It knows no kind of
work: `launch` finds the work of a job, `runners` carry it.

SIGTERM stops the work; what is committed stays.
"""

from __future__ import annotations

import sys
import time
import traceback

from batchpredict.errors import BatchPredictError, JobFailed, to_document
from batchpredict.launch import Report, silence_logs
from batchpredict.service.worker.child import Pipe, StopAsked, end, stop_no_more, stop_when_terminated
from batchpredict.service.worker.protocol import (
    Begun,
    Failed,
    Message,
    Order,
    Progress,
    Said,
    Stopped,
    Succeeded,
    read_order,
)

# Between two messages how far the work is.
_PROGRESS_SECONDS = 1.0


def main() -> None:
    """Entry point."""
    speaker = Speaker(int(sys.argv[1]))
    silence_logs()
    unready = _make_ready(sys.argv[2]) if len(sys.argv) > 2 else None
    line = sys.stdin.buffer.readline()
    if not line:
        # Nobody wants this process any more.
        end(0)
    stop_when_terminated()
    message: Message
    try:
        if unready is not None:
            raise unready
        message = _done(read_order(line), speaker)
    except StopAsked:
        message = Stopped()
    except BatchPredictError as error:
        message = Failed(to_document(error))
    except Exception as error:
        traceback.print_exc()
        message = Failed(to_document(JobFailed(f"The job failed: {type(error).__name__}: {error}")))
    stop_no_more()
    speaker.say(message)
    end(0)


def _make_ready(runner: str) -> Exception | None:
    """What went wrong with it is the job's to hear, whenever there is one."""
    from batchpredict.launch import make_ready

    try:
        make_ready(runner)
    except Exception as error:
        traceback.print_exc()
        return error
    return None


def _done(order: Order, speaker: Speaker) -> Succeeded:
    from batchpredict.job import Job
    from batchpredict.launch import work_of
    from batchpredict.runners import choose, run, silence_threads

    meeting = (order.rendezvous, order.token) if order.rendezvous else None
    work = work_of(Job.submitted(order.job), workers=order.workers, pinned=order.pinned, meeting=meeting)
    if order.roots:
        from batchpredict.service.worker.containment import refuse_strays

        refuse_strays(work.places(), order.pinned, order.roots, order.excluded)
    runner = choose(order.runner, order.flags)
    runner.check()
    silence_threads()
    try:
        outcome = run(runner, work, speaker)
    except StopAsked:
        speaker.say_what_is_kept()
        raise
    speaker.say_last()
    return Succeeded(outcome.to_wire())


class Speaker:
    """An `Observer` of a work that tells the worker, over a pipe.

    Args:
      handle: file descriptor of the pipe. Nothing that this process starts inherits it.
    """

    def __init__(self, handle: int) -> None:
        self._pipe = Pipe(handle)
        self._next = 0.0
        self._last: Report | None = None

    def progress(self, snapshot: Report) -> None:
        now = time.monotonic()
        if self._last is None:
            self.say(Begun())
            self._say_text("INFO", snapshot.resumed_sentence())
        self._last = snapshot
        if now >= self._next:
            self._next = now + _PROGRESS_SECONDS
            self._report(snapshot)

    def warning(self, message: str) -> None:
        self._say_text("WARNING", message)

    def message(self, text: str, task: str = "") -> None:
        if text:
            self.say(Said("INFO", text, task))

    def say_what_is_kept(self) -> None:
        """Say how far a work had come that was stopped."""
        if self._last is not None:
            self._report(self._last)
            self._say_text("INFO", f"stopped; {self._last.kept_sentence()}")

    def say_last(self) -> None:
        """Say how far a work was that has come to its end: of a short one nothing else may have been said."""
        if self._last is not None:
            self._report(self._last)

    def say(self, message: Message) -> None:
        """Say one thing, whole; from any thread."""
        self._pipe.say(message)

    def _report(self, snapshot: Report) -> None:
        self.say(Progress(snapshot.committed, snapshot.to_output(), snapshot.to_progress()))

    def _say_text(self, severity: str, text: str) -> None:
        if text:
            self.say(Said(severity, text))


if __name__ == "__main__":
    main()
