"""What the engine relies on, on every file system."""

from __future__ import annotations

import multiprocessing
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from batchpredict import storage
from batchpredict.errors import NoMatch

AWKWARD = ["with space.json", "größe-日本.json", "100% #1 & more+.json", "a,b;c='d'.json"]


def put(url: str, data: bytes = b"x") -> str:
    file = storage.open_write(url)
    file.write(data)
    storage.close_written(file)
    return url


def test_an_asterisk_matches_the_name_that_holds_one_and_others(base: str) -> None:
    tree(base, "star*.json", "starry.json")
    assert matched(base, "star*.json") == ["star*.json", "starry.json"]


def test_a_local_file_has_one_name_however_it_is_spelled(tmp_path: Path) -> None:
    base = str(tmp_path / "folder")
    tree(base, "a.json", "sub/b.json")
    spelled = ["a.json", "./a.json", "/a.json", "sub/../a.json", "sub/../*.json", "sub/.././sub//b.json"]
    assert matched(base, *spelled) == ["a.json", "sub/b.json"]
    assert [file.url for file in storage.match([f"{base}/sub/../a.json"])] == [f"{base}/a.json"]


def test_a_local_name_may_hold_two_colons(tmp_path: Path) -> None:
    base = str(tmp_path / "folder")
    tree(base, "a", "a::b")
    assert matched(base, "a::b") == ["a::b"]
    assert storage.read_bytes(f"{base}/a::b") == b"a::b"


def test_of_a_pipe_all_that_comes_out_of_it_is_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with ThreadPoolExecutor(1) as pool:
        read = pool.submit(storage.read_bytes, f"file://{tmp_path}/pipe")
        (tmp_path / "pipe").write_bytes(b"1" * 100_000)
        assert read.result() == b"1" * 100_000


def test_a_local_name_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with open(os.fsencode(tmp_path / "folder") + b"/\xff", "w"):
        pass
    with pytest.raises(NoMatch, match="is not UTF-8; rename it"):
        list(storage.expand(str(tmp_path / "folder")))


def tree(base: str, *names: str) -> None:
    for name in names:
        put(storage.join(base, name), name.encode())


def matched(base: str, *patterns: str) -> list[str]:
    """Names below `base` of what the patterns match."""
    found = storage.match(storage.join(base, pattern) for pattern in patterns)
    return [file.url.partition(storage.name_of(base) + "/")[2] for file in found]


class TestCreateIfAbsent:
    def test_creates_folders_and_file(self, base: str) -> None:
        url = storage.join(base, "a", "b", "c.json")
        assert storage.create_if_absent(url, b"first")
        assert storage.read_bytes(url) == b"first"

    def test_leaves_what_is_there(self, base: str) -> None:
        url = storage.join(base, "c.json")
        assert storage.create_if_absent(url, b"first")
        assert not storage.create_if_absent(url, b"second")
        assert storage.read_bytes(url) == b"first"

    def test_leaves_nothing_else_behind(self, base: str) -> None:
        for data in (b"first", b"second"):
            storage.create_if_absent(storage.join(base, "c.json"), data)
        assert storage.list_names(base) == ["c.json"]

    def test_one_of_many_threads_wins(self, base: str) -> None:
        threads = 16
        start = threading.Barrier(threads)
        for round_ in range(20):
            url = storage.join(base, f"{round_}.json")
            contents = [bytes([number]) * 10_000 for number in range(threads)]

            def create(data: bytes, url: str = url) -> bool:
                start.wait()
                return storage.create_if_absent(url, data)

            with ThreadPoolExecutor(threads) as pool:
                won = list(pool.map(create, contents))
            assert won.count(True) == 1
            assert storage.read_bytes(url) == contents[won.index(True)]

    def test_one_of_many_processes_wins(self, tmp_path: Path) -> None:
        processes = 4
        rounds = 25
        context = multiprocessing.get_context("spawn")
        start = context.Barrier(processes)
        results = context.Queue()
        racers = [
            context.Process(target=_race, args=(str(tmp_path), number, rounds, start, results))
            for number in range(processes)
        ]
        for racer in racers:
            racer.start()
        won = dict(results.get(timeout=60) for _ in racers)
        for racer in racers:
            racer.join()
        for round_ in range(rounds):
            winners = [number for number in won if won[number][round_]]
            assert len(winners) == 1
            content = storage.read_bytes(str(tmp_path / f"{round_}.json"))
            assert content == bytes([winners[0]]) * 100_000


def _race(folder: str, number: int, rounds: int, start: Barrier, results: Queue[tuple[int, list[bool]]]) -> None:
    won = []
    for round_ in range(rounds):
        start.wait()
        won.append(storage.create_if_absent(storage.join(folder, f"{round_}.json"), bytes([number]) * 100_000))
    results.put((number, won))


