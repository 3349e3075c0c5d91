"""Which schema a database has, which one this version reads and writes, and the way from one to the other."""

from __future__ import annotations

import os

from sqlalchemy import Connection, inspect, text

from batchpredict.service.store.interface import StoreFailed

HEAD = "0003"
"""The last of `migrations/versions`: what this version reads and writes."""

LOCATION = os.path.join(os.path.dirname(os.path.abspath(__file__)), "migrations")

_VERSION_TABLE = "alembic_version"


def current(connection: Connection) -> str | None:
    """The version of a database's schema; None if it has none."""
    if not inspect(connection).has_table(_VERSION_TABLE):
        return None
    version: str | None = connection.execute(text(f"SELECT version_num FROM {_VERSION_TABLE}")).scalar()
    return version


def check(connection: Connection, name: str) -> bool:
    """Whether the schema is that of this version; False if it has to be brought there.

    Args:
      name: of the database, for errors.

    Raises:
      StoreFailed: it is of a newer version.
    """
    version = current(connection)
    if version is not None and version > HEAD:
        raise StoreFailed(
            f"The database {name} has the schema {version} of a newer version of batchpredict; "
            f"this one knows {HEAD} and older ones."
        )
    return version == HEAD


def check_encoding(connection: Connection, name: str) -> None:
    """Refuse a database of PostgreSQL that cannot keep any text: a cluster made under the locale C has such.

    Args:
      name: of the database, for errors.

    Raises:
      StoreFailed: its encoding is not UTF-8.
    """
    encoding = connection.execute(text("SHOW server_encoding")).scalar_one()
    if encoding != "UTF8":
        raise StoreFailed(
            f"The database {name} has the encoding {encoding} and not UTF8, which the service needs: create it "
            "with `createdb --encoding UTF8 --template template0`."
        )


def upgrade(connection: Connection, location: str = "") -> None:
    """Run the steps that are missing, in the transaction of the connection."""
    # Takes a while to import, and is needed once in the life of a database.
    from alembic import command
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", location or LOCATION)
    # The path may have a blank.
    config.set_main_option("path_separator", "newline")
    command.upgrade(config, "head")


def lock(connection: Connection) -> None:
    """Until the transaction ends, nobody else changes the schema. SQLite's transaction is that already."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended('batchpredict schema', 16))"))
