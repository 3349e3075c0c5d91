"""Logs of jobs: appended by whoever holds the lease, bounded, read from either end."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, delete, func, insert, or_, select

from batchpredict.service.queue.lifecycle import LeaseLost
from batchpredict.service.store.columns import storable
from batchpredict.service.store.database import Database, Transaction
from batchpredict.service.store.interface import LogLine
from batchpredict.service.store.jobs import lock_job, number_of
from batchpredict.service.store.tables import job_logs

MOST_LINES = 10_000
MOST_BYTES = 10 * 2**20
LONGEST_LINE = 64 * 2**10
"""Bytes of a line that are kept; Cloud Logging kept 256 KiB of a whole entry."""

_CUT = " … (cut)"


class SqlLogs:
    """The part of `JobStore` that is about logs."""

    _database: Database

    def append_log(
        self, project: str, job_id: str, generation: int, lines: Sequence[tuple[datetime, str, str, str]]
    ) -> None:
        def append(transaction: Transaction) -> None:
            job = lock_job(transaction, project, job_id)
            if job.lease_worker is None or job.generation != generation:
                raise LeaseLost(
                    f"The lease of generation {generation} is not live; the last one given is {job.generation}."
                )
            _append(transaction.connection, job.sequence, lines)

        if lines:
            self._database.write(append)

    def log(
        self, project: str, job_id: str, *, after: int = 0, limit: int = 1000, latest: bool = False
    ) -> list[LogLine]:
        def read(connection: Connection) -> list[LogLine]:
            sequence = number_of(connection, project, job_id)
            order = job_logs.c.number.desc() if latest else job_logs.c.number
            lines = (
                select(job_logs.c.number, job_logs.c.at, job_logs.c.severity, job_logs.c.task, job_logs.c.text)
                .where(job_logs.c.sequence == sequence, job_logs.c.number > after)
                .order_by(order)
                .limit(limit)
            )
            found = [LogLine(*row) for row in connection.execute(lines)]
            return found[::-1] if latest else found

        return self._database.read(read)


def _append(connection: Connection, sequence: int, lines: Sequence[tuple[datetime, str, str, str]]) -> None:
    last = select(func.max(job_logs.c.number), func.max(job_logs.c.end)).where(job_logs.c.sequence == sequence)
    number, end = connection.execute(last).one()
    number, end = number or 0, end or 0
    rows: list[dict[str, Any]] = []
    for at, severity, task, line in lines:
        kept, size = _kept(line)
        number, end = number + 1, end + size
        rows.append(
            {
                "sequence": sequence,
                "number": number,
                "at": at,
                "severity": severity,
                "task": task,
                "text": kept,
                "end": end,
            }
        )
    # The ends rise with the numbers; so both bounds cut off the front, and each has an index.
    oldest, first = number - MOST_LINES, end - (MOST_BYTES - LONGEST_LINE)
    too_old = or_(job_logs.c.number <= oldest, job_logs.c.end <= first)
    connection.execute(delete(job_logs).where(and_(job_logs.c.sequence == sequence, too_old)))
    connection.execute(
        insert(job_logs),
        [row for row in rows if row["number"] > oldest and row["end"] > first],
    )


def _kept(line: str) -> tuple[str, int]:
    """What is kept of a line, and what it takes, with its end."""
    data = storable(line).encode()
    if len(data) > LONGEST_LINE:
        data = data[: LONGEST_LINE - len(_CUT.encode())].decode(errors="ignore").encode() + _CUT.encode()
    return data.decode(), len(data) + 1