class TestMove:
    def test_gives_the_file_its_new_name(self, base: str) -> None:
        source = put(storage.join(base, "staging", "part"), b"result")
        target = storage.join(base, "out", "prediction.results-00000-of-00001")
        storage.move(source, target)
        assert storage.read_bytes(target) == b"result"
        assert not storage.exists(source)

    def test_replaces_the_target(self, base: str) -> None:
        source = put(storage.join(base, "a"), b"new")
        target = put(storage.join(base, "b"), b"old and longer")
        storage.move(source, target)
        assert storage.read_bytes(target) == b"new"
        assert storage.list_names(base) == ["b"]

    def test_without_a_source_the_target_stays(self, base: str) -> None:
        target = put(storage.join(base, "b"), b"old")
        with pytest.raises(FileNotFoundError):
            storage.move(storage.join(base, "a"), target)
        assert storage.read_bytes(target) == b"old"


class TestSmallFiles:
    def test_replace_creates_and_replaces(self, base: str) -> None:
        url = storage.join(base, "deep", "owner.json")
        for data in (b"a longer one", b"short"):
            storage.replace_bytes(url, data)
            assert storage.read_bytes(url) == data
        assert storage.list_names(storage.join(base, "deep")) == ["owner.json"]

    def test_a_file_that_is_not_there(self, base: str) -> None:
        url = storage.join(base, "nothing")
        assert not storage.exists(url)
        for operation in (storage.read_bytes, storage.size_of, storage.open_read):
            with pytest.raises(FileNotFoundError):
                operation(url)

    @pytest.mark.parametrize("name", AWKWARD)
    def test_any_name(self, base: str, name: str) -> None:
        url = storage.join(base, "folder of " + name, name)
        assert storage.create_if_absent(url, b"12345")
        assert storage.exists(url)
        assert storage.size_of(url) == 5
        assert storage.list_names(storage.parent(url)) == [name]
        storage.move(url, url + " moved")
        assert storage.read_bytes(url + " moved") == b"12345"
        storage.delete(url + " moved")
        assert storage.list_names(storage.parent(url)) == []


class TestDelete:
    def test_a_file(self, base: str) -> None:
        tree(base, "a", "b")
        storage.delete(storage.join(base, "a"))
        assert storage.list_names(base) == ["b"]

    def test_a_folder(self, base: str) -> None:
        tree(base, "keep", "x/a", "x/y/b")
        storage.delete(storage.join(base, "x"), recursive=True)
        assert storage.list_names(storage.join(base, "x", "y")) == []
        assert storage.list_names(base) == ["keep"]

    def test_what_is_not_there(self, base: str) -> None:
        storage.delete(storage.join(base, "nothing"))
        storage.delete(storage.join(base, "nothing"), recursive=True)


class TestListNames:
    def test_files_only_and_sorted(self, base: str) -> None:
        tree(base, "b", "a", "c/d")
        assert storage.list_names(base) == ["a", "b"]
        assert storage.list_names(base + "/") == ["a", "b"]

    def test_no_such_folder(self, base: str) -> None:
        assert storage.list_names(storage.join(base, "nothing")) == []

    def test_sees_what_was_just_written(self, base: str) -> None:
        for number in range(3):
            put(storage.join(base, str(number)))
            assert len(storage.list_names(base)) == number + 1

    def test_folders_are_folders(self, base: str) -> None:
        tree(base, "x/a")
        assert storage.is_directory(storage.join(base, "x"))
        assert not storage.is_directory(storage.join(base, "x", "a"))
        assert not storage.is_directory(storage.join(base, "nothing"))


class TestOpenRead:
    def test_ranges(self, base: str) -> None:
        data = bytes(range(256)) * 1000
        url = put(storage.join(base, "data"), data)
        assert storage.size_of(url) == len(data)
        with storage.open_read(url) as file:
            for offset, count in ((0, 10), (255_990, 100), (70_001, 100_000), (5, 0), (256_000, 1)):
                file.seek(offset)
                assert file.read(count) == data[offset : offset + count]
            file.seek(1000)
            assert b"".join(iter(lambda: file.read(4096), b"")) == data[1000:]

    def test_two_readers_do_not_meet(self, base: str) -> None:
        url = put(storage.join(base, "data"), b"0123456789")
        with storage.open_read(url) as one, storage.open_read(url) as other:
            assert one.read(3) == b"012"
            assert other.read(3) == b"012"
            assert one.read(3) == b"345"

    def test_large_pieces_come_whole(self, base: str) -> None:
        data = bytes(3 << 20)
        url = put(storage.join(base, "data"), data)
        with storage.open_read(url) as file:
            assert file.read(2 << 20) == data[: 2 << 20]


