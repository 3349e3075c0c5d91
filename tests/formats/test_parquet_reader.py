"""Parquet: row groups go where they begin, and one that is damaged costs its own rows."""

from __future__ import annotations

import io
import itertools
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from format_cases import memory_file
from hypothesis import given, settings
from hypothesis import strategies as st

from batchpredict import storage
from batchpredict.errors import CORRUPT_INPUT
from batchpredict.formats import Border, Damage, Event, Rows, Segment, fits
from batchpredict.formats.parquet import read_parquet

GROUPS = [30, 7, 0, 100, 1]
TABLE = pa.table({"x": list(range(138)), "name": [f"row {number}" * 10 for number in range(138)]})


def parquet(groups: list[int] = GROUPS, **options: object) -> bytes:
    buffer = io.BytesIO()
    at = 0
    with pq.ParquetWriter(buffer, TABLE.schema, **options) as writer:
        for rows in groups:
            writer.write_table(TABLE.slice(at, rows), row_group_size=max(rows, 1))
            at += rows
    return buffer.getvalue()


DATA = parquet()


def events(url: str, start: int, end: int, size: int, rows: int = 20) -> list[Event]:
    return list(read_parquet(Segment(url, start, end, size), rows=rows, max_record_bytes=100))


def rows_of(found: list[Event]) -> list[int]:
    return [x for event in found if isinstance(event, Rows) for x in event.table.column("x").to_pylist()]


def test_rows_in_batches_with_their_places() -> None:
    found = events(memory_file(DATA), 0, len(DATA), len(DATA))
    assert rows_of(found) == list(range(138))
    batches = found[:-1]
    assert [len(batch) for batch in batches if isinstance(batch, Rows)] == [20, 10, 7, *[20] * 5, 1]
    assert [batch.index for batch in batches if isinstance(batch, Rows)] == [
        0,
        20,
        30,
        *range(37, 137, 20),
        137,
    ]
    offsets = [batch.offset_of(0) for batch in batches if isinstance(batch, Rows)]
    assert offsets[0] == offsets[1] == 4
    assert len(set(offsets)) == 4
    assert found[-1] == Border(0, len(DATA), 138)


@settings(max_examples=60, deadline=None)
@given(cuts=st.lists(st.integers(1, len(DATA) - 1)))
def test_any_cut_gives_each_row_once_and_fits(cuts: list[int]) -> None:
    url = memory_file(DATA)
    borders = sorted({0, len(DATA), *cuts})
    after = 0
    rows = []
    for start, end in itertools.pairwise(borders):
        found = events(url, start, end, len(DATA))
        border = found[-1]
        assert isinstance(border, Border)
        assert fits(after, Segment(url, start, end, len(DATA)), border)
        after = max(after, border.next)
        rows += rows_of(found)
    assert rows == list(range(138))
    assert after == len(DATA)


@pytest.mark.parametrize("options", [{"write_page_checksum": True}, {"compression": "gzip"}])
def test_a_damaged_row_group_costs_its_rows(options: dict[str, object]) -> None:
    data = bytearray(parquet([30, 40, 50], **options))
    group = pq.ParquetFile(io.BytesIO(data)).metadata.row_group(1)
    column = group.column(0)
    middle = column.data_page_offset + column.total_compressed_size // 3
    data[middle : middle + 40] = b"\xff" * 40
    found = events(memory_file(bytes(data)), 0, len(data), len(data))
    assert rows_of(found) == [*range(30), *range(70, 120)]
    (damage,) = [event for event in found if isinstance(event, Damage)]
    assert (damage.index, damage.code, damage.records) == (30, CORRUPT_INPUT, 40)
    assert damage.offset == column.dictionary_page_offset
    assert damage.message.startswith("40 rows of a row group cannot be decoded: ")
    indexes = [event.index for event in found if isinstance(event, Rows)]
    assert indexes == [0, 20, *range(70, 120, 20)]
    assert found[-1] == Border(0, len(data), 120)


@pytest.mark.parametrize("data", [b"PAR1", b"not parquet at all", DATA[:-1], DATA[: len(DATA) // 2]])
def test_an_unreadable_footer_is_one_damage_of_the_file(data: bytes) -> None:
    url = memory_file(data)
    middle = len(data) // 2
    first = events(url, 0, middle, len(data))
    second = events(url, middle, len(data), len(data))
    assert [type(event) for event in first] == [Damage, Border]
    assert isinstance(first[0], Damage)
    assert first[0].message.startswith(
        "the footer of the Parquet file cannot be read, and its rows are not counted: "
    )
    assert first[-1] == Border(0, len(data), 1)
    assert second == [Border(None, len(data), 0)]
    assert isinstance(first[-1], Border)
    assert fits(first[-1].next, Segment(url, middle, len(data), len(data)), Border(None, len(data), 0))


def test_an_empty_file_has_no_rows() -> None:
    assert events(memory_file(b""), 0, 0, 0) == [Border(0, 0, 0)]


def test_a_table_without_rows() -> None:
    data = parquet([])
    assert events(memory_file(data), 0, len(data), len(data)) == [Border(0, len(data), 0)]


def test_resumed_behind_the_end() -> None:
    segment = Segment(memory_file(DATA), 10, 20, len(DATA)).resumed_at(50)
    assert list(read_parquet(segment, rows=1, max_record_bytes=1)) == [Border(50, 50, 0)]


def test_an_error_of_the_file_system_is_not_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing(io.FileIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() < 1000:
                raise ConnectionResetError("the connection was reset")
            data = super().read(size)
            assert data is not None
            return data

    path = tmp_path / "file.parquet"
    path.write_bytes(DATA)
    monkeypatch.setattr(storage, "open_read", Failing)
    with pytest.raises(ConnectionResetError):
        events(str(path), 0, len(DATA), len(DATA))
