"""The queue as workers see it: what waits, what runs, claims, renewals, and leases that have ended."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from datetime import timedelta

from sqlalchemy import Connection, bindparam, func, or_, select, text, update

from batchpredict.service.queue.fairness import NO_LIMITS, Limits, Usage, Waiting
from batchpredict.service.queue.lifecycle import LONGEST_WAIT, Claim, Expire, NotNow, Renew, Standing, step
from batchpredict.service.store.database import Database, Transaction
from batchpredict.service.store.interface import Missing, StoredJob
from batchpredict.service.store.jobs import advance_job, lock_job, projects_of
from batchpredict.service.store.rows import select_jobs, standing_columns, standing_of, stored_job
from batchpredict.service.store.tables import IN_QUEUE, jobs


class SqlClaims:
    """The part of `JobStore` that is about the queue and its leases."""

    _database: Database

    def waiting(self, *, per_project: int = 10) -> list[Waiting]:
        def read(connection: Connection) -> list[Waiting]:
            now = self._database.now(connection)
            found: list[Waiting] = []
            for project in projects_of(connection, jobs.c.project, IN_QUEUE):
                oldest = (
                    select(jobs.c.project, jobs.c.job_id, jobs.c.sequence, jobs.c.workers)
                    .where(jobs.c.project == project, IN_QUEUE)
                    .where(
                        # As `lifecycle.may_be_claimed` has it.
                        or_(
                            jobs.c.not_before.is_(None),
                            jobs.c.not_before <= now,
                            jobs.c.not_before > now + LONGEST_WAIT,
                        )
                    )
                    .order_by(jobs.c.sequence)
                    .limit(per_project)
                )
                found += [Waiting(*row) for row in connection.execute(oldest)]
            return found

        return self._database.read(read)

    def usage(self) -> Mapping[str, Usage]:
        statement = (
            select(jobs.c.project, func.count(), func.sum(jobs.c.lease_workers))
            .where(jobs.c.lease_worker.is_not(None))
            .group_by(jobs.c.project)
        )
        rows = self._database.read(lambda connection: connection.execute(statement).all())
        return {project: Usage(count, int(workers)) for project, count, workers in rows}

    def claim(
        self,
        project: str,
        job_id: str,
        worker: str,
        lease: timedelta,
        workers: int,
        limits: Limits = NO_LIMITS,
    ) -> StoredJob | None:
        def take(transaction: Transaction) -> StoredJob | None:
            if limits != NO_LIMITS:
                _wait_for_others(transaction, project)
            try:
                # Who is changing it now is faster than we are.
                row = lock_job(transaction, project, job_id, skip_locked=True)
            except Missing:
                return None
            if transaction.again and row.lease_worker == worker:
                return stored_job(row)
            if limits != NO_LIMITS and not limits.allow(_used(transaction.connection, project), workers):
                return None
            try:
                return advance_job(transaction, row, Claim(worker, transaction.now() + lease, workers))
            except NotNow:
                return None

        return self._database.write(take)

    def renew(self, worker: str, lease: timedelta) -> dict[tuple[str, str], Standing]:
        def extend(transaction: Transaction) -> dict[tuple[str, str], Standing]:
            held = select(jobs).where(jobs.c.lease_worker == worker).order_by(jobs.c.sequence).with_for_update()
            rows = transaction.connection.execute(held).all()
            now = transaction.now()
            standings = [step(standing_of(row), Renew(row.generation, now + lease), now) for row in rows]
            if rows:
                transaction.connection.execute(
                    update(jobs).where(jobs.c.sequence == bindparam("number")),
                    [
                        {"number": row.sequence, **standing_columns(standing)}
                        for row, standing in zip(rows, standings, strict=True)
                    ],
                )
            return {(row.project, row.job_id): standing for row, standing in zip(rows, standings, strict=True)}

        return self._database.write(extend)

    def expire(self) -> list[StoredJob]:
        over = jobs.c.lease_worker.is_not(None)

        def any_over(connection: Connection) -> bool:
            first = (
                select(jobs.c.sequence).where(over, jobs.c.lease_until <= self._database.now(connection)).limit(1)
            )
            return connection.execute(first).first() is not None

        def take_back(transaction: Transaction) -> list[StoredJob]:
            ended = (
                select_jobs()
                .where(over, jobs.c.lease_until <= transaction.now())
                .order_by(jobs.c.sequence)
                # What somebody is renewing or ending at this moment is not forgotten.
                .with_for_update(of=jobs, skip_locked=True)
            )
            taken = []
            for row in transaction.connection.execute(ended).all():
                with contextlib.suppress(NotNow):
                    taken.append(advance_job(transaction, row, Expire()))
            return taken

        # There is seldom one, and to look disturbs no writer.
        if not self._database.read(any_over):
            return []
        return self._database.write(take_back)


def _wait_for_others(transaction: Transaction, project: str) -> None:
    """Until the transaction ends, nobody else claims anything in this project under a limit.

    SQLite has but one writer anyway.
    """
    if transaction.postgresql:
        transaction.connection.execute(
            text("SELECT pg_advisory_xact_lock(hashtextextended(:project, 17))"), {"project": project}
        )


def _used(connection: Connection, project: str) -> Usage:
    statement = select(func.count(), func.coalesce(func.sum(jobs.c.lease_workers), 0)).where(
        jobs.c.project == project, jobs.c.lease_worker.is_not(None)
    )
    count, workers = connection.execute(statement).one()
    return Usage(count, int(workers))
