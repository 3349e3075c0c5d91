"""A URL is a name, to the letter, for every operation; only a pattern is a pattern."""

from __future__ import annotations

import contextlib
import tempfile
import uuid
from collections.abc import Iterator

import pytest
from fsspec.implementations.memory import MemoryFileSystem
from hypothesis import example, given, settings
from hypothesis import strategies as st

from batchpredict import storage

# No slash, no zero byte, nothing that UTF-8 cannot hold; not `.` and `..`, which mean folders to this machine.
NAMES = st.one_of(
    st.sampled_from(
        ["run[1]", "run1", "a::b", "a", "*", "?", "**", "[!a]", "a#1", "a?b", "50%25", "~", "{a,b}", "c:"]
    ),
    st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=8),
).filter(lambda name: name not in (".", "..") and len(name.encode()) < 200)


@contextlib.contextmanager
def folder(kind: str) -> Iterator[str]:
    """URL of a folder that is not there yet, on one of the stores that need no server."""
    if kind == "local":
        with tempfile.TemporaryDirectory() as base:
            yield f"{base}/folder"
    elif kind == "memory":
        name = uuid.uuid4().hex
        yield f"memory://{name}"
        for path in [path for path in MemoryFileSystem.store if path.startswith(f"/{name}/")]:
            del MemoryFileSystem.store[path]
    else:
        double = storage.Double()
        with double.mounted():
            yield double.folder()


def put(url: str, data: bytes) -> None:
    file = storage.open_write(url)
    file.write(data)
    storage.close_written(file)


@pytest.mark.parametrize("kind", ["local", "memory", "double"])
@settings(max_examples=150, deadline=None)
@given(names=st.lists(NAMES, min_size=2, max_size=6, unique=True), inner=NAMES)
@example(names=["run[1]", "run1"], inner="part-0")
@example(names=["*", "a", "b"], inner="**")
@example(names=["a::b", "memory::c"], inner="x::gs:")
def test_each_operation_concerns_the_one_file_of_that_name(kind: str, names: list[str], inner: str) -> None:
    with folder(kind) as base:
        files = {storage.join(base, name, inner): name.encode() for name in names}
        for url, data in files.items():
            put(url, data)
        for name in names:
            assert storage.list_names(storage.join(base, name)) == [inner]
        victim, *others = files
        assert storage.size_of(victim) == len(files[victim])
        assert storage.read_bytes(victim) == storage.read_range(victim, 0, 999) == files[victim]
        with storage.open_read(victim) as file:
            assert file.read(999) == files[victim]
        assert not storage.create_if_absent(victim, b"other")
        storage.replace_bytes(victim, b"new")
        storage.move(victim, f"{victim} moved")
        assert not storage.exists(victim)
        assert storage.list_names(storage.parent(victim)) == [f"{inner} moved"]
        storage.delete(f"{victim} moved")
        assert storage.create_if_absent(victim, b"again")
        storage.delete(storage.parent(victim), recursive=True)
        assert not storage.exists(victim)
        assert {url: storage.read_bytes(url) for url in others} == {url: files[url] for url in others}


@pytest.mark.parametrize("kind", ["local", "memory", "double"])
@settings(max_examples=150, deadline=None)
@given(names=st.lists(NAMES, min_size=1, max_size=6, unique=True), inner=NAMES)
def test_what_a_listing_gives_is_read_under_that_name(kind: str, names: list[str], inner: str) -> None:
    with folder(kind) as base:
        for name in names:
            put(storage.join(base, name, inner), name.encode())
        found = storage.tree(base)
        assert sorted(found) == sorted(f"{name}/{inner}" for name in names)
        for name, file in found.items():
            assert storage.read_bytes(file.url) == name.partition("/")[0].encode()
            assert [one.url for one in storage.expand(file.url)] == [file.url]


def tree(base: str, *names: str) -> None:
    for name in names:
        put(storage.join(base, name), name.encode())


def matched(base: str, pattern: str) -> list[str]:
    return [
        file.url.partition(storage.name_of(base) + "/")[2] for file in storage.expand(storage.join(base, pattern))
    ]


class TestAFolderThatIsThereByThatVeryNameWins:
    """Over what the same characters mean as wildcards."""

    @pytest.mark.parametrize(
        ("pattern", "names"),
        [
            ("run[1]/part-*", ["run[1]/part-0"]),
            ("run[1]/part-0", ["run[1]/part-0"]),
            ("run[1]", ["run[1]/part-0"]),
            ("run[1]/**", ["run[1]/part-0"]),
            ("run?/*", ["run?/part-0"]),
            ("run*/part-*", ["run*/part-0"]),
            ("run[2]/part-*", ["run2/part-0"]),
            ("r*[1]/part-*", ["run1/part-0"]),
            ("deep/*/[a]/x", ["deep/1/[a]/x", "deep/2/a/x"]),
        ],
    )
    def test_on_the_way(self, base: str, pattern: str, names: list[str]) -> None:
        folders = ["run[1]", "run1", "run2", "run?", "run*"]
        tree(base, *(f"{name}/part-0" for name in folders), "deep/1/[a]/x", "deep/1/a/x", "deep/2/a/x")
        assert matched(base, pattern) == names

    def test_a_file_too(self, base: str) -> None:
        tree(base, "x/part[0]", "x/part0", "y/part0")
        assert matched(base, "x/part[0]") == ["x/part[0]"]
        assert matched(base, "*/part[0]") == ["x/part[0]", "y/part0"]


@pytest.mark.parametrize("name", ["a::b", "run[1]", "x*", "what?", "1#2", "c::gs:", "50%25"])
def test_an_odd_name_on_every_store(base: str, name: str) -> None:
    tree(base, f"{name}/{name}", "run1/a", "xy/a", "whatx/a", "a/b", "50%/a")
    assert matched(base, f"{name}/*") == [f"{name}/{name}"]
    found = list(storage.expand(storage.join(base, "**")))
    assert [storage.read_bytes(file.url).decode() for file in found] == [
        file.url.partition(storage.name_of(base) + "/")[2] for file in found
    ]
    assert storage.is_directory(storage.join(base, name))
    storage.delete(storage.join(base, name), recursive=True)
    assert not storage.exists(storage.join(base, name))
    assert sorted(storage.tree(base)) == sorted(["run1/a", "xy/a", "whatx/a", "a/b", "50%/a"])
