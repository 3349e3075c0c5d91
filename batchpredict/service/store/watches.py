"""Watches in SQL. They are few, and each is written by its leader alone, or by a person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, Select, delete, func, or_, select, update

from batchpredict.job import to_datetime, to_timestamp
from batchpredict.service.queue.leading import (
    Keep,
    Lead,
    LeadEvent,
    Leading,
    Report,
    WatchState,
    may_be_led,
    refuse_unless_live,
    step,
)
from batchpredict.service.store.creation import inserted, lock_projects
from batchpredict.service.store.database import Database, Transaction
from batchpredict.service.store.interface import Exists, Missing, QueueFull
from batchpredict.service.store.tables import watch_epochs, watches
from batchpredict.service.store.watching import (
    MOST_NOTES,
    MOST_WATCHES,
    SET_ASIDE,
    SUCCEEDED,
    EpochReport,
    NewWatch,
    Note,
    StoredEpoch,
    StoredWatch,
)


class SqlWatches:
    """`WatchStore` in SQL."""

    _database: Database

    def create_watch(self, new: NewWatch) -> StoredWatch:
        def create(transaction: Transaction) -> StoredWatch:
            lock_projects(transaction, [new.project])
            values = {
                "project": new.project,
                "watch_id": new.watch_id,
                "document": dict(new.document),
                "labels": dict(new.labels),
                "pinned": dict(new.pinned),
                "creator": new.creator,
                "webhook": new.webhook,
                "created": transaction.now(),
                "notes": [],
                **_columns(Leading()),
            }
            others = select(func.count()).where(
                watches.c.project == new.project, watches.c.watch_id != new.watch_id
            )
            if transaction.connection.execute(others).scalar_one() >= MOST_WATCHES:
                raise QueueFull(f'The project "{new.project}" has {MOST_WATCHES:,} watches and may not have more.')
            if not inserted(transaction, watches, **values):
                found = _stored(_row(transaction.connection, new.project, new.watch_id))
                # Its own work of an attempt before, whose end was not heard.
                if not (transaction.again and found.new == new and not found.leading.generation):
                    raise Exists(f'A watch "{new.watch_id}" exists already in project "{new.project}".')
                return found
            return _stored(_row(transaction.connection, new.project, new.watch_id))

        return self._database.write(create)

    def watch(self, project: str, watch_id: str) -> StoredWatch:
        return self._database.read(lambda connection: _stored(_row(connection, project, watch_id)))

    def watches(
        self, project: str, *, size: int = 20, before: int | None = None
    ) -> tuple[list[StoredWatch], int | None]:
        asked = select(watches).where(watches.c.project == project)
        if before is not None:
            asked = asked.where(watches.c.number < before)
        rows, following = self._page(asked.order_by(watches.c.number.desc()), size, "number")
        return [_stored(row) for row in rows], following

    def delete_watch(self, project: str, watch_id: str) -> None:
        def remove(transaction: Transaction) -> None:
            row = _row(transaction.connection, project, watch_id, lock=True)
            transaction.connection.execute(delete(watches).where(watches.c.number == row.number))
            transaction.connection.execute(delete(watch_epochs).where(watch_epochs.c.watch == row.number))

        self._database.write(remove)

    def retry_watch(self, project: str, watch_id: str) -> StoredWatch:
        def ask(transaction: Transaction) -> StoredWatch:
            row = _row(transaction.connection, project, watch_id, lock=True)
            # To ask twice, where nobody knows whether it was heard, does no harm.
            _write(transaction, row, retries=row.retries + 1)
            return replace(_stored(row), retries=row.retries + 1)

        return self._database.write(ask)

    def epochs(
        self, project: str, watch_id: str, *, size: int = 20, before: int | None = None
    ) -> tuple[list[StoredEpoch], int | None]:
        number = self._database.read(lambda connection: _row(connection, project, watch_id)).number
        asked = select(watch_epochs).where(watch_epochs.c.watch == number)
        if before is not None:
            asked = asked.where(watch_epochs.c.epoch < before)
        rows, following = self._page(asked.order_by(watch_epochs.c.epoch.desc()), size, "epoch")
        return [_epoch(row) for row in rows], following

    def lead(self, worker: str, lease: timedelta, limit: int) -> list[StoredWatch]:
        free = select(watches).where(watches.c.state == WatchState.ACTIVE.value)

        def any_free(connection: Connection) -> bool:
            now = self._database.now(connection)
            rows = connection.execute(free.where(_unled(now)))
            return any(may_be_led(_leading(row), now) for row in rows)

        def take(transaction: Transaction) -> list[StoredWatch]:
            now = transaction.now()
            taken: list[StoredWatch] = []
            asked = free.where(_unled(now)).order_by(watches.c.number).with_for_update(skip_locked=True)
            for row in transaction.connection.execute(asked).all():
                if len(taken) < limit and may_be_led(_leading(row), now):
                    taken.append(_advance(transaction, row, Lead(worker, now + lease)))
            return taken

        # There is seldom one, and to look disturbs no writer. What an attempt took without hearing of it is found
        # by `keep_leading`.
        if limit <= 0 or not self._database.read(any_free):
            return []
        return self._database.write(take)

    def keep_leading(self, worker: str, lease: timedelta) -> dict[tuple[str, str], StoredWatch]:
        mine = select(watches).where(watches.c.lease_worker == worker).order_by(watches.c.number)

        def keep(transaction: Transaction) -> dict[tuple[str, str], StoredWatch]:
            now = transaction.now()
            kept = [
                _advance(transaction, row, Keep(row.generation, now + lease))
                for row in transaction.connection.execute(mine.with_for_update()).all()
            ]
            return {one.key: one for one in kept}

        return self._database.write(keep)

    def tell_watch(
        self, project: str, watch_id: str, event: LeadEvent, *, number: int | None = None
    ) -> StoredWatch:
        def apply(transaction: Transaction) -> StoredWatch:
            row = _row(transaction.connection, project, watch_id, lock=True, number=number)
            return _advance(transaction, row, event)

        return self._database.write(apply)

    def report_epochs(
        self, number: int, generation: int, report: EpochReport | None, notes: Sequence[Note] = ()
    ) -> None:
        def write(transaction: Transaction) -> None:
            row = _led(transaction, number, generation)
            values: dict[str, Any] = {}
            if report is not None:
                done = _write_epochs(transaction, number, report)
                values |= _columns(step(_leading(row), Report(generation, done), transaction.now()))
                values["epochs"] = max(report.last, row.epochs)
                values["set_aside"] = sum(one.state == SET_ASIDE for one in report.epochs)
            if notes:
                texts = [{"at": to_timestamp(one.at), "severity": one.severity, "text": one.text} for one in notes]
                values["notes"] = _latest([*row.notes, *texts])
            if values:
                _write(transaction, row, **values)

        self._database.write(write)

    def report_epoch_job(self, number: int, generation: int, epoch: int, job_id: str) -> None:
        def write(transaction: Transaction) -> None:
            _led(transaction, number, generation)
            _update_epoch(transaction, number, epoch, job_id=job_id)

        self._database.write(write)

    def _page(self, asked: Select[Any], size: int, key: str) -> tuple[list[Row[Any]], int | None]:
        rows = self._database.read(lambda connection: list(connection.execute(asked.limit(size + 1)).all()))
        page = rows[:size]
        return page, getattr(page[-1], key) if len(rows) > size else None


def _latest(notes: list[dict[str, str]]) -> list[dict[str, str]]:
    """As many as are kept. That an epoch began is seen elsewhere: warnings are kept for longer."""
    over = len(notes) - MOST_NOTES
    if over <= 0:
        return notes
    dropped = [at for at, note in enumerate(notes) if note["severity"] == "INFO"][:over]
    rest = [note for at, note in enumerate(notes) if at not in dropped]
    return rest[-MOST_NOTES:]


def _unled(now: datetime) -> Any:
    return or_(watches.c.lease_worker.is_(None), watches.c.lease_until <= now)


def _write_epochs(transaction: Transaction, number: int, report: EpochReport) -> bool:
    """What is reported is so; of what is not any more, the results are there. Whether there is such a one."""
    connection, now = transaction.connection, transaction.now()
    known = {
        row.epoch: row
        for row in connection.execute(
            select(watch_epochs).where(watch_epochs.c.watch == number, watch_epochs.c.state != SUCCEEDED)
        )
    }
    reported = {one.epoch: one for one in report.epochs}
    for one in reported.values():
        values = {
            "state": one.state,
            "files": one.files,
            "bytes": one.bytes,
            "model": one.model,
            "failures": one.failures,
            "message": one.message,
        }
        row = known.get(one.epoch)
        ended = row.ended if row is not None else None
        values["ended"] = (ended or now) if one.state == SET_ASIDE else None
        # One that is there though it is not known was thought done; the folder says otherwise.
        if row is not None or not inserted(
            transaction, watch_epochs, watch=number, epoch=one.epoch, begun=now, **values
        ):
            _update_epoch(transaction, number, one.epoch, **values)
    done = known.keys() - reported.keys()
    for epoch in done:
        _update_epoch(transaction, number, epoch, state=SUCCEEDED, ended=now, message="")
    return bool(done)


def _update_epoch(transaction: Transaction, number: int, epoch: int, **values: Any) -> None:
    one = (watch_epochs.c.watch == number, watch_epochs.c.epoch == epoch)
    transaction.connection.execute(update(watch_epochs).where(*one).values(**values))


def _led(transaction: Transaction, number: int, generation: int) -> Row[Any]:
    """The row of a watch, locked, that is led under this generation. Raises Missing, LeaseLost."""
    found = select(watches).where(watches.c.number == number).with_for_update()
    row = transaction.connection.execute(found).first()
    if row is None:
        raise Missing("The watch was deleted.")
    refuse_unless_live(_leading(row), generation)
    return row


def _advance(transaction: Transaction, row: Row[Any], event: LeadEvent) -> StoredWatch:
    after = step(_leading(row), event, transaction.now())
    _write(transaction, row, **_columns(after))
    return replace(_stored(row), leading=after)


def _write(transaction: Transaction, row: Row[Any], **values: Any) -> None:
    transaction.connection.execute(update(watches).where(watches.c.number == row.number).values(**values))


def _row(
    connection: Connection, project: str, watch_id: str, *, lock: bool = False, number: int | None = None
) -> Row[Any]:
    statement = select(watches).where(watches.c.project == project, watches.c.watch_id == watch_id)
    row = connection.execute(statement.with_for_update() if lock else statement).first()
    # Generations begin anew with each watch of a name.
    if row is None or number not in (None, row.number):
        raise Missing(f'There is no watch "{watch_id}" in project "{project}".')
    return row


def _leading(row: Row[Any]) -> Leading:
    return Leading(
        state=WatchState(row.state),
        generation=row.generation,
        worker=row.lease_worker or "",
        until=row.lease_until,
        losses=row.losses,
        not_before=row.not_before,
        message=row.message,
    )


def _columns(leading: Leading) -> dict[str, Any]:
    return {
        "state": leading.state.value,
        "generation": leading.generation,
        "lease_worker": leading.worker or None,
        "lease_until": leading.until,
        "losses": leading.losses,
        "not_before": leading.not_before,
        "message": leading.message,
    }


def _stored(row: Row[Any]) -> StoredWatch:
    return StoredWatch(
        new=NewWatch(
            project=row.project,
            watch_id=row.watch_id,
            document=row.document,
            labels=row.labels,
            creator=row.creator,
            pinned=row.pinned,
            webhook=row.webhook,
        ),
        number=row.number,
        created=row.created,
        leading=_leading(row),
        retries=row.retries,
        epochs=row.epochs,
        set_aside=row.set_aside,
        notes=[Note(to_datetime(one["at"]), one["severity"], one["text"]) for one in row.notes],
    )


def _epoch(row: Row[Any]) -> StoredEpoch:
    return StoredEpoch(
        epoch=row.epoch,
        state=row.state,
        files=row.files,
        bytes=row.bytes,
        model=row.model,
        job_id=row.job_id,
        failures=row.failures,
        message=row.message,
        begun=row.begun,
        ended=row.ended,
    )
