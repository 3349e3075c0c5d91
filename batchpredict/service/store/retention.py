"""Deletes what has ended long ago: jobs, their logs, operations, and deliveries that were given up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import Connection, Delete, and_, delete, exists, or_, select

from batchpredict.job import to_datetime
from batchpredict.resources import JobName
from batchpredict.service.store.database import Database, Transaction
from batchpredict.service.store.interface import Keep
from batchpredict.service.store.tables import (
    job_documents,
    job_history,
    job_labels,
    job_logs,
    jobs,
    operations,
    outbox,
    policies,
    rendezvous,
    rendezvous_documents,
    watch_epochs,
)
from batchpredict.service.store.watching import SUCCEEDED

_MOST = 100
"""Of each kind at a time. A log is up to 10,000 rows, so each has a transaction of its own."""


class SqlRetention:
    """`RetentionStore` in SQL. Several processes may be at it: what is gone already is deleted by nobody."""

    _database: Database

    def forget(self, keep: Keep) -> int:
        kinds: Sequence[tuple[timedelta | None, Callable[[datetime], int]]] = (
            (keep.jobs, self._forget_jobs),
            (keep.jobs, self._forget_epochs),
            (keep.logs, self._forget_logs),
            (keep.rest, self._forget_operations),
            (keep.rest, self._forget_deliveries),
        )
        now = self._database.now()
        return sum(forget(now - kept) for kept, forget in kinds if kept is not None)

    def _forget_jobs(self, before: datetime) -> int:
        old = select(jobs.c.sequence, jobs.c.project, jobs.c.job_id).where(jobs.c.end_time < before).limit(_MOST)
        found = self._database.read(lambda connection: connection.execute(old).all())
        for sequence, project, job_id in found:
            self._database.write(partial(_remove_job, sequence=sequence, name=str(JobName(project, job_id))))
        return len(found)

    def _forget_epochs(self, before: datetime) -> int:
        over = (watch_epochs.c.ended < before, watch_epochs.c.state == SUCCEEDED)
        old = select(watch_epochs.c.watch, watch_epochs.c.epoch).where(*over).limit(_MOST)
        found = self._database.read(lambda connection: connection.execute(old).all())
        for watch, epoch in found:
            gone = delete(watch_epochs).where(watch_epochs.c.watch == watch, watch_epochs.c.epoch == epoch, *over)
            self._database.write(partial(_delete, statement=gone))
        return len(found)

    def _forget_logs(self, before: datetime) -> int:
        has_log = exists().where(job_logs.c.sequence == jobs.c.sequence)
        old = select(jobs.c.sequence).where(jobs.c.end_time < before, has_log).limit(_MOST)
        found = self._database.read(lambda connection: connection.execute(old).scalars().all())
        for sequence in found:
            gone = delete(job_logs).where(job_logs.c.sequence == sequence)
            self._database.write(partial(_delete, statement=gone))
        return len(found)

    def _forget_operations(self, before: datetime) -> int:
        def old(connection: Connection) -> list[int]:
            oldest = (
                select(operations.c.number, operations.c.document)
                .where(operations.c.done)
                .order_by(operations.c.number)
                .limit(_MOST)
            )
            return [row.number for row in connection.execute(oldest) if _ended(row.document, before)]

        found = self._database.read(old)
        if found:
            gone = delete(operations).where(operations.c.number.in_(found))
            self._database.write(partial(_delete, statement=gone))
        return len(found)

    def _forget_deliveries(self, before: datetime) -> int:
        # When it was given up is written nowhere; that is at most a day after its job's end, or before it.
        job = and_(jobs.c.project == outbox.c.project, jobs.c.job_id == outbox.c.job_id)
        over = or_(jobs.c.sequence.is_(None), jobs.c.end_time < before)
        old = select(outbox.c.number).outerjoin(jobs, job).where(outbox.c.due.is_(None), over).limit(_MOST)
        found = self._database.read(lambda connection: connection.execute(old).scalars().all())
        if found:
            gone = delete(outbox).where(outbox.c.number.in_(found))
            self._database.write(partial(_delete, statement=gone))
        return len(found)


def _remove_job(transaction: Transaction, sequence: int, name: str) -> None:
    # The job first, so that whoever changes its labels at this moment is waited for.
    for table in (jobs, job_documents, job_labels, job_history, job_logs, rendezvous, rendezvous_documents):
        _delete(transaction, delete(table).where(table.c.sequence == sequence))
    # A job that gets the id later is another one, and nobody's but its creator's.
    _delete(transaction, delete(policies).where(policies.c.resource == name))


def _delete(transaction: Transaction, statement: Delete) -> None:
    transaction.connection.execute(statement)


def _ended(document: dict[str, Any], before: datetime) -> bool:
    end = document.get("metadata", {}).get("endTime")
    return isinstance(end, str) and to_datetime(end) < before
