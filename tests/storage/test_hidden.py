"""Which files a folder and a wildcard mean: the data as Hadoop and Spark see it, all of it or an error."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from batchpredict import storage
from batchpredict.errors import NoMatch

FILES = [
    "part-0", "_SUCCESS", "_metadata", "_common_metadata", ".part-0.crc", ".hidden/x", "_temporary/0/part-1",
    "part-2._COPYING_", "_c0=1/part-0", "_c0=1/_SUCCESS", "_c0=1/.part-0.crc", "year=2016/part-0", "_x/a", "_x/_y",
]  # fmt: skip


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("", ["part-0"]),
        ("*", ["part-0"]),
        ("**", ["_c0=1/part-0", "part-0", "year=2016/part-0"]),
        ("*/*", ["_c0=1/part-0", "year=2016/part-0"]),
        ("**/part-*", ["_c0=1/part-0", "part-0", "year=2016/part-0"]),
        ("_*", ["_SUCCESS", "_common_metadata", "_metadata"]),
        (".*", [".part-0.crc"]),
        ("_SUCCESS", ["_SUCCESS"]),
        (".part-0.crc", [".part-0.crc"]),
        ("_temporary/**", ["_temporary/0/part-1"]),
        ("_*/**/part-*", ["_c0=1/part-0", "_temporary/0/part-1"]),
        ("_x", ["_x/a"]),
        ("_x/_*", ["_x/_y"]),
        ("*._COPYING_", ["part-2._COPYING_"]),
        ("**/_SUCCESS", ["_SUCCESS", "_c0=1/_SUCCESS"]),
    ],
)
def test_hidden_names_are_data_only_where_the_pattern_spells_them(
    base: str, pattern: str, names: list[str]
) -> None:
    for name in FILES:
        storage.replace_bytes(storage.join(base, name), b"1")
    found = storage.expand(storage.join(base, pattern) if pattern else base)
    assert [file.url.partition(storage.name_of(base) + "/")[2] for file in found] == names


@pytest.mark.parametrize("pattern", ["[_]SUCCESS", "?SUCCESS", "*SUCCESS", "[!a]*"])
def test_a_wildcard_spells_nothing(base: str, pattern: str) -> None:
    storage.replace_bytes(storage.join(base, "_SUCCESS"), b"")
    with pytest.raises(NoMatch, match="matches no file"):
        list(storage.expand(storage.join(base, pattern)))


# Root may list every folder, so this is tried as somebody else; in a process, whose user can be another one.
EXPAND = """
import os, sys
from batchpredict import storage
from batchpredict.errors import NoMatch
os.setgid(65534); os.setuid(65534)
try:
    print(sorted(storage.name_of(file.url) for file in storage.expand(sys.argv[1])))
except NoMatch as error:
    print(error)
"""


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
class TestAFolderThatMayNotBeListed:
    @pytest.fixture
    def place(self) -> object:
        import shutil
        import tempfile

        # pytest's own folders may be entered by nobody else.
        place = tempfile.mkdtemp()
        os.chmod(place, 0o755)
        for name in ("in/open", "in/closed", "in/_hidden"):
            os.makedirs(f"{place}/{name}")
            Path(f"{place}/{name}/part-0").write_text("1")
        os.chmod(f"{place}/in/closed", 0o711)
        os.chmod(f"{place}/in/_hidden", 0o700)
        yield place
        shutil.rmtree(place)

    def said(self, pattern: str) -> str:
        found = subprocess.run(
            [sys.executable, "-c", EXPAND, pattern], capture_output=True, text=True, timeout=60, check=True
        )
        return found.stdout.strip()

    @pytest.mark.parametrize("pattern", ["in/**", "in/*/part-*", "in/closed", "in/closed/*"])
    def test_is_named(self, place: str, pattern: str) -> None:
        said = self.said(f"{place}/{pattern}")
        assert f"'{place}/{pattern}' cannot be listed: " in said
        assert f"'{place}/in/closed'" in said

    @pytest.mark.parametrize("pattern", ["in/open/**", "in/o*/*", "in/closed/part-0"])
    def test_concerns_nobody_who_does_not_look_into_it(self, place: str, pattern: str) -> None:
        assert self.said(f"{place}/{pattern}") == "['part-0']"


def test_a_store_that_refuses_to_list_a_folder_on_the_way_is_named(
    memory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As hdfs:// and sftp:// do, whose folders are listed one by one."""
    from fsspec.implementations.memory import MemoryFileSystem

    from batchpredict.storage import listing

    monkeypatch.setattr(listing, "MemoryFileSystem", type(None))
    for name in ("open/x", "closed/x", "_tmp/x"):
        storage.replace_bytes(f"{memory}/in/{name}", b"1")
    original = MemoryFileSystem.ls

    def ls(fs: object, path: str, **named: object) -> object:
        if path.endswith(("/closed", "/_tmp")):
            raise PermissionError("not for you")
        return original(fs, path, **named)

    monkeypatch.setattr(MemoryFileSystem, "ls", ls)
    with pytest.raises(NoMatch, match=r"cannot be listed: '.*/in/closed': not for you"):
        list(storage.expand(f"{memory}/in/**"))
    assert [storage.name_of(storage.parent(file.url)) for file in storage.expand(f"{memory}/in/o*/**")] == ["open"]
