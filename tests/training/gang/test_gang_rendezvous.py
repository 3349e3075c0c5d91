"""What every rendezvous must do. Another implementation is one more fixture here."""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import fsspec
import pytest

from batchpredict import storage
from batchpredict.training.gang.folder import FolderRendezvous
from batchpredict.training.gang.interface import Rendezvous

Opening = Callable[[], Rendezvous]
"""Gives another view of one rendezvous, as another host has it."""


def _local(tmp_path: Path) -> Iterator[Opening]:
    yield lambda: FolderRendezvous(str(tmp_path / "gang"))


def _memory(_: Path) -> Iterator[Opening]:
    name = f"gang-{uuid.uuid4().hex}"
    yield lambda: FolderRendezvous(f"memory://{name}")
    fs = fsspec.filesystem("memory")
    if fs.exists(name):
        fs.rm(name, recursive=True)


def _double(_: Path) -> Iterator[Opening]:
    double = storage.Double()
    with double.mounted():
        url = double.folder()
        yield lambda: FolderRendezvous(url)


IMPLEMENTATIONS = {"local folder": _local, "folder in memory": _memory, "folder of a double": _double}


@pytest.fixture(params=[*IMPLEMENTATIONS, pytest.param("gcs", marks=pytest.mark.gcs)])
def opening(request, tmp_path) -> Iterator[Opening]:
    if request.param == "gcs":
        url = request.getfixturevalue("gcs").folder()
        yield lambda: FolderRendezvous(url)
    else:
        yield from IMPLEMENTATIONS[request.param](tmp_path)


def test_nothing_is_there_before_something_is_written(opening):
    assert opening().read() == {}
    assert opening().read("gang.") == {}


def test_the_first_creates_and_its_document_stays(opening):
    one, other = opening(), opening()

    assert one.create("gang.1.claim.master-0", {"host": "a"})
    assert not other.create("gang.1.claim.master-0", {"host": "b"})

    for view in (one, other, opening()):
        assert view.read() == {"gang.1.claim.master-0": {"host": "a"}}


def test_to_create_again_what_one_has_created_is_no_loss(opening):
    rendezvous = opening()

    assert rendezvous.create("x", {"host": "a"})
    assert rendezvous.create("x", {"host": "a"})
    assert opening().create("x", {"host": "a"})


