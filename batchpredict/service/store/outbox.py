"""Webhook deliveries that are due, and the workers that are there."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Connection, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from batchpredict.service.store.database import Database, Transaction
from batchpredict.service.store.interface import Delivery, Worker
from batchpredict.service.store.tables import outbox, workers

_FORGOTTEN = timedelta(days=1)
"""Every start of a worker has a name of its own."""


class SqlOutbox:
    """`OutboxStore` in SQL."""

    _database: Database

    def due(self, limit: int, lease: timedelta) -> list[Delivery]:
        def any_due(connection: Connection) -> bool:
            first = select(outbox.c.number).where(outbox.c.due <= self._database.now(connection)).limit(1)
            return connection.execute(first).first() is not None

        def take(transaction: Transaction) -> list[Delivery]:
            now = transaction.now()
            ready = (
                select(outbox)
                .where(outbox.c.due <= now)
                .order_by(outbox.c.due, outbox.c.number)
                .limit(limit)
                .with_for_update(skip_locked=True)
            )
            rows = transaction.connection.execute(ready).all()
            if rows:
                mine = outbox.c.number.in_([row.number for row in rows])
                transaction.connection.execute(update(outbox).where(mine).values(due=now + lease))
            return [Delivery(row.number, row.project, row.job_id, row.url, row.body, row.attempts) for row in rows]

        if not self._database.read(any_due):
            return []
        return self._database.write(take)

    def delivered(self, number: int) -> None:
        self._database.write(lambda to: to.connection.execute(delete(outbox).where(outbox.c.number == number)))

    def postpone(self, number: int, wait: timedelta) -> None:
        def later(transaction: Transaction) -> None:
            transaction.connection.execute(
                update(outbox)
                .where(outbox.c.number == number, outbox.c.due.is_not(None))
                .values(due=transaction.now() + wait, attempts=outbox.c.attempts + 1)
            )

        self._database.write(later)

    def give_up(self, number: int, reason: str) -> None:
        def end(transaction: Transaction) -> None:
            transaction.connection.execute(
                update(outbox)
                .where(outbox.c.number == number)
                .values(due=None, attempts=outbox.c.attempts + 1, reason=reason)
            )

        self._database.write(end)

    def report_worker(self, worker: Worker) -> None:
        def report(transaction: Transaction) -> None:
            # By this clock, which `workers` goes by too.
            now = transaction.now()
            values = {"host": worker.host, "workers": worker.workers, "jobs": worker.jobs, "seen": now}
            transaction.connection.execute(delete(workers).where(workers.c.seen < now - _FORGOTTEN))
            insert = postgresql.insert if transaction.postgresql else sqlite.insert
            transaction.connection.execute(
                insert(workers)
                .values(worker=worker.worker, **values)
                .on_conflict_do_update(index_elements=[workers.c.worker], set_=values)
            )

        self._database.write(report)

    def workers(self, *, seen_within: timedelta) -> list[Worker]:
        def read(connection: Connection) -> list[Worker]:
            recent = self._database.now(connection) - seen_within
            statement = select(workers).where(workers.c.seen >= recent).order_by(workers.c.worker)
            return [
                Worker(row.worker, row.host, row.workers, row.jobs, row.seen)
                for row in connection.execute(statement)
            ]

        return self._database.read(read)
