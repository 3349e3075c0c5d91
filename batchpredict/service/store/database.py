"""One database: connections, transactions that are tried again, and the clock that leases go by.

SQLite runs in WAL mode: readers never wait, and there is one writer at a time, which says so when it begins
(BEGIN IMMEDIATE), so that what it read is still so when it writes. Every commit is synced to the disk. PostgreSQL
runs in READ COMMITTED; whatever decides by a row has locked it (FOR UPDATE).
"""

from __future__ import annotations

import contextlib
import os
import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from batchpredict.service.store.columns import from_micros
from batchpredict.service.store.interface import StoreFailed

Result = TypeVar("Result")
Clock = Callable[[], datetime]

# Longer than a checkpoint of a large log or the restart of a PostgreSQL server; shorter than a client's patience.
_PATIENCE = 15.0
_FIRST_WAIT = 0.005
_LONGEST_WAIT = 0.5

# SQLSTATEs after which the same transaction may succeed: serialization_failure, deadlock_detected,
# lock_not_available, and those of a server that shuts down, starts or has no connection free.
_PASSING = frozenset({"40001", "40P01", "55P03", "57P01", "57P02", "57P03", "53300"})
# The first that gives back rows that were inserted (RETURNING).
_OLDEST_SQLITE = (3, 35, 0)
# Primary result codes of SQLite.
_SQLITE_BUSY = 5
_SQLITE_LOCKED = 6


class Unreachable(StoreFailed):
    """The database was tried for long enough."""


@dataclass(frozen=True)
class Transaction:
    """A transaction that may write.

    Attributes:
      connection: inside the transaction.
      clock: tells the time of the database.
      again: an attempt before this one may have been committed, although it was not acknowledged.
    """

    connection: Connection
    clock: Callable[[Connection], datetime]
    again: bool

    def now(self) -> datetime:
        return self.clock(self.connection)

    @property
    def postgresql(self) -> bool:
        return self.connection.dialect.name == "postgresql"


class Database:
    """Used from many threads. Raises StoreFailed where a transaction cannot be brought to an end."""

    def __init__(self, url: str, clock: Clock | None = None) -> None:
        """
        Args:
          url: an SQLAlchemy URL of SQLite or PostgreSQL, or the path of an SQLite file.
          clock: instead of the database's.
        """
        self.url = parse(url)
        self._clock = clock
        self._writer: contextlib.AbstractContextManager[Any] = (
            threading.Lock() if self.sqlite else contextlib.nullcontext()
        )
        self.engine = _engine(self.url)
        # Which file it was when it was first used.
        self._file: tuple[int, int] | None = None

    @property
    def sqlite(self) -> bool:
        return self.url.get_backend_name() == "sqlite"

    def read(self, work: Callable[[Connection], Result]) -> Result:
        """What `work` finds in one transaction that writes nothing."""
        return self._attempts(lambda _: self._read(work))

    def write(self, work: Callable[[Transaction], Result]) -> Result:
        """What `work` gives, once its transaction is on the disk. `work` may be called several times."""
        return self._attempts(lambda again: self._write(work, again))

    def now(self, connection: Connection | None = None) -> datetime:
        """The time of the database: of its server, or of this machine where the database is a file on it."""
        if self._clock is not None:
            return self._clock()
        if self.sqlite:
            return datetime.now(timezone.utc)
        if connection is None:
            return self.read(self.now)
        micros = connection.execute(text("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"))
        return from_micros(micros.scalar_one())

    def close(self) -> None:
        self.engine.dispose()

    def _read(self, work: Callable[[Connection], Result]) -> Result:
        self._refuse_another_file()
        with self.engine.connect() as connection, connection.begin():
            return work(connection)

    def _write(self, work: Callable[[Transaction], Result], again: bool) -> Result:
        # SQLite's own waiting is a sleep and not a queue: of many threads some would wait very long.
        with self._writer:
            self._refuse_another_file()
            with self.engine.connect() as connection:
                connection.execution_options(writes=True)
                with connection.begin():
                    return work(Transaction(connection, self.now, again))

    def _refuse_another_file(self) -> None:
        """Raises Unreachable: the file of SQLite is not where it was.

        A file that was deleted, or replaced by a backup, is written to by whoever has it open, and nobody would
        find there again what was acknowledged.
        """
        if not self.sqlite:
            return
        path = str(self.url.database)
        try:
            found = os.stat(path)
        except OSError:
            if self._file is None:
                # It is made when it is opened; or is no path but a URL of SQLite's own.
                return
            raise Unreachable(f"The database {path} is not there any more. Put it back, or start again.") from None
        file = (found.st_dev, found.st_ino)
        if self._file is None:
            self._file = file
        elif self._file != file:
            raise Unreachable(f"The database {path} is another file than before. Put it back, or start again.")

    def _attempts(self, attempt: Callable[[bool], Result]) -> Result:
        deadline = time.monotonic() + _PATIENCE
        wait = _FIRST_WAIT
        again = False
        while True:
            try:
                return attempt(again)
            except DBAPIError as error:
                if not _passes(error):
                    raise StoreFailed(f"The database {self.name}: {_reason(error)}.") from error
                if time.monotonic() + wait > deadline:
                    raise Unreachable(f"The database {self.name}: {_reason(error)}.") from error
                # Only where the connection went can a commit have been heard and not answered.
                again = again or error.connection_invalidated
            except PoolTimeout as error:
                raise Unreachable(f"The database {self.name}: no connection became free.") from error
            except SQLAlchemyError as error:
                raise StoreFailed(f"The database {self.name}: {error}.") from error
            time.sleep(wait * random.uniform(0.5, 1.0))
            wait = min(wait * 2, _LONGEST_WAIT)

    @property
    def name(self) -> str:
        """The database as an error may show it: without a password."""
        return str(self.url.database) if self.sqlite else self.url.render_as_string(hide_password=True)


