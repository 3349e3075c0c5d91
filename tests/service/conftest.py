"""Fixtures of several parts of the service."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from service import postgres
from service.postgres import Postgres


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    if postgres.MISSING:
        pytest.skip(f"no PostgreSQL: {postgres.MISSING}")
    with postgres.serving() as server:
        yield server
