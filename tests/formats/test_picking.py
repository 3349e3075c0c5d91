"""Picking some records of a file gives what reading all of it gives of them, from what lies where they are."""

from __future__ import annotations

import gzip
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from format_cases import LONGEST, PIECES, frame, memory_file, pieces_of, read_whole, tfrecords
from hypothesis import given, settings
from hypothesis import strategies as st
from test_parquet_reader import DATA, TABLE, parquet

from batchpredict import storage
from batchpredict.errors import CORRUPT_INPUT
from batchpredict.formats import (
    POSITION,
    Border,
    Damage,
    Event,
    PickedRows,
    PickedRun,
    Segment,
    Selection,
    input_format,
    picking,
)
from batchpredict.formats.parquet import read_parquet
from batchpredict.formats.picking import Picker
from batchpredict.formats.positions import Positions
from batchpredict.formats.reader import Reader
from batchpredict.formats.text import read_text
from batchpredict.formats.tfrecord import read_tfrecord, read_tfrecord_gzip

BORDER = Border(17, 4711, 99)


def picker(name: str) -> Picker:
    return input_format(name).load_picker()


def places(found: Sequence[tuple[int, int, int]]) -> Positions:
    """Offset, index, records."""
    return np.array([(*one, 0) for one in found], POSITION)


def pick(
    pick: Picker,
    url: str,
    wanted: Positions,
    *,
    base: int = 0,
    block: int = 5,
    rows: int = 3,
    longest: int = LONGEST,
) -> list[Event]:
    size = storage.size_of(url)
    segment = Segment(url, 0, size, size, selection=Selection(0, len(wanted), base, BORDER))
    blocks = (wanted[at : at + block] for at in range(0, len(wanted), block))
    *events, border = pick(segment, blocks, rows=rows, max_record_bytes=longest)
    assert border == BORDER
    return events


def entries(events: Sequence[Event]) -> list[tuple[int, int, bytes | tuple[str, str]]]:
    found: list[tuple[int, int, bytes | tuple[str, str]]] = []
    for event in events:
        if isinstance(event, Damage):
            found.append((event.offset, event.index, (event.code, event.message)))
        else:
            assert isinstance(event, PickedRun)
            assert 0 < len(event) <= 3
            rows = range(len(event))
            found += [(event.offset_of(row), event.index_of(row), event.payloads[row]) for row in rows]
    return found


def same_as_reading(reader: Reader, picked: Picker, data: bytes, name: str, chosen: set[int], longest: int) -> None:
    whole = read_whole(reader, data, name, longest=longest)
    kinds = [(one.code, one.message) if isinstance(one, Damage) else one for one in whole.records]
    records = list(zip(whole.offsets, range(len(kinds)), kinds, strict=True))
    # What is damaged has failed, so it is always wanted.
    wanted = [one for at, one in enumerate(records) if at % 12 in chosen or isinstance(one[2], tuple)]
    found = pick(picked, f"memory://formats/{name}", places([(*one[:2], 1) for one in wanted]), longest=longest)
    assert entries(found) == wanted


NEAR = st.sampled_from([0, 1, 10, 100, 1 << 20])
CHOSEN = st.sets(st.integers(0, 11), max_size=6)
SPOILED = st.lists(st.tuples(st.integers(0, 5000), st.binary(min_size=1, max_size=4)), max_size=4)


def spoil(data: bytes, spoiled: Sequence[tuple[int, bytes]]) -> bytes:
    for at, other in spoiled:
        at %= len(data) + 1
        data = data[:at] + other + data[at + len(other) :]
    return data


@given(st.lists(st.text("ab\r", max_size=20), max_size=40), CHOSEN, NEAR, PIECES, st.booleans())
def test_lines(lines, chosen, near, piece, bom):
    data = b"\xef\xbb\xbf" * bom + "\n".join(lines).encode()
    with pieces_of(piece), pytest.MonkeyPatch.context() as patch:
        patch.setattr(picking, "_NEAR_REMOTE", near)
        same_as_reading(read_text, picker("TEXT"), data, "lines.txt", chosen, 15)


@settings(max_examples=40)
@given(st.lists(st.binary(max_size=30), max_size=40), CHOSEN, NEAR, PIECES, SPOILED)
def test_tfrecords_with_corrupt_stretches(payloads, chosen, near, piece, spoiled):
    data = spoil(tfrecords(payloads), spoiled)
    with pieces_of(piece), pytest.MonkeyPatch.context() as patch:
        patch.setattr(picking, "_NEAR_REMOTE", near)
        same_as_reading(read_tfrecord, picker("TF_RECORD"), data, "f.tfrecord", chosen, 25)


