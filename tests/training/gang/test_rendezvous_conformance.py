"""What every rendezvous must do; see `gang.rendezvous`. Another implementation is one more fixture here."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import fsspec
import pytest
from training.gang.rendezvous_support import Meeting, folder_meeting, service_meeting

from batchpredict.training.gang import FolderRendezvous, Rendezvous
from batchpredict.training.gang.rendezvous import LONGEST

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
    with folder_meeting() as meeting:
        yield meeting.open


def _service(tmp_path: Path) -> Iterator[Opening]:
    with service_meeting(str(tmp_path)) as meeting:
        yield meeting.open


IMPLEMENTATIONS = {
    "local folder": _local,
    "folder in memory": _memory,
    "folder of a double": _double,
    "service": _service,
}


@pytest.fixture(params=[*IMPLEMENTATIONS, pytest.param("gcs", marks=pytest.mark.gcs)])
def opening(request, tmp_path) -> Iterator[Opening]:
    if request.param == "gcs":
        url = request.getfixturevalue("gcs").folder()
        yield lambda: FolderRendezvous(url)
    else:
        yield from IMPLEMENTATIONS[request.param](tmp_path)


@pytest.fixture(params=["folder", "service"])
def meeting(request, tmp_path) -> Iterator[Meeting]:
    """A rendezvous whose store or server fails when it is told to."""
    with folder_meeting() if request.param == "folder" else service_meeting(str(tmp_path)) as found:
        yield found


@pytest.fixture(autouse=True)
def _patience(monkeypatch):
    """Pauses between attempts are those of `storage.retry`, and no test waits for them."""
    monkeypatch.setattr("batchpredict.storage.retry._PAUSE", 0.001)


def race(count: int, run: Callable[[int], bool]) -> list[int]:
    """Which of so many that begin at once are told True."""
    gate = threading.Barrier(count)
    won: list[int] = []

    def one(at: int) -> None:
        gate.wait()
        if run(at):
            won.append(at)

    threads = [threading.Thread(target=one, args=(at,)) for at in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return won


# Documents that are created ---------------------------------------------------------------------------------------


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


def test_of_two_that_race_for_many_roles_each_role_goes_to_one(opening):
    views = [opening(), opening()]

    def claim(name: str, at: int) -> bool:
        return bool(views[at].create(name, {"host": str(at)}))

    for index in range(20):
        name = f"gang.1.claim.worker-{index}"
        won = race(2, partial(claim, name))

        assert len(won) == 1
        assert opening().read(name) == {name: {"host": str(won[0])}}


def test_of_many_that_race_one_creates(opening):
    views = [opening() for _ in range(8)]

    won = race(8, lambda at: views[at].create("x", {"host": str(at)}))

    assert len(won) == 1
    assert opening().read() == {"x": {"host": str(won[0])}}


# Documents that are put -------------------------------------------------------------------------------------------


def test_what_is_put_replaces_what_was_there_for_all(opening):
    writer, reader = opening(), opening()

    # Of one length, and one right after the other.
    for beat in range(100, 120):
        writer.put("host.a", {"beat": beat})
        assert reader.read() == {"host.a": {"beat": beat}}


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


def test_many_hosts_give_signs_of_life_at_once(opening):
    views = [opening() for _ in range(6)]

    def beats(at: int) -> bool:
        for beat in range(5):
            views[at].put(f"host.{'abcdef'[at]}", {"beat": beat})
        return True

    assert len(race(6, beats)) == 6
    for view in views:
        assert view.read("host.") == {f"host.{name}": {"beat": 4} for name in "abcdef"}


# What is read, and what can be written ----------------------------------------------------------------------------


def test_only_what_begins_so_is_read(opening):
    rendezvous = opening()
    for name in ("gang.cancel", "gang.1.over", "host.a", "gangway"):
        rendezvous.create(name, {"host": name})

    assert set(rendezvous.read("gang.")) == {"gang.cancel", "gang.1.over"}
    assert set(rendezvous.read("host.")) == {"host.a"}
    assert set(rendezvous.read()) == {"gang.cancel", "gang.1.over", "host.a", "gangway"}


def test_a_document_is_what_json_can_say(opening):
    document = {
        "text": 'größe "日本"\n\0',
        "half": "\ud800",
        "number": 0.1,
        "big": 2**53,
        "none": None,
        "list": [True, {"a": []}],
    }
    opening().put("x", document)
    assert opening().create("y", document)
    assert opening().read() == {"x": document, "y": document}


def test_a_document_may_be_as_long_as_it_says(opening):
    # The braces, the name and what is around it.
    longest = {"text": "x" * (LONGEST - 11)}
    assert opening().create("x", longest)
    assert opening().read() == {"x": longest}
    with pytest.raises(ValueError, match=f"at most {LONGEST} are allowed"):
        opening().create("y", {"text": "x" * (LONGEST - 10)})
    assert set(opening().read()) == {"x"}


@pytest.mark.parametrize("name", ["", ".x", "_x", "a/b", "1", "a b", "ä", "x" * 201])
def test_a_name_that_is_none_is_refused(opening, name):
    with pytest.raises(ValueError, match="name of a document"):
        opening().create(name, {})
    with pytest.raises(ValueError, match="name of a document"):
        opening().put(name, {})


def test_more_than_one_page_of_documents_is_read(opening):
    writer = opening()
    names = {f"gang.1.claim.worker-{index}" for index in range(210)}
    for name in names:
        writer.create(name, {"host": "a"})
    assert set(opening().read()) == names


# Stores and servers that fail -------------------------------------------------------------------------------------


def test_a_create_whose_answer_was_lost_is_ones_own(meeting):
    rendezvous, other = meeting.open(), meeting.open()
    meeting.lose_answers(1)

    assert rendezvous.create("x", {"host": "a"})
    assert not other.create("x", {"host": "b"})
    assert other.read() == {"x": {"host": "a"}}


def test_a_put_whose_answer_was_lost_is_followed_by_the_next(meeting):
    rendezvous, other = meeting.open(), meeting.open()
    for beat in range(3):
        meeting.lose_answers(1)
        rendezvous.put("host.a", {"beat": beat})
        assert other.read() == {"host.a": {"beat": beat}}


def test_what_passes_is_tried_again(meeting):
    rendezvous = meeting.open()
    meeting.be_busy(2)
    assert rendezvous.create("x", {"host": "a"})
    meeting.be_busy(2)
    rendezvous.put("y", {})
    meeting.be_busy(2)
    assert meeting.open().read() == {"x": {"host": "a"}, "y": {}}


def test_a_slow_answer_is_waited_for(meeting):
    rendezvous = meeting.open()
    meeting.be_slow(0.3)
    won = race(2, lambda at: meeting.open().create("x", {"host": str(at)}))
    assert len(won) == 1
    assert rendezvous.read() == {"x": {"host": str(won[0])}}
