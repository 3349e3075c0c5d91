"""A rendezvous in a folder: what of it is no part of the contract."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest

from batchpredict import storage
from batchpredict.training.gang.folder import FolderRendezvous


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
