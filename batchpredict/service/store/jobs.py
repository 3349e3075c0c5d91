"""Jobs as clients and workers see them: created, read, listed, labelled, and told what happened to them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from batchpredict.job import State
from batchpredict.service.filters import Filter
from batchpredict.service.queue.lifecycle import Cancel, Event, Finished, Standing, step
from batchpredict.service.store.columns import storable
from batchpredict.service.store.creation import Creation, create, label_rows
from batchpredict.service.store.database import Database, Transaction, Unreachable
from batchpredict.service.store.group_commit import GroupCommit
from batchpredict.service.store.interface import Change, Missing, NewJob, StoredJob
from batchpredict.service.store.labels import text_of
from batchpredict.service.store.replacement import Replacement
from batchpredict.service.store.resource import job_resource
from batchpredict.service.store.rows import select_jobs, standing_columns, standing_of, stored_job
from batchpredict.service.store.tables import (
    IN_QUEUE,
    job_documents,
    job_history,
    job_labels,
    jobs,
    models,
    outbox,
    rendezvous,
    rendezvous_documents,
    watches,
)
from batchpredict.service.store.where import page_of


class SqlJobs:
    """The part of `JobStore` that is about single jobs and lists of them."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._creations: GroupCommit[Creation, StoredJob] = GroupCommit(
            lambda creations: create(database, creations), (Unreachable,)
        )

    def now(self) -> datetime:
        return self._database.now()

    def job_coming(self) -> AbstractContextManager[None]:
        return self._creations.announced()

    def create_job(self, new: NewJob, *, queue_limit: int | None = None) -> StoredJob:
        return self._creations(Creation(new, queue_limit))

    def job(self, project: str, job_id: str) -> StoredJob:
        def read(connection: Connection) -> StoredJob:
            found = stored_job(_row(connection, project, job_id))
            if found.standing.state is not State.QUEUED:
                return found
            ahead = select(func.count()).where(
                jobs.c.project == project, IN_QUEUE, jobs.c.sequence <= found.sequence
            )
            return replace(found, position=connection.execute(ahead).scalar_one())

        return self._database.read(read)

    def jobs(
        self, project: str, *, where: Filter | None = None, size: int = 20, before: int | None = None
    ) -> tuple[list[StoredJob], int | None]:
        rows = self._database.read(
            lambda connection: connection.execute(page_of(connection, project, where, size + 1, before)).all()
        )
        page = [stored_job(row) for row in rows[:size]]
        return page, page[-1].sequence if len(rows) > size else None

    def patch_job(self, project: str, job_id: str, labels: Mapping[str, str], etag: str | None) -> StoredJob:
        replacement = Replacement(etag, f'the job "{job_id}"')
        fresh = replacement.etag

        def patch(transaction: Transaction) -> StoredJob:
            row = lock_job(transaction, project, job_id)
            if replacement.done(transaction, row.etag):
                return stored_job(row)
            connection = transaction.connection
            mine = jobs.c.sequence == row.sequence
            connection.execute(update(jobs).where(mine).values(etag=fresh, labels=text_of(labels)))
            connection.execute(
                update(job_documents).where(job_documents.c.sequence == row.sequence).values(labels=dict(labels))
            )
            connection.execute(delete(job_labels).where(job_labels.c.sequence == row.sequence))
            if labels:
                connection.execute(insert(job_labels), label_rows(row.sequence, project, labels))
            found = stored_job(row)
            return replace(found, etag=fresh, new=replace(found.new, labels=dict(labels)))

        return self._database.write(patch)

    def tell(
        self,
        project: str,
        job_id: str,
        event: Event,
        output: Mapping[str, Any] | None = None,
        progress: Mapping[str, Any] | None = None,
    ) -> StoredJob:
        def apply(transaction: Transaction) -> StoredJob:
            row = lock_job(transaction, project, job_id)
            return advance_job(transaction, row, event, output, progress)

        return self._database.write(apply)

    def cancel(self, project: str, job_id: str, event: Cancel) -> StoredJob:
        def apply(transaction: Transaction) -> StoredJob:
            row = lock_job(transaction, project, job_id)
            try:
                return advance_job(transaction, row, event)
            except Finished:
                # It may be this very cancel that ended it.
                if transaction.again and row.state == State.CANCELLED.value and row.message == event.reason:
                    return stored_job(row)
                raise

        return self._database.write(apply)

    def history(self, project: str, job_id: str) -> list[Change]:
        def read(connection: Connection) -> list[Change]:
            sequence = number_of(connection, project, job_id)
            steps = select(job_history).where(job_history.c.sequence == sequence).order_by(job_history.c.number)
            return [
                Change(
                    project,
                    job_id,
                    row.generation,
                    State(row.before) if row.before is not None else None,
                    State(row.after),
                    row.at,
                    row.message,
                )
                for row in connection.execute(steps)
            ]

        return self._database.read(read)

    def counts(self) -> Mapping[State, int]:
        statement = select(jobs.c.state, func.count()).group_by(jobs.c.state)
        rows = self._database.read(lambda connection: connection.execute(statement).all())
        return {State(state): count for state, count in rows}

    def projects(self) -> list[str]:
        def read(connection: Connection) -> list[str]:
            columns = (jobs.c.project, models.c.project, watches.c.project)
            return sorted({name for column in columns for name in projects_of(connection, column)})[:1000]

        return self._database.read(read)


