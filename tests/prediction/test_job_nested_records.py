"""TFRecords whose payloads are TFRecords: every guess about where a split begins can be wrong, no result is."""

from __future__ import annotations

import random
import string

import pytest
import support
from support import frame, score_in_process

ECHO = support.model("echo_string")
RECORDS = 24


def text_frame(rng: random.Random) -> bytes:
    """A frame all of whose bytes are ASCII, its checksums included, so that a model can give it back as text."""
    while True:
        payload = "".join(rng.choices(string.ascii_letters, k=rng.randrange(1, 40))).encode()
        framed = frame(payload)
        if framed.isascii():
            return framed


@pytest.fixture(scope="module")
def nested(tmp_path_factory) -> str:
    """Records of text frames, of plain text, and of frames around binary, which the model cannot give back."""
    rng = random.Random(7)
    records = []
    for number in range(RECORDS):
        inner = [text_frame(rng) for _ in range(rng.randrange(1, 6))]
        kinds = [
            b"".join(inner),
            b"a plain record " * rng.randrange(5),
            frame(b"\xff" + frame(inner[0])) + inner[-1],
        ]
        records.append(kinds[number % len(kinds)])
    path = tmp_path_factory.mktemp("nested") / "nested.tfrecord"
    return support.write(path, b"".join(map(frame, records)))


def score(source: str, output: str, split_bytes: int, **fields) -> support.Document:
    document = support.job(ECHO, source, output, "TF_RECORD", splitBytes=split_bytes, **fields)
    score_in_process(document)
    return document


@pytest.fixture(scope="module")
def uncut(nested):
    import fsspec

    output = "memory://nested-uncut"
    document = score(nested, output, 2**30)
    (manifest,) = support.manifests(document)
    assert manifest.predictions + manifest.error_count == RECORDS
    found = support.lines(output), support.errors(output), support.stats(output)
    assert found[0]
    assert found[1]
    yield found
    fsspec.filesystem("memory").rm("/nested-uncut", recursive=True)


@pytest.mark.parametrize("split_bytes", [pytest.param(1, marks=pytest.mark.long), 5, 17, 29, 64, 150])
@pytest.mark.usefixtures("pages")
def test_splits_of_every_size_give_what_the_uncut_file_gives(split_bytes, nested, uncut, memory):
    document = score(nested, memory, split_bytes)
    found = support.lines(memory), support.errors(memory), support.stats(memory)
    assert found[0] == uncut[0]
    assert found[1] == uncut[1]
    assert sorted(found[2]) == sorted(uncut[2])
    repeated = [one for one in support.manifests(document) if one.forced_start is not None]
    assert repeated, "no guess was wrong, so this has tested nothing"


def test_counts_are_of_the_proven_splits_only(nested, uncut, memory):
    """A split that began at a wrong byte has counted records that are none."""
    spec = support.job(ECHO, nested, memory, "TF_RECORD", splitBytes=29)
    output = score_in_process(spec)
    assert support.counts(output) == (len(uncut[0]), len(uncut[1]))
    first_attempts = [one for one in support.manifests(spec) if one.forced_start is None]
    assert sum(one.predictions for one in first_attempts) != len(uncut[0])


@pytest.mark.usefixtures("pages")
def test_errors_of_a_cut_file_say_where_in_the_whole_file(nested, memory):
    score(nested, memory, 40)
    with open(nested, "rb") as file:
        data = file.read()
    at, offsets = 0, []
    while at < len(data):
        offsets.append(at)
        at += 16 + int.from_bytes(data[at : at + 8], "little")
    found = support.errors(memory)
    assert {error["source"] for error in found} == {nested}
    assert [error["index"] for error in found] == list(range(2, RECORDS, 3))
    assert [error["offset"] for error in found] == offsets[2::3]
    assert all("line" not in error for error in found)


@pytest.mark.long
def test_damage_in_a_file_of_nested_records(nested, memory, tmp_path):
    """The same damage costs the same, cut or not."""
    with open(nested, "rb") as file:
        data = bytearray(file.read())
    data[len(data) // 2] ^= 0x10
    source = support.write(tmp_path / "damaged.tfrecord", bytes(data[:-3]))
    score(source, f"{memory}/uncut", 2**30)
    whole = support.lines(f"{memory}/uncut"), support.errors(f"{memory}/uncut")
    assert [error["code"] for error in whole[1]].count("CORRUPT_INPUT") >= 2
    for split_bytes in (3, 31, 200):
        output = f"{memory}/{split_bytes}"
        score(source, output, split_bytes)
        assert (support.lines(output), support.errors(output)) == whole
