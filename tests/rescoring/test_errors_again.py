"""Only what failed is scored again, and says where it stood; merged, it makes the output of one job over all."""

from __future__ import annotations

import gzip
import math

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import support
from again import REFUSES_NEGATIVE, again

NUMBERS = [-n if n % 7 == 3 else n for n in range(1000)]
NEGATIVE = [n for n in NUMBERS if n < 0]


def _text(folder, numbers):
    return [support.write(folder / "in.txt", [str(n) for n in numbers])]


def _gzip(folder, numbers):
    return [support.write(folder / "in.txt.gz", gzip.compress("".join(f"{n}\n" for n in numbers).encode()))]


def _files(folder, numbers):
    return [
        support.write(folder / f"in-{at:03}.txt", [str(n) for n in numbers[at : at + 50]])
        for at in range(0, len(numbers), 50)
    ]


def _records(folder, numbers):
    return [support.write(folder / "in.tfrecord", b"".join(support.frame(str(n).encode()) for n in numbers))]


def _records_gzip(folder, numbers):
    data = b"".join(support.frame(str(n).encode()) for n in numbers)
    return [support.write(folder / "in.tfrecord.gz", gzip.compress(data))]


def _parquet(folder, numbers):
    path = str(folder / "in.parquet")
    pq.write_table(pa.table({"x": pa.array(numbers, pa.float32())}), path, row_group_size=300)
    return [path]


CASES = {
    "lines": ("TEXT", _text, {}),
    "lines in splits": ("TEXT", _text, {"splitBytes": 500}),
    "compressed lines": ("TEXT", _gzip, {}),
    "many files": ("TEXT", _files, {"splitBytes": 700}),
    "TFRecords": ("TF_RECORD", _records, {}),
    "TFRecords in splits": ("TF_RECORD", _records, {"splitBytes": 2000}),
    "compressed TFRecords": ("TF_RECORD_GZIP", _records_gzip, {}),
    "Parquet": ("PARQUET", _parquet, {}),
    "Parquet in splits": ("PARQUET", _parquet, {"splitBytes": 1500}),
}


@pytest.fixture(params=list(CASES.values()), ids=list(CASES))
def case(request, tmp_path, strict, lenient, lenient_rows):
    """A finished job in which all negative numbers failed: its document, and the model that takes them."""
    data_format, write, fields = request.param
    paths = write(tmp_path, NUMBERS)
    first, second = (REFUSES_NEGATIVE, lenient_rows) if data_format == "PARQUET" else (strict, lenient)
    document = support.job(first, paths, str(tmp_path / "out"), data_format, batchSize=16, **fields)
    assert support.counts(support.score_in_process(document)) == (len(NUMBERS) - len(NEGATIVE), len(NEGATIVE))
    return document, second


def test_only_what_failed_is_scored_and_says_where_it_stood(case, tmp_path):
    _, model = case
    output = again(tmp_path / "out", tmp_path / "again", uri=model)
    assert support.counts(output) == (len(NEGATIVE), 0)
    results = support.results(str(tmp_path / "again"))
    assert [one["y"] for one in results] == pytest.approx([math.sqrt(-n) for n in NEGATIVE])
    places = [(one["source"], one["offset"]) for one in results]
    assert places == [(one["source"], one["offset"]) for one in support.errors(str(tmp_path / "out"))]


def test_merged_it_is_the_output_of_one_job_over_all(case, tmp_path):
    document, model = case
    output = again(tmp_path / "out", tmp_path / "merged", merge=True, uri=model)
    assert support.counts(output) == (len(NUMBERS), 0)
    whole = {**document["predictionInput"], "uri": model, "outputPath": str(tmp_path / "whole")}
    support.score_in_process({**document, "predictionInput": whole})
    assert support.published(str(tmp_path / "merged")) == support.published(str(tmp_path / "whole"))


@pytest.mark.usefixtures("case")
def test_what_fails_again_is_named_again(tmp_path):
    output = again(tmp_path / "out", tmp_path / "again")
    assert support.counts(output) == (0, len(NEGATIVE))
    assert support.errors(str(tmp_path / "again")) == support.errors(str(tmp_path / "out"))
    merged = again(tmp_path / "out", tmp_path / "merged", merge=True)
    assert support.counts(merged) == (len(NUMBERS) - len(NEGATIVE), len(NEGATIVE))
    assert support.published(str(tmp_path / "merged")) == support.published(str(tmp_path / "out"))
