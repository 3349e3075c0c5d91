"""A service with its console: one that asks for tokens, and one that asks nobody."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

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


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A headless Chromium; see tests/browser/install."""
    playwright = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no browser: tests/browser/install")
    with playwright.sync_playwright() as started:
        # A sandbox needs rights that containers do not give; the pages are our own.
        made = started.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield made
        made.close()
