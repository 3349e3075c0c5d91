"""Fixtures of the tests of models."""

from __future__ import annotations

import pytest
from making import make
from support import TESTDATA

__all__ = ["make"]


@pytest.fixture(scope="session")
def testdata() -> str:
    return TESTDATA