@settings(max_examples=40)
@given(st.lists(st.lists(st.binary(max_size=30), max_size=12), min_size=1, max_size=4), CHOSEN, PIECES, SPOILED)
def test_compressed_files_with_corrupt_stretches(members, chosen, piece, spoiled):
    with pieces_of(piece):
        frames = spoil(b"".join(gzip.compress(tfrecords(payloads)) for payloads in members), spoiled)
        same_as_reading(read_tfrecord_gzip, picker("TF_RECORD_GZIP"), frames, "f", chosen, 25)
        lines = [b"".join(line.hex().encode() + b"\n" for line in payloads) for payloads in members]
        text = spoil(b"".join(map(gzip.compress, lines)), spoiled)
        same_as_reading(read_text, picker("TEXT"), text, "f.gz", chosen, 40)


def test_indices_count_from_the_segments_base() -> None:
    url = memory_file(tfrecords([b"a", b"b", frame(b"c")[:-1]]))
    events = pick(picker("TF_RECORD"), url, places([(17, 1001, 1), (34, 1002, 1)]), base=1000)
    assert [(index, kind) for _, index, kind in entries(events)] == [(1, b"b"), (2, frame(b"c")[:-1])]


def test_a_longer_limit_reads_what_was_too_long() -> None:
    url = memory_file(b"a\n" + b"b" * 50 + b"\nc\n")
    wanted = places([(2, 1, 1)])
    (damage,) = pick(picker("TEXT"), url, wanted, longest=20)
    assert isinstance(damage, Damage)
    assert entries(pick(picker("TEXT"), url, wanted, longest=100)) == [(2, 1, b"b" * 50)]


