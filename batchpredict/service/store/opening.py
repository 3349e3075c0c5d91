"""Opens a store, and brings the schema of its database to this version."""

from __future__ import annotations

import os
import sqlite3
import time

from batchpredict.service.store import schema
from batchpredict.service.store.database import Clock, Database, Transaction
from batchpredict.service.store.interface import Store, StoreFailed
from batchpredict.service.store.sql import SqlStore


def open_store(url: str, clock: Clock | None = None) -> Store:
    """The store in a database.

    An empty database gets its schema. An SQLite file of an older version is copied beside itself and then brought
    to this version; PostgreSQL, which others may be using at this moment, only by `migrate`.

    Args:
      url: SQLAlchemy URL of PostgreSQL or SQLite, or the path of an SQLite file, whose folder is made.
      clock: the time instead of the database's own, for tests; aware of its zone.

    Raises:
      StoreFailed: the database cannot be opened; its encoding is not UTF-8; its schema is older, and what to do;
        or it is newer.
    """
    database = _database(url, clock)
    try:
        version = database.read(schema.current)
        if not database.read(lambda connection: schema.check(connection, database.name)):
            if version is not None and not database.sqlite:
                raise StoreFailed(
                    f"The database {database.name} has the schema {version} and this version of batchpredict "
                    f"needs {schema.HEAD}: stop what uses it, back it up, and run `batchpredict serve --migrate`."
                )
            _migrate(database, version)
    except BaseException:
        database.close()
        raise
    return SqlStore(database)


def migrate(url: str) -> None:
    """Bring the schema of a database to this version, whatever it is: none, an older one, or this one already.

    Raises:
      StoreFailed: the database cannot be opened, its encoding is not UTF-8, or it is of a newer version.
    """
    database = _database(url)
    try:
        if not database.read(lambda connection: schema.check(connection, database.name)):
            _migrate(database, database.read(schema.current))
    finally:
        database.close()


def _database(url: str, clock: Clock | None = None) -> Database:
    database = Database(url, clock)
    if database.sqlite:
        path = str(database.url.database)
        try:
            os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
            # Documents of jobs are nobody else's business. SQLite gives the files beside it the same mode.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        except OSError as error:
            raise StoreFailed(f"The database {path} cannot be opened: {error.strerror}.") from error
        return database
    try:
        database.read(lambda connection: schema.check_encoding(connection, database.name))
    except BaseException:
        database.close()
        raise
    return database


def _migrate(database: Database, version: str | None) -> None:
    if database.sqlite and version is not None:
        _copy(str(database.url.database), version)

    def upgrade(transaction: Transaction) -> None:
        schema.lock(transaction.connection)
        # Somebody else may have been faster.
        if not schema.check(transaction.connection, database.name):
            schema.upgrade(transaction.connection)

    database.write(upgrade)


def _copy(path: str, version: str) -> None:
    """A copy of an SQLite file, also while others write to it: PATH.schema-0001.20260131T120000Z"""
    copy = f"{path}.schema-{version}.{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}"
    try:
        os.close(os.open(copy, os.O_RDWR | os.O_CREAT, 0o600))
        source, target = sqlite3.connect(path), sqlite3.connect(copy)
        try:
            source.backup(target)
        finally:
            source.close()
            target.close()
    except (OSError, sqlite3.Error) as error:
        raise StoreFailed(
            f"The database {path} could not be copied to {copy} before its migration: {error}."
        ) from error
