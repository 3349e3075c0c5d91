"""Inputs that change while they are read: a result is of the files that were planned, or there is none."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor

from batchpredict import storage
from batchpredict.errors import NoInput
from batchpredict.formats import Segment

# Questions to a store at a time; a split of many small files has one for each.
_CHECKERS = 16


class UnchangedSegments:
    """Checks that segments are still what was planned; on a store in the background, as a question takes 50 ms."""

    def __init__(self) -> None:
        self._threads: ThreadPoolExecutor | None = None
        self._answers: list[Future[None]] = []

    def check(self, segment: Segment) -> None:
        """Raises NoInput, now or in `done`, if a file has another size or version than was planned."""
        if storage.is_local(segment.path):
            check_unchanged(segment)
            return
        self._threads = self._threads or ThreadPoolExecutor(_CHECKERS, "versions")
        self._answers.append(self._threads.submit(check_unchanged, segment))

    def done(self) -> None:
        """Wait for all answers, the first bad one of which is raised."""
        for answer in self._answers:
            answer.result()

    def close(self) -> None:
        """Ask no more questions, and wait for those that are under way."""
        if self._threads is not None:
            self._threads.shutdown(cancel_futures=True)


def check_unchanged(segment: Segment) -> None:
    """Raises NoInput if a segment's file has another size or version than was planned, or cannot be read."""
    try:
        now = storage.info(segment.path)
    except OSError as error:
        raise unreadable(segment, error) from error
    if now.size != segment.size:
        # Told in bytes, as a file that was cut off is looked for by its size.
        change = f"it had {segment.size} bytes and has {now.size} now"
    elif segment.version and now.version != segment.version:
        change = "its content is another"
    else:
        return
    raise NoInput(
        f"inputPaths: '{segment.path}' has changed since the job was planned ({change}); run the job again, which "
        "makes it a job over what is there now."
    )


def unreadable(segment: Segment, error: OSError) -> NoInput:
    """What ends the job where a segment's file cannot be read."""
    return NoInput(f"inputPaths: '{segment.path}' cannot be read: {error}")