def test_a_place_where_no_record_begins_is_an_error_of_its_own() -> None:
    """Nobody wants such a one of the same file; but every place has its verdict, whatever was wanted."""
    url = memory_file(b"abc\ndef\nghi\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(picking, "_NEAR_REMOTE", 100)
        found = pick(picker("TEXT"), url, places([(0, 0, 1), (5, 1, 1), (8, 2, 1), (11, 3, 1)]))
    lost = (CORRUPT_INPUT, "no record begins here")
    assert entries(found) == [(0, 0, b"abc"), (5, 1, lost), (8, 2, b"ghi"), (11, 3, lost)]


def rows_of(events: Sequence[Event]) -> list[tuple[int, Any]]:
    """Index and value of each row; of damage, how many rows were lost."""
    found: list[tuple[int, Any]] = []
    for event in events:
        if isinstance(event, Damage):
            found.append((event.index, ("lost", event.records)))
        else:
            assert isinstance(event, PickedRows)
            values = event.table.column("x").to_pylist()
            found += [(event.index_of(row), values[row]) for row in range(len(event))]
    return found


def offsets_of(data: bytes) -> list[int]:
    """Where the row group of each row begins."""
    events = read_parquet(Segment(memory_file(data), 0, len(data), len(data)), rows=1000, max_record_bytes=100)
    return [event.offset for event in events if not isinstance(event, Border) for _ in range(_count(event))]


def _count(event: Any) -> int:
    return event.records if isinstance(event, Damage) else len(event)


@given(st.sets(st.integers(0, 137), min_size=1), st.integers(1, 40), st.integers(1, 50))
def test_rows_of_a_parquet_file(chosen, rows, block):
    offsets = offsets_of(DATA)
    wanted = sorted(chosen)
    url = memory_file(DATA)
    found = pick(picker("PARQUET"), url, places([(offsets[row], row, 1) for row in wanted]), rows=rows, block=block)
    assert rows_of(found) == [(row, row) for row in wanted]


def test_a_damaged_row_group_is_damage_again_and_rows_before_it_are_read() -> None:
    groups, data = [30, 40, 30], bytearray(parquet([30, 40, 30], compression="none", use_dictionary=False))
    offsets = offsets_of(bytes(data))
    assert groups == [offsets.count(offset) for offset in sorted(set(offsets))]
    data[offsets[30] + 40] ^= 255
    data[offsets[30] + 60] ^= 255
    url = memory_file(bytes(data))
    whole = list(read_parquet(Segment(url, 0, len(data), len(data)), rows=20, max_record_bytes=100))
    (damage,) = [event for event in whole if isinstance(event, Damage)]
    wanted = [(offsets[3], 3, 1), (damage.offset, damage.index, damage.records), (offsets[99], 99, 1)]
    found = pick(picker("PARQUET"), url, places(wanted), rows=20)
    assert rows_of(found) == [(3, 3), (damage.index, ("lost", damage.records)), (99, 99)]
    assert [event for event in found if isinstance(event, Damage)] == [damage]


def test_rows_that_were_lost_at_once_and_can_be_read_now() -> None:
    offsets = offsets_of(DATA)
    found = pick(picker("PARQUET"), memory_file(DATA), places([(offsets[40], 40, 90)]), base=37)
    assert rows_of(found) == [(row - 37, row) for row in range(40, 130)]


def test_a_footer_that_cannot_be_read_is_damage_again() -> None:
    url = memory_file(DATA[:-8] + b"nonsense")
    (damage, _) = read_parquet(Segment(url, 0, len(DATA), len(DATA)), rows=20, max_record_bytes=100)
    assert pick(picker("PARQUET"), url, places([(0, 0, 1)])) == [damage]


def test_the_rows_of_the_test_file() -> None:
    assert TABLE.num_rows == len(offsets_of(DATA))


@pytest.fixture
def counted(monkeypatch) -> list[int]:
    """Bytes that were read of local files, by read."""
    counts: list[int] = []
    opened = storage.open_read

    class Counting:
        def __init__(self, file: Any) -> None:
            self._file = file

        def read(self, size: int = -1) -> bytes:
            data: bytes = self._file.read(size)
            counts.append(len(data))
            return data

        def __getattr__(self, name: str) -> Any:
            return getattr(self._file, name)

    monkeypatch.setattr(storage, "open_read", lambda url: Counting(opened(url)))
    return counts


@pytest.mark.parametrize("name", ["TEXT", "TF_RECORD"])
def test_ten_records_of_a_large_file_cost_ten_reads_and_not_the_file(name, tmp_path: Path, counted):
    payloads = [b"%0100d" % number for number in range(200_000)]
    data = b"\n".join(payloads) if name == "TEXT" else tfrecords(payloads)
    path = str(tmp_path / "in")
    Path(path).write_bytes(data)
    size = 101 if name == "TEXT" else 116
    wanted = [(number * size, number, 1) for number in range(3, 200_000, 20_000)]
    found = pick(picker(name), path, places(wanted))
    assert [payload for _, _, payload in entries(found)] == [payloads[index] for _, index, _ in wanted]
    assert sum(counted) < 10 * (100 << 10) < len(data) / 15
    assert len(counted) <= 30


def test_records_here_and_there_in_a_file_of_a_store_are_fetched_together(monkeypatch):
    """A request for each of them, and not for what lies between; none of them waits for the one before."""
    double = storage.Double()
    payloads = [b"%099d" % number for number in range(50_000)]
    data = b"\n".join(payloads)
    monkeypatch.setattr(picking, "_NEAR_REMOTE", 1000)
    with double.mounted():
        url = double.put(f"{double.folder()}/in", data)
        double.latency = 0.05
        wanted = [(100 * number, number, 1) for number in [*range(3, 50_000, 1000), *range(49_990, 50_000)]]
        double.calls.clear()
        began = time.monotonic()
        found = pick(picker("TEXT"), url, places(wanted), block=1000)
        took = time.monotonic() - began
    assert [payload for _, _, payload in entries(found)] == [payloads[index] for _, index, _ in wanted]
    assert [called for called, _ in double.calls].count("read_range") == 51
    # Sixteen at a time; one after the other they would take two and a half seconds.
    assert took < 1.5


def test_a_compressed_file_is_read_to_the_last_record_that_is_wanted(tmp_path: Path, counted):
    rng = np.random.default_rng(1)
    payloads = [rng.bytes(1000) for _ in range(12_000)]
    path = str(tmp_path / "in.gz")
    Path(path).write_bytes(gzip.compress(tfrecords(payloads), 1))
    found = pick(picker("TF_RECORD_GZIP"), path, places([(1016 * 3, 3, 1), (1016 * 1000, 1000, 1)]))
    assert [payload for _, _, payload in entries(found)] == [payloads[3], payloads[1000]]
    assert sum(counted) <= 4 << 20


def test_only_the_row_groups_with_wanted_rows_are_read(tmp_path: Path, counted):
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = str(tmp_path / "in.parquet")
    values = np.random.default_rng(1).random(1_000_000)
    pq.write_table(pa.table({"x": values}), path, row_group_size=50_000, compression="none", use_dictionary=False)
    metadata = pq.ParquetFile(path).metadata
    offset = metadata.row_group(7).column(0).data_page_offset
    counted.clear()
    found = pick(picker("PARQUET"), path, places([(offset, 7 * 50_000 + 11, 1), (offset, 7 * 50_000 + 40_000, 1)]))
    assert [value for _, value in rows_of(found)] == [values[350_011], values[390_000]]
    assert sum(counted) < 8_000_000 / 8
