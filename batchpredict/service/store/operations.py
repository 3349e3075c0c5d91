"""Long-running operations: created, held by one process at a time, ended once."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Row, or_, select, update

from batchpredict.job import to_timestamp
from batchpredict.service.store.creation import inserted, lock_projects
from batchpredict.service.store.database import Database, Transaction
from batchpredict.service.store.interface import Exists, Missing, Operation
from batchpredict.service.store.tables import operations


class SqlOperations:
    """The part of `ModelStore` that is about operations."""

    _database: Database

    def create_operation(self, operation: Operation) -> Operation:
        def create(transaction: Transaction) -> Operation:
            lock_projects(transaction, [operation.project])
            return insert_operation(transaction, operation)

        return self._database.write(create)

    def operation(self, project: str, operation: str) -> Operation:
        return self._database.read(lambda connection: _operation(_row(connection, project, operation)))

    def operations(
        self, project: str, *, size: int = 20, after: int | None = None
    ) -> tuple[list[Operation], int | None]:
        statement = (
            select(operations)
            .where(operations.c.project == project, operations.c.number > (after or 0))
            .order_by(operations.c.number)
            .limit(size + 1)
        )
        rows = self._database.read(lambda connection: connection.execute(statement).all())
        page = rows[:size]
        return [_operation(row) for row in page], page[-1].number if len(rows) > size else None

    def due_operations(self, worker: str, lease: timedelta, limit: int = 10) -> list[Operation]:
        # Spelt as the index has it.
        still_open = ~operations.c.done

        def any_due(connection: Connection) -> bool:
            now = self._database.now(connection)
            free = or_(operations.c.held_until.is_(None), operations.c.held_until <= now)
            return (
                connection.execute(select(operations.c.number).where(still_open, free).limit(1)).first() is not None
            )

        def take(transaction: Transaction) -> list[Operation]:
            now = transaction.now()
            free = or_(operations.c.held_until.is_(None), operations.c.held_until <= now)
            oldest = (
                select(operations)
                .where(still_open, free)
                .order_by(operations.c.number)
                .limit(limit)
                .with_for_update(skip_locked=True)
            )
            rows = transaction.connection.execute(oldest).all()
            if rows:
                mine = operations.c.number.in_([row.number for row in rows])
                transaction.connection.execute(
                    update(operations).where(mine).values(worker=worker, held_until=now + lease)
                )
            return [Operation(row.project, row.operation, row.document, False, worker) for row in rows]

        if not self._database.read(any_due):
            return []
        return self._database.write(take)

    def hold_operation(self, project: str, operation: str, worker: str, lease: timedelta) -> bool:
        def hold(transaction: Transaction) -> bool:
            row = _row(transaction.connection, project, operation, lock=True)
            if row.done or row.worker != worker:
                return False
            _write(transaction, row, held_until=transaction.now() + lease)
            return True

        return self._database.write(hold)

    def patch_operation(self, project: str, operation: str, metadata: Mapping[str, Any]) -> Operation:
        def patch(transaction: Transaction) -> Operation:
            row = _row(transaction.connection, project, operation, lock=True)
            if row.done:
                return _operation(row)
            document = {**row.document, "metadata": {**row.document.get("metadata", {}), **metadata}}
            _write(transaction, row, document=document)
            return Operation(project, operation, document, False, row.worker)

        return self._database.write(patch)

    def finish_operation(
        self,
        project: str,
        operation: str,
        *,
        response: Mapping[str, Any] | None = None,
        error: Mapping[str, Any] | None = None,
    ) -> Operation:
        def finish(transaction: Transaction) -> Operation:
            row = _row(transaction.connection, project, operation, lock=True)
            if row.done:
                return _operation(row)
            ended = {"endTime": to_timestamp(transaction.now())}
            document = {**row.document, "metadata": {**row.document.get("metadata", {}), **ended}, "done": True}
            document |= {"error": dict(error)} if error is not None else {"response": dict(response or {})}
            _write(transaction, row, document=document, done=True, held_until=None)
            return Operation(project, operation, document, True, row.worker)

        return self._database.write(finish)


def insert_operation(transaction: Transaction, operation: Operation) -> Operation:
    """Raises Exists."""
    new_one = inserted(
        transaction,
        operations,
        project=operation.project,
        operation=operation.operation,
        document=dict(operation.document),
        done=operation.done,
        worker=operation.worker,
    )
    if not new_one and not transaction.again:
        raise Exists(f'An operation "{operation.operation}" exists already in project "{operation.project}".')
    return operation


def _write(transaction: Transaction, row: Row[Any], **values: Any) -> None:
    transaction.connection.execute(update(operations).where(operations.c.number == row.number).values(**values))


def _row(connection: Connection, project: str, operation: str, *, lock: bool = False) -> Row[Any]:
    statement = select(operations).where(operations.c.project == project, operations.c.operation == operation)
    row = connection.execute(statement.with_for_update() if lock else statement).first()
    if row is None:
        raise Missing(f'There is no operation "{operation}" in project "{project}".')
    return row


def _operation(row: Row[Any]) -> Operation:
    return Operation(row.project, row.operation, row.document, row.done, row.worker)
