"""Fixtures of the tests of the registry."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from service.postgres import Postgres
from service.registry_support import World, world


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def database(request) -> str:
    """The URL of an empty database; "" for a file in the folder of the data."""
    if request.param == "sqlite":
        return ""
    server: Postgres = request.getfixturevalue("postgres_server")
    return server.new_database()


@pytest.fixture
def here(tmp_path, database) -> Iterator[World]:
    """A registry that performs its operations."""
    with world(tmp_path, database=database) as found:
        yield found


@pytest.fixture
def idle(tmp_path) -> Iterator[World]:
    """A registry whose operations nobody performs."""
    with world(tmp_path, started=False) as found:
        yield found
