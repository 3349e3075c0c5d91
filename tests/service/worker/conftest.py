"""The store of the tests of workers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from batchpredict.service.store import Store, open_store


@pytest.fixture
def store(tmp_path) -> Iterator[Store]:
    store = open_store(str(tmp_path / "jobs.db"))
    yield store
    store.close()