def test_of_many_that_race_one_creates(opening):
    views = [opening() for _ in range(8)]
    gate = threading.Barrier(len(views))
    won: list[int] = []

    def race(at: int) -> None:
        gate.wait()
        if views[at].create("x", {"host": str(at)}):
            won.append(at)

    threads = [threading.Thread(target=race, args=(at,)) for at in range(len(views))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(won) == 1
    assert opening().read() == {"x": {"host": str(won[0])}}


def test_what_is_put_replaces_what_was_there_for_all(opening):
    writer, reader = opening(), opening()

    # Of one length, and one right after the other.
    for beat in range(100, 120):
        writer.put("host.a", {"beat": beat})
        assert reader.read() == {"host.a": {"beat": beat}}


def test_only_what_begins_so_is_read(opening):
    rendezvous = opening()
    for name in ("gang.cancel", "gang.1.over", "host.a", "gangway"):
        rendezvous.create(name, {"host": name})

    assert set(rendezvous.read("gang.")) == {"gang.cancel", "gang.1.over"}
    assert set(rendezvous.read("host.")) == {"host.a"}
    assert set(rendezvous.read()) == {"gang.cancel", "gang.1.over", "host.a", "gangway"}


def test_a_document_is_what_json_can_say(opening):
    document = {"text": 'größe "日本"\n\0', "number": 0.1, "big": 2**53, "none": None, "list": [True, {"a": []}]}
    opening().put("x", document)
    assert opening().read() == {"x": document}


def test_a_reader_sees_whole_documents_while_they_are_written(opening):
    writer, reader = opening(), opening()
    stop = threading.Event()

    def write() -> None:
        for beat in range(1000):
            if stop.is_set():
                return
            writer.put("host.a", {"beat": beat, "filler": str(beat) * 1000})

    thread = threading.Thread(target=write)
    thread.start()
    try:
        last = -1
        for _ in range(30):
            for document in reader.read().values():
                assert document["filler"] == str(document["beat"]) * 1000
                assert document["beat"] >= last
                last = document["beat"]
    finally:
        stop.set()
        thread.join()


# The folder ---------------------------------------------------------------------------------------------------


@pytest.fixture
def double() -> Iterator[storage.Double]:
    double = storage.Double()
    with double.mounted():
        yield double


@pytest.fixture(autouse=True)
def _patience(monkeypatch):
    """Pauses between attempts are those of `storage.retry`, and no test waits for them."""
    monkeypatch.setattr("batchpredict.storage.retry._PAUSE", 0.001)


def test_a_folder_is_listed_and_only_what_is_new_is_read(double):
    rendezvous, other = FolderRendezvous(url := double.folder()), FolderRendezvous(url)
    for index in range(40):
        rendezvous.create(f"gang.1.claim.worker-{index}", {"host": "a"})
    rendezvous.put("host.a", {"beat": 1})
    assert len(other.read()) == 41
    double.calls.clear()

    assert len(other.read()) == 41
    assert [name for name, _ in double.calls] == ["files"]

    double.calls.clear()
    rendezvous.put("host.a", {"beat": 2})
    double.calls.clear()
    assert other.read()["host.a"] == {"beat": 2}
    assert [name for name, _ in double.calls] == ["files", "read_bytes"]


def test_two_versions_of_one_time_are_told_apart(tmp_path):
    rendezvous, other = FolderRendezvous(str(tmp_path)), FolderRendezvous(str(tmp_path))
    file = tmp_path / "host.a.json"
    for beat in range(1, 4):
        rendezvous.put("host.a", {"beat": beat})
        os.utime(file, (1e9, 1e9))
        assert other.read() == {"host.a": {"beat": beat}}


def test_a_slow_store_is_read_at_once(double):
    rendezvous = FolderRendezvous(double.folder())
    for index in range(31):
        rendezvous.create(f"gang.1.claim.worker-{index}", {"host": "a"})
    double.latency = 0.05
    began = time.monotonic()

    assert len(rendezvous.read()) == 31

    # One listing, and two rounds of sixteen.
    assert time.monotonic() - began < 31 * 0.05 / 2


def test_what_passes_is_tried_again(double):
    rendezvous = FolderRendezvous(double.folder())
    double.fail("create_if_absent", OSError("busy"), OSError("busy"))
    assert rendezvous.create("x", {"host": "a"})
    double.fail("files", OSError("busy"))
    assert rendezvous.read() == {"x": {"host": "a"}}
    double.fail("replace_bytes", OSError("busy"))
    rendezvous.put("y", {})
    double.fail("read_bytes", OSError("busy"))
    assert set(FolderRendezvous(rendezvous.url).read()) == {"x", "y"}


def test_a_create_whose_answer_was_lost_is_ones_own(double):
    rendezvous = FolderRendezvous(double.folder())
    double.fail("create_if_absent", OSError("timeout"), after=True)

    assert rendezvous.create("x", {"host": "a"})


def test_what_does_not_pass_is_raised(double):
    rendezvous = FolderRendezvous(double.folder())
    double.fail("files", PermissionError("no"))
    with pytest.raises(PermissionError):
        rendezvous.read()
    double.fail("files", *[OSError("busy")] * 10)
    with pytest.raises(OSError, match="busy"):
        rendezvous.read()


def test_what_is_no_document_is_passed_over(tmp_path):
    folder = tmp_path / "gang"
    rendezvous = FolderRendezvous(str(folder))
    rendezvous.create("x", {"host": "a"})
    (folder / ".x.json").write_text("{}")
    (folder / "_SUCCESS.json").write_text("{}")
    (folder / "notes.txt").write_text("{}")
    (folder / "half.json").write_text('{"host": ')
    (folder / "list.json").write_text("[]")
    (folder / "trials.json").mkdir()

    assert rendezvous.read() == {"x": {"host": "a"}}

    (folder / "half.json").write_text('{"host": "b"}')
    assert rendezvous.read() == {"x": {"host": "a"}, "half": {"host": "b"}}


@pytest.mark.parametrize("name", ["", ".x", "_x", "a/b", "1", "a b", "ä"])
def test_a_name_that_is_none_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match="name of a document"):
        FolderRendezvous(str(tmp_path)).create(name, {})
