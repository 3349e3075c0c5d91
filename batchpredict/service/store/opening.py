"""Opens a store."""

from __future__ import annotations

from batchpredict.service.store import schema
from batchpredict.service.store.database import Clock, Database
from batchpredict.service.store.interface import Store
from batchpredict.service.store.sql import SqlStore


def open_store(url: str, clock: Clock | None = None) -> Store:
    """The store in a database, whose schema is made if there is none.

    Args:
      url: SQLAlchemy URL of PostgreSQL or SQLite, or the path of an SQLite file.
      clock: the time instead of the database's own, for tests; aware of its zone.

    Raises:
      StoreFailed: the database cannot be opened.
    """
    database = Database(url, clock)
    database.write(lambda transaction: schema.create(transaction.connection))
    return SqlStore(database)


def migrate(url: str) -> None:
    """Bring the schema of a database to this version."""
    raise NotImplementedError