class TestMatch:
    @pytest.fixture(autouse=True)
    def files(self, base: str) -> None:
        tree(base, "a1.json", "a2.json", "b1.json", "x/a1.json", "x/y/a1.json", "z/a1.json", "z/c.txt")

    @pytest.mark.parametrize(
        ("pattern", "names"),
        [
            ("a1.json", ["a1.json"]),
            ("*", ["a1.json", "a2.json", "b1.json"]),
            ("a*", ["a1.json", "a2.json"]),
            ("?1.json", ["a1.json", "b1.json"]),
            ("a[2-9].json", ["a2.json"]),
            ("[!a]*.json", ["b1.json"]),
            ("*/a1.json", ["x/a1.json", "z/a1.json"]),
            ("[xz]/*", ["x/a1.json", "z/a1.json", "z/c.txt"]),
            ("**/a1.json", ["a1.json", "x/a1.json", "x/y/a1.json", "z/a1.json"]),
            ("x/**", ["x/a1.json", "x/y/a1.json"]),
            ("?/*/*.json", ["x/y/a1.json"]),
            ("x", ["x/a1.json"]),
            ("x/", ["x/a1.json"]),
            ("z", ["z/a1.json", "z/c.txt"]),
        ],
    )
    def test_pattern(self, base: str, pattern: str, names: list[str]) -> None:
        assert matched(base, pattern) == names

    def test_each_file_once_in_the_order_of_the_patterns(self, base: str) -> None:
        assert matched(base, "z/*", "b1.json", "*", "b1.json") == [
            "z/a1.json",
            "z/c.txt",
            "b1.json",
            "a1.json",
            "a2.json",
        ]

    def test_what_is_found_can_be_read(self, base: str) -> None:
        for file in storage.match([storage.join(base, "**")]):
            assert storage.size_of(file.url) == file.size
            with storage.open_read(file.url) as opened:
                assert file.url.endswith(opened.read().decode())

    def test_version_stays_until_the_content_changes(self, base: str) -> None:
        url = storage.join(base, "a1.json")
        before = list(storage.expand(url))
        assert list(storage.expand(storage.join(base, "a1*"))) == before
        assert before[0].version
        put(url, b"another content")
        assert list(storage.expand(url)) != before

    @pytest.mark.parametrize("pattern", ["nothing", "nothing/*", "b*.txt", "[k]*", "**/nothing"])
    def test_no_match_names_the_pattern(self, base: str, pattern: str) -> None:
        url = storage.join(base, pattern)
        with pytest.raises(NoMatch) as caught:
            list(storage.match([url]))
        assert str(caught.value) == f"'{url}' matches no file"

    def test_a_pattern_that_is_none(self, base: str) -> None:
        with pytest.raises(NoMatch, match=r"^'.*a\*\*b' cannot be listed: .*\*\*"):
            list(storage.expand(storage.join(base, "a**b")))

    def test_an_empty_folder(self, tmp_path: Path) -> None:
        with pytest.raises(NoMatch, match="matches no file"):
            list(storage.expand(str(tmp_path)))


@pytest.mark.parametrize("name", [*AWKWARD, "part[1].json", "what?.json", "[x].json"])
def test_a_name_is_taken_literally(base: str, name: str) -> None:
    tree(base, name, "part1.json", "whatx.json", "starry.json", "x.json")
    assert matched(base, name) == [name]
    assert name in matched(base, "*")


def test_brackets_in_a_folder_name(base: str) -> None:
    tree(base, "run[1]/a.json", "run[1]/b.json", "run1/c.json")
    assert matched(base, "run[1]") == ["run[1]/a.json", "run[1]/b.json"]
    assert matched(base, "run[1]/a.json") == ["run[1]/a.json"]


def test_an_empty_file_is_a_file(base: str) -> None:
    put(storage.join(base, "empty"), b"")
    assert [file.size for file in list(storage.expand(storage.join(base, "*")))] == [0]


def test_what_was_synced_is_read(base: str) -> None:
    url = put(storage.join(base, "a", "b"), b"1")
    storage.sync(url)
    storage.sync_folders(storage.parent(url), base)
    assert storage.read_bytes(url) == b"1"


def test_a_download_is_the_file(base: str, tmp_path: Path) -> None:
    url = put(storage.join(base, "run[1]", "a::b"), b"x" * 100_000)
    storage.download(url, str(tmp_path / "here"))
    assert (tmp_path / "here").read_bytes() == b"x" * 100_000
    with pytest.raises(FileNotFoundError):
        storage.download(f"{url} not", str(tmp_path / "there"))


def test_the_files_of_a_folder_are_given_with_their_versions(base: str) -> None:
    for name in ("a.1", "a.2", "b.1"):
        storage.replace_bytes(storage.join(base, name), b"xy")
    storage.replace_bytes(storage.join(base, "a", "deep"), b"")

    files = storage.files_in(base, "a.")

    assert list(files) == ["a.1", "a.2"]
    assert files["a.1"] == storage.info(storage.join(base, "a.1"))
    assert list(storage.files_in(base)) == ["a.1", "a.2", "b.1"]
    assert storage.files_in(storage.join(base, "none")) == {}
