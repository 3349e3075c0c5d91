"""Which line of an installer's says what went wrong."""

from __future__ import annotations

import pytest

from batchpredict.training.replica.installing import Ended

PIP = (
    "WARNING: Retrying",
    "ERROR: Could not find a version that satisfies the requirement nosuch (from versions: none)",
    "ERROR: No matching distribution found for nosuch",
    "[notice] A new release of pip is available",
)
UV = (
    "error: No solution found when resolving dependencies",
    "  cause: Because nosuch was not found in the package registry, your requirements are unsatisfiable.",
    "         And because you require nosuch, they are indeed.",
    "",
    "hint: Packages were unavailable because the network was disabled.",
)
OLDER_UV = (
    "  × No solution found when resolving dependencies:",
    "  ╰─▶ Because nosuch was not found, your requirements are unsatisfiable.",
)
BUILD = ("running bdist_wheel", "Traceback (most recent call last):", '  File "setup.py"', "ValueError: no", "")

UNEXPECTED = ("ERROR: Exception:", "Traceback (most recent call last):", '  File "x"', "zipfile.BadZipFile: no zip")


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (PIP, "No matching distribution found for nosuch"),
        (UV, "Because nosuch was not found in the package registry, your requirements are unsatisfiable"),
        (OLDER_UV, "Because nosuch was not found, your requirements are unsatisfiable"),
        (BUILD, "ValueError: no"),
        (UNEXPECTED, "zipfile.BadZipFile: no zip"),
        ((), "it ended with status 2"),
    ],
)
def test_the_reason_is_the_line_that_says_it(lines: tuple[str, ...], reason: str) -> None:
    assert Ended(2, lines).reason == reason
