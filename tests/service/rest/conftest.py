"""One service for the tests of a file: what they create has names of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from service import rest_support
from service.rest_support import World


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Iterator[World]:
    """A service that asks nobody for a token."""
    with rest_support.world(str(tmp_path_factory.mktemp("service"))) as made:
        yield made
