"""A world of inputs and epochs for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from epochs.watching import World

from batchpredict import storage


@pytest.fixture
def world() -> Iterator[World]:
    double = storage.Double()
    with double.mounted():
        world = World(double)
        yield world
        world.close()