def advance_job(
    transaction: Transaction,
    row: Row[Any],
    event: Event,
    output: Mapping[str, Any] | None = None,
    progress: Mapping[str, Any] | None = None,
) -> StoredJob:
    """Apply an event to a job whose row is locked; with it its history and its webhook's delivery."""
    before = standing_of(row)
    after = step(before, event, transaction.now())
    connection = transaction.connection
    mine = jobs.c.sequence == row.sequence
    if after != before:
        connection.execute(update(jobs).where(mine).values(**standing_columns(after)))
    said: dict[str, Any] = {"output": output, "progress": progress}
    said = {name: dict(value) for name, value in said.items() if value is not None}
    if said:
        connection.execute(update(job_documents).where(job_documents.c.sequence == row.sequence).values(**said))
    found: StoredJob = replace(stored_job(row), standing=after, **said)
    if after.state is not before.state:
        _record(transaction, found, before)
    if after.end_time is not None:
        for table in (rendezvous, rendezvous_documents):
            connection.execute(delete(table).where(table.c.sequence == row.sequence))
    return found


def _record(transaction: Transaction, job: StoredJob, before: Standing) -> None:
    connection, standing = transaction.connection, job.standing
    connection.execute(
        insert(job_history).values(
            sequence=job.sequence,
            generation=standing.generation,
            before=before.state.value,
            after=standing.state.value,
            at=standing.changed,
            message=standing.message,
        )
    )
    if job.new.webhook:
        connection.execute(
            insert(outbox).values(
                project=job.project,
                job_id=job.job_id,
                url=job.new.webhook,
                body=job_resource(job),
                # By the clock as it is: `changed` may be ahead of a clock that was set back.
                due=transaction.now(),
            )
        )


def lock_job(transaction: Transaction, project: str, job_id: str, *, skip_locked: bool = False) -> Row[Any]:
    """The row of a job, which nobody else changes until the transaction ends.

    Raises:
      Missing: it is not there; or, with `skip_locked`, somebody else is changing it.
    """
    statement = select_jobs().where(jobs.c.project == project, jobs.c.job_id == job_id)
    return _found(
        transaction.connection.execute(statement.with_for_update(of=jobs, skip_locked=skip_locked)).first(),
        project,
        job_id,
    )


def number_of(connection: Connection, project: str, job_id: str) -> int:
    """The sequence number of a job. Raises Missing."""
    statement = select(jobs.c.sequence).where(jobs.c.project == project, jobs.c.job_id == job_id)
    number: int = _found(connection.execute(statement).first(), project, job_id).sequence
    return number


def projects_of(connection: Connection, column: Any, *conditions: Any) -> list[str]:
    """The values of an indexed column, each once, without reading every row: from one value to the next."""
    found: list[str] = []
    while len(found) < 1000:
        statement = select(func.min(column)).where(*conditions)
        if found:
            statement = statement.where(column > found[-1])
        project = connection.execute(statement).scalar()
        if project is None:
            break
        found.append(project)
    return found


def _row(connection: Connection, project: str, job_id: str) -> Row[Any]:
    statement = select_jobs().where(jobs.c.project == project, jobs.c.job_id == job_id)
    return _found(connection.execute(statement).first(), project, job_id)


def _found(row: Row[Any] | None, project: str, job_id: str) -> Row[Any]:
    if row is None:
        raise Missing(f'There is no job "{storable(job_id)}" in project "{storable(project)}".')
    return row