def parse(url: str) -> URL:
    """The URL of a database, with the driver that is used here.

    Raises:
      StoreFailed: it is neither SQLite in a file nor PostgreSQL.
    """
    if "://" not in url:
        return _sqlite(URL.create("sqlite", database=url))
    # Which other tools take and SQLAlchemy does not.
    if url.startswith("postgres://"):
        url = "postgresql" + url.removeprefix("postgres")
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise StoreFailed(f"The database {url.split(':', 1)[0]}:… is not a URL as SQLAlchemy takes it.") from error
    backend = parsed.get_backend_name()
    if backend == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    if backend == "sqlite" and parsed.database not in (None, "", ":memory:"):
        return _sqlite(parsed.set(drivername="sqlite"))
    raise StoreFailed(
        f"The database {parsed.render_as_string(hide_password=True)} is neither a SQLite file (sqlite:///PATH) "
        "nor PostgreSQL (postgresql://HOST/NAME)."
    )


def _sqlite(url: URL) -> URL:
    if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
        raise StoreFailed(
            f"This Python comes with SQLite {sqlite3.sqlite_version}, and "
            f"{'.'.join(map(str, _OLDEST_SQLITE))} is needed; PostgreSQL (postgresql://HOST/NAME) works too."
        )
    return url


def _engine(url: URL) -> Engine:
    if url.get_backend_name() == "postgresql":
        # Two servers and two workers together stay below PostgreSQL's default of 100 connections.
        # A database without an encoding would hand out bytes for text.
        encoding = {"client_encoding": "utf8"}
        engine = create_engine(url, pool_size=10, max_overflow=10, pool_timeout=_PATIENCE, connect_args=encoding)
        event.listen(engine, "connect", _prepare_postgresql)
        return engine
    engine = create_engine(url, pool_size=10, max_overflow=40, pool_timeout=_PATIENCE)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _: Any) -> None:
    # The driver would begin transactions of its own, too late and of the wrong kind.
    connection.isolation_level = None
    for pragma in (
        "busy_timeout = 15000",
        "journal_mode = WAL",
        "synchronous = FULL",
        # 8 MiB of pages: what a list looks at stays in memory.
        "cache_size = -8192",
        # A log that one large transaction made long is cut again.
        "journal_size_limit = 67108864",
    ):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _prepare_postgresql(connection: Any, _: Any) -> None:
    with _autocommit(connection), connection.cursor() as cursor:
        # Acknowledged means on the disk, whatever the cluster does for others.
        cursor.execute(
            "SELECT set_config('synchronous_commit', 'on', false) "
            "WHERE current_setting('synchronous_commit') = 'off'"
        )
        # A process that was stopped in the middle of a transaction does not keep its locks for ever.
        cursor.execute("SET idle_in_transaction_session_timeout = '60s'")
        cursor.execute("SET lock_timeout = '10s'")


@contextlib.contextmanager
def _autocommit(connection: Any) -> Iterator[None]:
    connection.autocommit = True
    try:
        yield
    finally:
        connection.autocommit = False


def _passes(error: DBAPIError) -> bool:
    """Whether the same transaction may succeed if it is tried again."""
    if error.connection_invalidated:
        return True
    cause = error.orig
    code = getattr(cause, "sqlite_errorcode", None)
    if code is not None:
        return code & 0xFF in (_SQLITE_BUSY, _SQLITE_LOCKED)
    state = getattr(cause, "sqlstate", None)
    if state is not None:
        return state in _PASSING or state.startswith("08")
    # Python 3.10 says only in words that a file is locked; and psycopg says of a server that cannot be
    # reached nothing but that.
    return type(cause).__name__ == "OperationalError" and (
        "locked" in str(cause) or type(cause).__module__.startswith("psycopg")
    )


def _reason(error: DBAPIError) -> str:
    return " ".join(str(error.orig).split()).rstrip(".")
