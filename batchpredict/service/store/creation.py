"""Jobs come into the store: many at a time, each once, in one order for each project."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Insert, Table, func, insert, select, text, tuple_
from sqlalchemy.dialects import postgresql, sqlite

from batchpredict.job import State
from batchpredict.service.queue.lifecycle import queued
from batchpredict.service.store.database import Database, Transaction
from batchpredict.service.store.interface import Exists, NewJob, QueueFull, StoredJob
from batchpredict.service.store.labels import text_of
from batchpredict.service.store.rows import new_etag, select_jobs, standing_columns, stored_job
from batchpredict.service.store.tables import IN_QUEUE, job_documents, job_history, job_labels, jobs


@dataclass(frozen=True)
class Creation:
    """A job to be created, and the etag that it gets: by this a transaction knows its own work again."""

    new: NewJob
    queue_limit: int | None
    etag: str = field(default_factory=new_etag)


def create(database: Database, creations: Sequence[Creation]) -> list[StoredJob | Exception]:
    """Create all of them in one transaction; of those that could not be, why."""
    return database.write(lambda transaction: _create(transaction, creations))


def lock_projects(transaction: Transaction, projects: Sequence[str]) -> None:
    """Until the transaction ends, nobody else creates anything in these projects.

    So numbers become visible in their order: a page of a list never learns of a lower one later. SQLite has but one
    writer anyway.
    """
    if transaction.postgresql:
        for project in sorted(set(projects)):
            transaction.connection.execute(
                text("SELECT pg_advisory_xact_lock(hashtextextended(:project, 16))"), {"project": project}
            )


def _create(transaction: Transaction, creations: Sequence[Creation]) -> list[StoredJob | Exception]:
    lock_projects(transaction, [one.new.project for one in creations])
    places = _places(transaction, creations)
    if any(wanted > left for wanted, left in places.values()):
        # Who still finds a place depends on which of those before are new.
        return [answer for one in creations for answer in _create_one(transaction, one)]
    return _insert(transaction, creations)


def _create_one(transaction: Transaction, one: Creation) -> list[StoredJob | Exception]:
    if any(wanted > left for wanted, left in _places(transaction, [one]).values()) and not _exists(
        transaction, one.new
    ):
        return [
            QueueFull(f'The project "{one.new.project}" has {one.queue_limit} queued jobs and may not have more.')
        ]
    return _insert(transaction, [one])


def _places(transaction: Transaction, creations: Sequence[Creation]) -> dict[tuple[str, int], tuple[int, int]]:
    """For each project and limit, how many places of its queue are wanted and how many are left."""
    wanted = Counter((one.new.project, one.queue_limit) for one in creations if one.queue_limit is not None)
    return {
        (project, limit): (count, limit - _queued(transaction, project, limit))
        for (project, limit), count in wanted.items()
    }


def _queued(transaction: Transaction, project: str, limit: int) -> int:
    """Queued jobs of a project, counted up to `limit`."""
    some = select(jobs.c.sequence).where(jobs.c.project == project, IN_QUEUE).limit(limit).subquery()
    return transaction.connection.execute(select(func.count()).select_from(some)).scalar_one()


def _insert(transaction: Transaction, creations: Sequence[Creation]) -> list[StoredJob | Exception]:
    now = transaction.now()
    numbers = _insert_jobs(transaction, creations, now)
    _insert_rest(transaction, [one for one in creations if one.etag in numbers], numbers, now)
    earlier = _earlier(transaction, [one for one in creations if one.etag not in numbers])
    answers: list[StoredJob | Exception] = []
    for one in creations:
        if one.etag in numbers:
            answers.append(StoredJob(one.new, numbers[one.etag], now, one.etag, queued(now)))
        elif one.etag in earlier:
            answers.append(earlier[one.etag])
        else:
            answers.append(Exists(f'A job "{one.new.job_id}" exists already in project "{one.new.project}".'))
    return answers


def _exists(transaction: Transaction, new: NewJob) -> bool:
    found = select(jobs.c.sequence).where(jobs.c.project == new.project, jobs.c.job_id == new.job_id)
    return transaction.connection.execute(found).first() is not None


def _insert_jobs(transaction: Transaction, creations: Sequence[Creation], now: datetime) -> dict[str, int]:
    """The numbers of those that are new, by etag."""
    rows = [
        {
            "project": one.new.project,
            "job_id": one.new.job_id,
            "created": now,
            "workers": one.new.workers,
            "creator": one.new.creator,
            "etag": one.etag,
            "uri": one.new.pinned.get("uri", ""),
            "webhook": one.new.webhook,
            "labels": text_of(one.new.labels),
            **standing_columns(queued(now)),
        }
        for one in creations
    ]
    statement = unless_there(transaction, jobs).returning(jobs.c.etag, jobs.c.sequence)
    found = transaction.connection.execute(statement, rows).all()
    return {row.etag: row.sequence for row in found}


def inserted(transaction: Transaction, table: Table, **values: Any) -> bool:
    """Insert a row, unless one with its name is there."""
    statement = unless_there(transaction, table).values(**values).returning(*table.primary_key.columns)
    # Not by a count of rows: drivers do not agree on it where a row is returned.
    return transaction.connection.execute(statement).first() is not None


def unless_there(transaction: Transaction, table: Table) -> Insert:
    """An INSERT that leaves out what breaks a unique index, and does not break the transaction."""
    if transaction.postgresql:
        return postgresql.insert(table).on_conflict_do_nothing()
    return sqlite.insert(table).on_conflict_do_nothing()


def _insert_rest(
    transaction: Transaction, creations: Sequence[Creation], numbers: dict[str, int], now: datetime
) -> None:
    if not creations:
        return
    documents, labels, history = [], [], []
    for one in creations:
        sequence = numbers[one.etag]
        documents.append(
            {
                "sequence": sequence,
                "document": dict(one.new.document),
                "labels": dict(one.new.labels),
                "pinned": dict(one.new.pinned),
            }
        )
        labels += label_rows(sequence, one.new.project, one.new.labels)
        history.append({"sequence": sequence, "generation": 0, "after": State.QUEUED.value, "at": now})
    transaction.connection.execute(insert(job_documents), documents)
    transaction.connection.execute(insert(job_history), history)
    if labels:
        transaction.connection.execute(insert(job_labels), labels)


def label_rows(sequence: int, project: str, labels: Any) -> list[dict[str, Any]]:
    return [{"sequence": sequence, "project": project, "key": key, "value": value} for key, value in labels.items()]


def _earlier(transaction: Transaction, creations: Sequence[Creation]) -> dict[str, StoredJob]:
    """Those whose name is taken by what an attempt before this one committed."""
    if not creations or not transaction.again:
        return {}
    names = [(one.new.project, one.new.job_id) for one in creations]
    rows = transaction.connection.execute(select_jobs().where(tuple_(jobs.c.project, jobs.c.job_id).in_(names)))
    mine = {one.etag for one in creations}
    return {row.etag: stored_job(row) for row in rows if row.etag in mine}
