"""Fixtures of the tests of the registry."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from registry_support import World, world


@pytest.fixture
def here(tmp_path) -> Iterator[World]:
    """A registry that performs its operations."""
    with world(tmp_path) as found:
        yield found


@pytest.fixture
def idle(tmp_path) -> Iterator[World]:
    """A registry whose operations nobody performs."""
    with world(tmp_path, started=False) as found:
        yield found
