"""Local patterns mean what fsspec's mean, although they are matched here."""

from __future__ import annotations

import os
import tempfile

from fsspec.implementations.local import LocalFileSystem
from hypothesis import given, settings
from hypothesis import strategies as st

from batchpredict import storage
from batchpredict.errors import NoInput

NAMES = st.sampled_from(["a", "b", ".a", "a-b", "a.json", "ab", "[a]", "a?"])
PATHS = st.lists(st.lists(NAMES, min_size=1, max_size=3).map("/".join), max_size=8)
PATTERNS = st.lists(
    st.sampled_from(["*", "**", "a", "a*", "?", "[ab]", "*.json", ".*", "[!a]*", "ab"]), min_size=1, max_size=3
).map("/".join)


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
        if "*" not in pattern and fs.isdir(whole):
            expected = sorted(entry["name"] for entry in fs.ls(whole, detail=True) if entry["type"] == "file")
        else:
            found = fs.glob(whole, detail=True)
            expected = sorted(path for path, info in found.items() if info["type"] == "file")
        try:
            matched = [file.url for file in storage.expand(whole)]
        except NoInput:
            matched = []
        assert matched == expected
