"""The log of a job, or what one of its tasks has written, a page at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from batchpredict.service.store.interface import LogLine, Store

PAGE = 500
"""Lines of the log that one answer has."""


@dataclass(frozen=True)
class LogPage:
    """A page of a log.

    Attributes:
      looked: number of the last line that was looked at, from which the next page goes on.
      more: there may be lines behind it.
    """

    lines: Sequence[LogLine]
    looked: int
    more: bool


def log_page(store: Store, project: str, job_id: str, after: int, task: str = "") -> LogPage:
    """The lines behind the one of a number. Raises Missing.

    Args:
      task: only lines of this one, or of all below it: "trial-3" has those of "trial-3/master-replica-0". The whole
        log is looked through for them; the store keeps ten thousand lines of it.
    """
    found: list[LogLine] = []
    while True:
        read = store.log(project, job_id, after=after, limit=PAGE)
        for line in read:
            if not task or line.task == task or line.task.startswith(f"{task}/"):
                found.append(line)
            after = line.number
            if len(found) == PAGE:
                return LogPage(found, after, more=True)
        if len(read) < PAGE:
            return LogPage(found, after, more=False)
