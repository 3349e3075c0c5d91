"""A service with its console: one that asks for tokens, and one that asks nobody."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from service.console_support import World, world


@pytest.fixture
def shop(tmp_path) -> Iterator[World]:
    with world(str(tmp_path)) as made:
        yield made


@pytest.fixture
def open_shop(tmp_path) -> Iterator[World]:
    with world(str(tmp_path), open_to_all=True) as made:
        yield made
