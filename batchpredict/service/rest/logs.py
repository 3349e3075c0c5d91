"""The log of a job as it grows: one JSON object a line, until the job has ended.

    {"number": 7, "timestamp": "2017-12-13T01:21:04.250Z", "severity": "INFO", "task": "service", "message": "…"}

`number` counts the lines of a job from 1; a gap is where lines were dropped because the log was too long. An empty
line is no line of the log: it only keeps the connection alive while there is nothing to say.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio
from anyio import to_thread

from batchpredict.job import TERMINAL, to_timestamp
from batchpredict.service.rest.writing import encode
from batchpredict.service.store.interface import JobStore, LogLine, Missing, StoreFailed

MEDIA_TYPE = "application/x-ndjson; charset=UTF-8"

_PAGE = 1_000
# A line is seen after 250 ms on average, for two short reads of the database a second and follower.
_POLL = 0.5
# Proxies give up on a connection that is silent for a minute.
_ALIVE = 15.0


def line(entry: LogLine) -> dict[str, Any]:
    """A line of the log on the wire."""
    return {
        "number": entry.number,
        "timestamp": to_timestamp(entry.at),
        "severity": entry.severity,
        "task": entry.task,
        "message": entry.text,
    }


async def stream(
    store: JobStore, project: str, job_id: str, *, after: int, follow: bool, stopping: Callable[[], bool]
) -> AsyncIterator[bytes]:
    """The lines after `after`; with `follow` until the job has ended and all of it was given.

    Args:
      stopping: whether the service is to end: the stream ends then too, and the client comes back.
    """
    spoken = time.monotonic()
    while not stopping():
        try:
            ended, entries = await to_thread.run_sync(_page, store, project, job_id, after)
        except (Missing, StoreFailed):
            # The answer has begun, so there is no other way to say that it is not complete than to end it.
            return
        if entries:
            after = entries[-1].number
            spoken = time.monotonic()
            yield b"".join(encode(line(entry)) + b"\n" for entry in entries)
        elif ended or not follow:
            return
        elif time.monotonic() - spoken > _ALIVE:
            spoken = time.monotonic()
            yield b"\n"
        if len(entries) < _PAGE and follow and not ended:
            await anyio.sleep(_POLL)


def _page(store: JobStore, project: str, job_id: str, after: int) -> tuple[bool, list[LogLine]]:
    # The state first: a job that had ended before its log was read has nothing more to say.
    ended = store.job(project, job_id).standing.state in TERMINAL
    return ended, store.log(project, job_id, after=after, limit=_PAGE)
