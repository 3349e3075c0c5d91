"""A file that has changed since it was planned ends the job: on a disk at once, on a store by its split's end."""

from __future__ import annotations

import os
from typing import Any

import pytest

from batchpredict import storage
from batchpredict.errors import NoInput
from batchpredict.formats import Segment
from batchpredict.scoring.versions import UnchangedSegments


def write(path: str, data: bytes) -> None:
    file = storage.open_write(path)
    file.write(data)
    storage.close_written(file)


def planned(path: str, data: bytes) -> Segment:
    write(path, data)
    info = storage.info(path)
    return Segment(path, 0, info.size, info.size, True, version=info.version)


def replace(path: str, data: bytes) -> None:
    write(path, data)
    if storage.is_local(path):
        os.utime(path, ns=(1, 1))


CHANGES = [
    (b"12", "it had 3 bytes and has 2 now"),
    (b"456", "its content is another"),
]


@pytest.mark.parametrize(("data", "change"), CHANGES)
def test_on_a_disk_at_once(data: bytes, change: str, tmp_path: Any) -> None:
    segment = planned(str(tmp_path / "in.json"), b"123")
    replace(segment.path, data)
    with pytest.raises(NoInput) as caught:
        UnchangedSegments().check(segment)
    assert str(caught.value).startswith(
        f"inputPaths: '{segment.path}' has changed since the job was planned ({change}); run the job again"
    )


def test_on_a_store_when_all_is_done(memory: str) -> None:
    same, other = planned(f"{memory}/a", b"123"), planned(f"{memory}/b", b"123")
    replace(other.path, b"12")
    unchanged = UnchangedSegments()
    unchanged.check(same)
    unchanged.check(other)
    with pytest.raises(NoInput, match="it had 3 bytes and has 2 now"):
        unchanged.done()
    unchanged.close()


def test_what_is_as_it_was_passes(memory: str, tmp_path: Any) -> None:
    unchanged = UnchangedSegments()
    for path in (f"{memory}/a", str(tmp_path / "a")):
        unchanged.check(planned(path, b"123"))
    unchanged.done()
    unchanged.close()


def test_one_that_is_gone_cannot_be_read(tmp_path: Any) -> None:
    segment = planned(str(tmp_path / "in.json"), b"123")
    os.remove(segment.path)
    with pytest.raises(NoInput, match=r"in\.json' cannot be read: "):
        UnchangedSegments().check(segment)
