"""Patterns mean what fsspec's mean, less hidden names, although they are matched here."""

from __future__ import annotations

import fnmatch
import os
import tempfile

from fsspec.implementations.local import LocalFileSystem
from hypothesis import given, settings
from hypothesis import strategies as st

from batchpredict import storage
from batchpredict.errors import NoMatch

NAMES = st.sampled_from(["a", "b", ".a", "_a", "_a=1", "a-b", "a.json", "ab", "[a]", "a?"])
PATHS = st.lists(st.lists(NAMES, min_size=1, max_size=3).map("/".join), max_size=8)
PATTERNS = st.lists(
    st.sampled_from(["*", "**", "a", "a*", "?", "[ab]", "*.json", ".*", "_*", "[!a]*", "[_.]a", "ab"]),
    min_size=1,
    max_size=3,
).map("/".join)


def shown(names: list[str], parts: list[str]) -> bool:
    """Whether hidden names of a path are all spelled by a pattern, by trying every way in which the two fit."""
    if not names or not parts:
        return not names and all(part == "**" for part in parts)
    hidden = names[0][0] == "." or (names[0][0] == "_" and "=" not in names[0])
    if parts[0] == "**":
        return shown(names, parts[1:]) or (not hidden and shown(names[1:], parts))
    fits = names[0] == parts[0] or fnmatch.fnmatchcase(names[0], parts[0])
    return fits and (not hidden or parts[0][0] == names[0][0]) and shown(names[1:], parts[1:])


@settings(max_examples=300, deadline=None)
@given(paths=PATHS, pattern=PATTERNS)
def test_a_pattern_matches_what_fsspec_matches(paths: list[str], pattern: str) -> None:
    with tempfile.TemporaryDirectory() as base:
        for path in paths:
            whole = os.path.join(base, path)
            if os.path.isdir(whole) or any(
                os.path.isfile(os.path.join(base, *path.split("/")[:n])) for n in (1, 2)
            ):
                continue
            os.makedirs(os.path.dirname(whole), exist_ok=True)
            with open(whole, "w"):
                pass
        whole = f"{base}/{pattern}"
        fs = LocalFileSystem()
        parts = pattern.split("/")
        if "*" not in pattern and fs.isdir(whole):
            expected = sorted(entry["name"] for entry in fs.ls(whole, detail=True) if entry["type"] == "file")
            parts.append("*")
        else:
            found = fs.glob(whole, detail=True)
            expected = sorted(path for path, info in found.items() if info["type"] == "file")
        expected = [path for path in expected if shown(path.removeprefix(f"{base}/").split("/"), parts)]
        try:
            matched = [file.url for file in storage.expand(whole)]
        except NoMatch:
            matched = []
        assert matched == expected
