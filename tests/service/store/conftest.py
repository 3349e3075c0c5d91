"""One suite, both databases."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator

import pytest
from service.postgres import Postgres
from service.store_support import Clock
from sqlalchemy.engine import make_url

from batchpredict.service.store import Store, migrate, open_store

BOTH = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)]


@pytest.fixture(params=BOTH)
def database(request, tmp_path) -> str:
    """The URL of a database that is empty."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/jobs.db"
    server: Postgres = request.getfixturevalue("postgres_server")
    return server.new_database()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory) -> str:
    """A file with the schema and nothing else."""
    path = str(tmp_path_factory.mktemp("template") / "jobs.db")
    migrate(path)
    return path


@pytest.fixture(scope="session")
def postgres_template(postgres_server) -> str:
    """The name of a database with the schema and nothing else."""
    url = postgres_server.new_database()
    migrate(url)
    return str(make_url(url).database)


@pytest.fixture(params=BOTH)
def migrated(request, tmp_path) -> str:
    """The URL of a database with the schema: a copy, because migrations take a while."""
    if request.param == "sqlite":
        path = f"{tmp_path}/jobs.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        return f"sqlite:///{path}"
    server: Postgres = request.getfixturevalue("postgres_server")
    return server.new_database(request.getfixturevalue("postgres_template"))


@pytest.fixture
def opened() -> Iterator[Callable[..., Store]]:
    """`open_store`, and all that it opened is closed at the end."""
    stores: list[Store] = []

    def open_one(url: str, clock: Clock | None = None) -> Store:
        stores.append(open_store(url, clock))
        return stores[-1]

    yield open_one
    for store in stores:
        store.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(migrated, opened, clock) -> Store:
    """A store whose clock stands still until a test moves it."""
    opened_store: Store = opened(migrated, clock)
    return opened_store
