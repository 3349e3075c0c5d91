"""A manifest says the same after any number of trips through a file."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchpredict.errors import StagingDamaged
from batchpredict.ledger.manifest import Manifest, PartFile, SegmentReport

SIZES = st.integers(0, 2**62)
SECONDS = st.floats(0, 1e10)
FILES = st.builds(PartFile, name=st.text(), bytes=SIZES)
SEGMENTS = st.builds(
    SegmentReport, path=st.text(), start=SIZES, end=SIZES, size=SIZES, exact=st.booleans(),
    begin=st.none() | SIZES, next=SIZES, records=SIZES,
)  # fmt: skip
MANIFESTS = st.builds(
    Manifest, fingerprint=st.text(), split=SIZES, forced_start=st.none() | SIZES, worker=st.text(),
    start_time=SECONDS, end_time=SECONDS, node_seconds=SECONDS, columns=st.lists(st.text()).map(tuple),
    results=FILES, errors=st.none() | FILES, segments=st.lists(SEGMENTS, max_size=3).map(tuple), predictions=SIZES,
    error_count=SIZES, error_stats=st.lists(st.tuples(st.text(), SIZES), max_size=3).map(tuple),
    batch_calls=SIZES, batch_rows=SIZES, batch_min=SIZES, batch_max=SIZES,
    call_seconds=SECONDS, load_seconds=SECONDS, tensorflow=st.text(),
)  # fmt: skip

MANIFEST = Manifest(
    fingerprint="f" * 32,
    split=3,
    forced_start=None,
    worker="host-1",
    start_time=10.0,
    end_time=12.5,
    node_seconds=3.0,
    columns=("id", "y"),
    results=PartFile("00000003-abc.results.jsonl", 120),
    errors=None,
    segments=(
        SegmentReport("a.json", 0, 10, 30, False, 0, 12, 2),
        SegmentReport("b.json", 0, 5, 5, True, None, 5, 0),
    ),
    predictions=2,
    error_count=0,
    error_stats=(),
    batch_calls=1,
    batch_rows=2,
    batch_min=2,
    batch_max=2,
    call_seconds=0.5,
    load_seconds=0.5,
)


@given(MANIFESTS)
def test_round_trip(manifest: Manifest) -> None:
    assert Manifest.from_json(manifest.to_json(), "m.json") == manifest


def test_a_field_of_a_later_program_is_ignored() -> None:
    fields = json.loads(MANIFEST.to_json())
    fields["machine"] = "n1-standard-4"
    assert Manifest.from_json(json.dumps(fields).encode(), "m.json") == MANIFEST


def test_one_that_was_written_before_it_knew_the_version_of_tensorflow() -> None:
    assert Manifest.from_json(without("tensorflow"), "m.json") == MANIFEST
    assert MANIFEST.tensorflow == ""


def test_another_format_is_refused_by_number() -> None:
    fields = {**json.loads(MANIFEST.to_json()), "format": 2}
    with pytest.raises(StagingDamaged) as caught:
        Manifest.from_json(json.dumps(fields).encode(), "out/m.json")
    assert str(caught.value) == "The manifest out/m.json has format 2; this program reads 1."


def without(name: str) -> bytes:
    fields = json.loads(MANIFEST.to_json())
    del fields[name]
    return json.dumps(fields).encode()


def changed(**changes: Any) -> bytes:
    return json.dumps({**json.loads(MANIFEST.to_json()), **changes}).encode()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xfe",
        b"[1]",
        b"7",
        b"{}",
        MANIFEST.to_json()[:-20],
        without("format"),
        without("predictions"),
        changed(results=None),
        changed(results={"name": "x"}),
        changed(segments=[{"path": "x"}]),
        changed(segments=None),
        changed(error_stats=[["only a message"]]),
    ],
)
def test_what_is_no_manifest_is_named_with_what_to_do(data: bytes) -> None:
    with pytest.raises(StagingDamaged) as caught:
        Manifest.from_json(data, "out/m.json")
    assert str(caught.value).startswith("The manifest out/m.json cannot be read (")
    assert str(caught.value).endswith("); run the job again with --fresh.")


def test_bytes_read_are_those_of_the_segments() -> None:
    assert MANIFEST.bytes_read == 15
