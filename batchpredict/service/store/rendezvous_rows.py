"""The rendezvous of training jobs in SQL.

A writer locks the row of the job: so all documents of a job are written one after the other, a number becomes
visible no later than any higher one, and no lease ends while a host that belongs to it is writing.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Row, and_, insert, select, update

from batchpredict.service.queue.lifecycle import LeaseLost
from batchpredict.service.store.columns import json_size
from batchpredict.service.store.creation import inserted
from batchpredict.service.store.database import Database, Transaction
from batchpredict.service.store.jobs import lock_job
from batchpredict.service.store.rendezvous import (
    LONGEST_DOCUMENT,
    MOST_BYTES,
    MOST_DOCUMENTS,
    NotAdmitted,
    Placed,
    Put,
    RendezvousFull,
    Visitor,
)
from batchpredict.service.store.tables import jobs, rendezvous, rendezvous_documents

_REFUSED = "The token is not that of a job that runs."


class SqlRendezvous:
    """`RendezvousStore` in SQL."""

    _database: Database

    def admit(self, project: str, job_id: str, generation: int, digest: str) -> None:
        def write(transaction: Transaction) -> None:
            job = lock_job(transaction, project, job_id)
            if job.lease_worker is None or job.generation != generation:
                raise LeaseLost(
                    f"The lease of generation {generation} is not live; the last one given is {job.generation}."
                )
            values = {"generation": generation, "digest": digest}
            if not inserted(transaction, rendezvous, sequence=job.sequence, **values):
                mine = rendezvous.c.sequence == job.sequence
                transaction.connection.execute(update(rendezvous).where(mine).values(**values))

        self._database.write(write)

    def check_visitor(self, visitor: Visitor) -> None:
        def read(connection: Connection) -> None:
            _enter(connection, visitor, writes=False)

        self._database.read(read)

    def create_document(self, visitor: Visitor, place: str, name: str, document: Mapping[str, Any]) -> bool:
        def write(transaction: Transaction) -> bool:
            connection = transaction.connection
            entered = _enter(connection, visitor, writes=True)
            found = _find(connection, entered.sequence, place, name)
            if found is not None:
                return bool(found.document == document)
            _write(connection, entered, place, name, document, found)
            return True

        return self._database.write(write)

    def put_document(
        self, visitor: Visitor, place: str, name: str, document: Mapping[str, Any], replaces: int
    ) -> Put:
        def write(transaction: Transaction) -> Put:
            connection = transaction.connection
            entered = _enter(connection, visitor, writes=True)
            found = _find(connection, entered.sequence, place, name)
            number = 0 if found is None else found.number
            if number != replaces:
                # It may be this very one, of a call whose answer was lost.
                return Put(found is not None and found.document == document, number)
            return Put(True, _write(connection, entered, place, name, document, found))

        return self._database.write(write)

    def documents(
        self, visitor: Visitor, place: str, *, since: int = 0, limit: int = 200
    ) -> tuple[list[Placed], bool]:
        def read(connection: Connection) -> tuple[list[Placed], bool]:
            entered = _enter(connection, visitor, writes=False)
            table = rendezvous_documents.c
            new = (
                select(table.name, table.number, table.document)
                .where(table.sequence == entered.sequence, table.place == place, table.number > since)
                .order_by(table.number)
                .limit(limit + 1)
            )
            found = [Placed(*row) for row in connection.execute(new)]
            return found[:limit], len(found) > limit

        return self._database.read(read)


def _enter(connection: Connection, visitor: Visitor, *, writes: bool) -> Row[Any]:
    """The row of the job's rendezvous, which nobody else writes until the transaction ends if this one `writes`."""
    held = select(jobs.c.sequence, jobs.c.generation).where(
        jobs.c.project == visitor.project, jobs.c.job_id == visitor.job_id, jobs.c.lease_worker.is_not(None)
    )
    job = connection.execute(held.with_for_update() if writes else held).first()
    if job is None:
        raise NotAdmitted(_REFUSED)
    # A statement of its own: it sees what others have written while the row of the job was waited for.
    entered = connection.execute(select(rendezvous).where(rendezvous.c.sequence == job.sequence)).first()
    if (
        entered is None
        or entered.generation != job.generation
        or not hmac.compare_digest(entered.digest.encode(), visitor.digest.encode())
    ):
        raise NotAdmitted(_REFUSED)
    return entered


def _find(connection: Connection, sequence: int, place: str, name: str) -> Row[Any] | None:
    return connection.execute(select(rendezvous_documents).where(_key(sequence, place, name))).first()


def _write(
    connection: Connection,
    entered: Row[Any],
    place: str,
    name: str,
    document: Mapping[str, Any],
    before: Row[Any] | None,
) -> int:
    """Write a document in the place of what is there; its number."""
    size = json_size(document)
    if size > LONGEST_DOCUMENT:
        raise RendezvousFull(f'The document "{name}" has {size} bytes; at most {LONGEST_DOCUMENT} are kept.')
    documents = entered.documents + (before is None)
    total = entered.size + size - (0 if before is None else json_size(before.document))
    if documents > MOST_DOCUMENTS or total > MOST_BYTES:
        raise RendezvousFull(f"A job has at most {MOST_DOCUMENTS} documents of {MOST_BYTES >> 20} MiB in all.")
    number: int = entered.last + 1
    values = {"number": number, "document": dict(document)}
    if before is None:
        row = {"sequence": entered.sequence, "place": place, "name": name, **values}
        connection.execute(insert(rendezvous_documents).values(**row))
    else:
        key = _key(entered.sequence, place, name)
        connection.execute(update(rendezvous_documents).where(key).values(**values))
    mine = rendezvous.c.sequence == entered.sequence
    connection.execute(update(rendezvous).where(mine).values(last=number, documents=documents, size=total))
    return number


def _key(sequence: int, place: str, name: str) -> Any:
    table = rendezvous_documents.c
    return and_(table.sequence == sequence, table.place == place, table.name == name)
