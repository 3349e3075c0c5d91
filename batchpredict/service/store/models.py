"""Models and their versions. They are few: filters are applied to what was read, by the filter's own meaning."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from sqlalchemy import Connection, Row, Table, delete, select, update

from batchpredict.resources import ModelName, VersionName
from batchpredict.service.filters import Filter, matches
from batchpredict.service.store.creation import inserted, lock_projects
from batchpredict.service.store.database import Database, Transaction
from batchpredict.service.store.fields import model_fields, version_fields
from batchpredict.service.store.interface import (
    Exists,
    InUse,
    Missing,
    Operation,
    StoredModel,
    StoredVersion,
)
from batchpredict.service.store.operations import insert_operation
from batchpredict.service.store.replacement import Replacement
from batchpredict.service.store.rows import new_etag
from batchpredict.service.store.tables import jobs, models, policies, versions

Stored = TypeVar("Stored", StoredModel, StoredVersion)

_CHUNK = 200
"""Rows that are read at a time where a filter may leave out most of them."""

_MODEL_COLUMNS = frozenset({"labels", "default"})
_VERSION_COLUMNS = frozenset({"labels", "state", "uri", "details", "message", "last_used"})


class SqlModels:
    """The part of `ModelStore` that is about models and versions."""

    _database: Database

    def create_model(self, model: StoredModel) -> StoredModel:
        etag = new_etag()

        def create(transaction: Transaction) -> StoredModel:
            lock_projects(transaction, [model.project])
            new = replace(model, created=transaction.now(), etag=etag)
            new_one = inserted(
                transaction,
                models,
                project=new.project,
                model=new.model,
                document=dict(new.document),
                labels=dict(new.labels),
                creator=new.creator,
                created=new.created,
                etag=etag,
                default=new.default,
            )
            if not new_one:
                found = _model(_model_row(transaction.connection, model.project, model.model))
                if not (transaction.again and found.etag == etag):
                    raise Exists(f'A model "{model.model}" exists already in project "{model.project}".')
                return found
            return new

        return self._database.write(create)

    def model(self, project: str, model: str) -> StoredModel:
        return self._database.read(lambda connection: _model(_model_row(connection, project, model)))

    def models(
        self, project: str, *, where: Filter | None = None, size: int = 20, after: int | None = None
    ) -> tuple[list[StoredModel], int | None]:
        return self._database.read(
            lambda connection: _page(
                connection, models, (models.c.project == project,), _model, model_fields, where, size, after
            )
        )

    def patch_model(self, project: str, model: str, changes: Mapping[str, Any], etag: str | None) -> StoredModel:
        replacement = Replacement(etag, f'the model "{model}"')

        def patch(transaction: Transaction) -> StoredModel:
            connection = transaction.connection
            row = _model_row(connection, project, model, lock=True)
            if replacement.done(transaction, row.etag):
                return _model(row)
            default = changes.get("default")
            if default is not None:
                _version_row(connection, project, model, default)
            values = {**_changed(row, changes, _MODEL_COLUMNS), "etag": replacement.etag}
            connection.execute(update(models).where(models.c.number == row.number).values(**values))
            return _model(_model_row(connection, project, model))

        return self._database.write(patch)

    def delete_model(self, project: str, model: str) -> None:
        def remove(transaction: Transaction) -> None:
            connection = transaction.connection
            row = _model_row(connection, project, model, lock=True)
            if (
                connection.execute(select(versions.c.number).where(*_of(project, model)).limit(1)).first()
                is not None
            ):
                raise InUse(f'The model "{model}" has versions; delete them first.')
            connection.execute(delete(models).where(models.c.number == row.number))
            # A model that gets the name later is another one, and nobody's but its creator's.
            connection.execute(delete(policies).where(policies.c.resource == str(ModelName(project, model))))

        self._database.write(remove)

    def create_version(self, version: StoredVersion, operation: Operation | None = None) -> StoredVersion:
        etag = new_etag()

        def create(transaction: Transaction) -> StoredVersion:
            connection = transaction.connection
            lock_projects(transaction, [version.project])
            # A version that is created and a model that is deleted meet at the model's row.
            model = _model_row(connection, version.project, version.model, lock=True)
            new = replace(version, created=transaction.now(), etag=etag)
            new_one = inserted(
                transaction,
                versions,
                project=new.project,
                model=new.model,
                version=new.version,
                document=dict(new.document),
                labels=dict(new.labels),
                created=new.created,
                etag=etag,
                state=new.state,
                uri=new.uri,
                details=dict(new.details),
                message=new.message,
                last_used=new.last_used,
            )
            if not new_one:
                found = _version(_version_row(connection, new.project, new.model, new.version))
                if not (transaction.again and found.etag == etag):
                    raise Exists(f'A version "{new.version}" exists already in model "{new.model}".')
                return found
            if model.default is None:
                connection.execute(
                    update(models).where(models.c.number == model.number).values(default=new.version)
                )
            if operation is not None:
                insert_operation(transaction, operation)
            return new

        return self._database.write(create)

    def version(self, project: str, model: str, version: str) -> StoredVersion:
        return self._database.read(lambda connection: _version(_version_row(connection, project, model, version)))

    def versions(
        self, project: str, model: str, *, where: Filter | None = None, size: int = 20, after: int | None = None
    ) -> tuple[list[StoredVersion], int | None]:
        def read(connection: Connection) -> tuple[list[StoredVersion], int | None]:
            default = _model_row(connection, project, model).default

            def fields(version: StoredVersion) -> Mapping[str, Any]:
                return version_fields(version, default)

            return _page(connection, versions, _of(project, model), _version, fields, where, size, after)

        return self._database.read(read)

    def patch_version(
        self, project: str, model: str, version: str, changes: Mapping[str, Any], etag: str | None
    ) -> StoredVersion:
        replacement = Replacement(etag, f'the version "{version}"')
        replaces = set(changes) != {"last_used"}

        def patch(transaction: Transaction) -> StoredVersion:
            connection = transaction.connection
            row = _version_row(connection, project, model, version, lock=True)
            if not replaces:
                replacement.check(row.etag)
            elif replacement.done(transaction, row.etag):
                return _version(row)
            values = _changed(row, changes, _VERSION_COLUMNS)
            if replaces:
                values["etag"] = replacement.etag
            connection.execute(update(versions).where(versions.c.number == row.number).values(**values))
            return _version(_version_row(connection, project, model, version))

        return self._database.write(patch)

    def delete_version(self, project: str, model: str, version: str) -> None:
        def remove(transaction: Transaction) -> None:
            connection = transaction.connection
            # Before the version, as in `create_version`: so that no two wait for each other.
            default = _model_row(connection, project, model, lock=True)
            row = _version_row(connection, project, model, version, lock=True)
            others = select(versions.c.number).where(*_of(project, model), versions.c.version != version).limit(1)
            if default.default == version:
                if connection.execute(others).first() is not None:
                    raise InUse(
                        f'The version "{version}" is the default of model "{model}" and not its last one; '
                        "make another one the default first."
                    )
                connection.execute(update(models).where(models.c.number == default.number).values(default=None))
            connection.execute(delete(versions).where(versions.c.number == row.number))

        self._database.write(remove)

    def version_of(self, uri: str) -> str:
        of = select(versions.c.project, versions.c.model, versions.c.version).where(versions.c.uri == uri)
        row = self._database.read(lambda connection: connection.execute(of).first())
        return "" if row is None else str(VersionName(row.project, row.model, row.version))

    def pinned(self, uri: str) -> bool:
        statement = select(jobs.c.sequence).where(jobs.c.uri == uri, jobs.c.uri != "", jobs.c.end_time.is_(None))
        return self._database.read(lambda connection: connection.execute(statement.limit(1)).first() is not None)


def _of(project: str, model: str) -> tuple[Any, Any]:
    return versions.c.project == project, versions.c.model == model


def _model_row(connection: Connection, project: str, model: str, *, lock: bool = False) -> Row[Any]:
    statement = select(models).where(models.c.project == project, models.c.model == model)
    row = connection.execute(statement.with_for_update() if lock else statement).first()
    if row is None:
        raise Missing(f'There is no model "{model}" in project "{project}".')
    return row


def _version_row(connection: Connection, project: str, model: str, version: str, *, lock: bool = False) -> Row[Any]:
    statement = select(versions).where(*_of(project, model), versions.c.version == version)
    row = connection.execute(statement.with_for_update() if lock else statement).first()
    if row is None:
        raise Missing(f'There is no version "{version}" of model "{model}" in project "{project}".')
    return row


def _changed(row: Row[Any], changes: Mapping[str, Any], columns: frozenset[str]) -> dict[str, Any]:
    """`changes` as columns: what is not one of them is a field of the document, which None takes away."""
    values = {name: value for name, value in changes.items() if name in columns}
    fields = {name: value for name, value in changes.items() if name not in columns}
    if fields:
        document = {**row.document, **fields}
        values["document"] = {
            name: value for name, value in document.items() if fields.get(name, value) is not None
        }
    return values


def _model(row: Row[Any]) -> StoredModel:
    return StoredModel(
        row.project, row.model, row.document, row.labels, row.creator, row.created, row.etag, row.default
    )


def _version(row: Row[Any]) -> StoredVersion:
    return StoredVersion(
        project=row.project,
        model=row.model,
        version=row.version,
        document=row.document,
        labels=row.labels,
        created=row.created,
        etag=row.etag,
        state=row.state,
        uri=row.uri,
        details=row.details,
        message=row.message,
        last_used=row.last_used,
    )


def _page(
    connection: Connection,
    table: Table,
    conditions: tuple[Any, ...],
    stored: Callable[[Row[Any]], Stored],
    fields: Callable[[Stored], Mapping[str, Any]],
    where: Filter | None,
    size: int,
    after: int | None,
) -> tuple[list[Stored], int | None]:
    """A page in the order of creation, and what the next one comes after."""
    found: list[tuple[int, Stored]] = []
    last = after or 0
    while len(found) <= size:
        chunk = select(table).where(*conditions, table.c.number > last).order_by(table.c.number).limit(_CHUNK)
        rows = connection.execute(chunk).all()
        for row in rows:
            one = stored(row)
            if where is None or matches(where, fields(one)):
                found.append((row.number, one))
        if len(rows) < _CHUNK:
            break
        last = rows[-1].number
    page = found[:size]
    return [one for _, one in page], page[-1][0] if len(found) > size else None
