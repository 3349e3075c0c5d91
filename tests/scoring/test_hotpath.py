"""What whoever looks on is told while a split is scored."""

from __future__ import annotations

import io
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import support

from batchpredict.errors import BudgetSpent
from batchpredict.prediction.prepare import prepare
from batchpredict.prediction.request import Request
from batchpredict.scoring.hotpath import SplitPredictor
from batchpredict.scoring.task import Task, Unwatched


class Told(Unwatched):
    """Keeps the counts of predictions and errors that it is told."""

    def __init__(self) -> None:
        self.counts: list[tuple[int, int]] = []

    def scored(self, predictions: int, errors: int, *_: Any, **__: Any) -> None:
        self.counts.append((predictions, errors))


def damaged_row_group(groups: int, rows: int, damaged: int) -> bytes:
    """A Parquet file of numbers, one row group of which fails its checksum."""
    buffer = io.BytesIO()
    numbers = pa.table({"x": [float(number) for number in range(groups * rows)]})
    pq.write_table(numbers, buffer, row_group_size=rows, write_page_checksum=True)
    data = bytearray(buffer.getvalue())
    column = pq.ParquetFile(io.BytesIO(data)).metadata.row_group(damaged).column(0)
    data[column.data_page_offset + 60 : column.data_page_offset + 100] = b"\xff" * 40
    return bytes(data)


@pytest.mark.parametrize(("damaged", "read"), [(0, (0, 1000)), (1, (1000, 1000))])
def test_all_records_of_a_damaged_stretch_have_been_read(
    damaged: int, read: tuple[int, int], tmp_path: Any, memory: str
) -> None:
    source = support.write(tmp_path / "in.parquet", damaged_row_group(2, 1000, damaged))
    prepared = prepare(Request(support.spec_of(support.job(support.model("double"), source, memory, "PARQUET"))))
    told = Told()
    spec = prepared.request.spec
    predict = SplitPredictor(spec, prepared.staging, support.loaded(spec.model_uri), watch=told)
    with pytest.raises(BudgetSpent):
        predict(Task(support.split(prepared, 0), error_limit=10))
    assert told.counts[-1] == read
