"""What `--merge` writes is, byte for byte, what one job writes whose model takes what failed."""

from __future__ import annotations

import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import support
from again import REFUSES_NEGATIVE, again

from batchpredict import storage
from batchpredict.errors import InvalidJob
from batchpredict.rescoring import cutting

TEXTS = ["plain", 'quoted "twice"', "two\nlines", "", 'comma, and "\n"\n', "größe 日本"]


def _row(number: int) -> str:
    return json.dumps({"id": f"{TEXTS[number % 6]} {number}", "x": -number if number % 5 == 2 else number})


@pytest.fixture(params=["JSON", "CSV", "PARQUET"])
def tables(request, tmp_path):
    """A finished job of which every fifth record failed, in an output format, with keys that want to be quoted."""
    path = support.write(tmp_path / "in.json", [_row(number) for number in range(300)])
    return support.job(
        REFUSES_NEGATIVE,
        path,
        str(tmp_path / "out"),
        batchSize=8,
        splitBytes=3000,
        outputDataFormat=request.param,
        instanceConfig={"keyField": "id"},
    )


def _whole(document, model, output):
    whole = {**document["predictionInput"], "uri": model, "outputPath": str(output)}
    support.score_in_process({**document, "predictionInput": whole})
    return support.published(str(output))


@pytest.mark.usefixtures("pages")
def test_in_every_format_of_results(tables, tmp_path, lenient_rows):
    support.score_in_process(tables)
    output = again(tmp_path / "out", tmp_path / "merged", merge=True, uri=lenient_rows)
    assert support.counts(output) == (300, 0)
    assert support.published(str(tmp_path / "merged")) == _whole(tables, lenient_rows, tmp_path / "whole")


def test_splits_are_scored_in_any_order(tables, tmp_path, lenient_rows):
    support.score_in_process(tables)
    again(tmp_path / "out", tmp_path / "merged", merge=True, uri=lenient_rows, order=lambda found: found[::-1])
    assert support.published(str(tmp_path / "merged")) == _whole(tables, lenient_rows, tmp_path / "whole")


def test_results_that_say_where_they_stood(tables, tmp_path, lenient_rows):
    support.score_in_process(tables)
    again(tmp_path / "out", tmp_path / "again", uri=lenient_rows)
    errors = support.errors(str(tmp_path / "out"))
    (name,) = support.result_names(str(tmp_path / "again"))
    if name.endswith(".parquet"):
        table = pq.read_table(str(tmp_path / "again" / name))
        assert table.column_names == ["id", "y", "source", "offset"]
        assert table["offset"].to_pylist() == [error["offset"] for error in errors]
    elif name.endswith(".csv"):
        header = support.read(str(tmp_path / "again"), "prediction.results_header.csv")
        assert header == b"id,y,source,offset\n"
    else:
        found = support.results(str(tmp_path / "again"))
        assert [list(one) for one in found] == [["id", "y", "source", "offset"]] * len(errors)
        assert [one["offset"] for one in found] == [error["offset"] for error in errors]


def test_a_row_of_a_parquet_file_is_told_by_its_index(tmp_path, lenient_rows):
    path = str(tmp_path / "in.parquet")
    pq.write_table(pa.table({"x": pa.array([1, -4, 9, -16], pa.float32())}), path)
    support.score_in_process(support.job(REFUSES_NEGATIVE, path, str(tmp_path / "out"), "PARQUET"))
    again(tmp_path / "out", tmp_path / "again", uri=lenient_rows)
    assert support.results(str(tmp_path / "again")) == [
        {"y": 2.0, "source": path, "offset": 4, "index": 1},
        {"y": 4.0, "source": path, "offset": 4, "index": 3},
    ]


def test_errors_of_errors_until_none_is_left(tmp_path, strict, lenient):
    """Each output is as good as any other to go on from, whether or not it was merged."""
    numbers = [str(number) if number % 3 else f"-{number}" for number in range(1, 100)]
    numbers[10] = numbers[50] = "x"
    path = support.write(tmp_path / "in.txt", numbers)
    document = support.job(strict, path, str(tmp_path / "out"), splitBytes=90, batchSize=8)
    assert support.counts(support.score_in_process(document)) == (65, 34)
    assert support.counts(again(tmp_path / "out", tmp_path / "two", merge=True, uri=lenient)) == (97, 2)
    assert support.counts(again(tmp_path / "two", tmp_path / "three", merge=True)) == (97, 2)
    assert support.published(str(tmp_path / "three")) == support.published(str(tmp_path / "two"))
    assert support.published(str(tmp_path / "two")) == _whole(document, lenient, tmp_path / "whole")
    assert support.counts(again(tmp_path / "out", tmp_path / "apart", uri=lenient)) == (32, 2)
    assert support.counts(again(tmp_path / "apart", tmp_path / "further")) == (0, 2)
    assert support.errors(str(tmp_path / "further")) == support.errors(str(tmp_path / "whole"))


@pytest.mark.parametrize("split_bytes", [300, 1000, 1 << 20])
def test_corrupt_stretches_stay_errors_and_all_else_is_put_in_its_place(tmp_path, strict, lenient, split_bytes):
    data = b"".join(support.frame(b"%d" % (-n if n % 4 == 1 else n)) for n in range(200))
    spoiled = bytearray(data)
    for at in (100, 700, 701, 1900, len(data) - 3):
        spoiled[at] ^= 255
    path = support.write(tmp_path / "in.tfrecord", bytes(spoiled))
    document = support.job(strict, path, str(tmp_path / "out"), "TF_RECORD", splitBytes=split_bytes, batchSize=8)
    first = support.score_in_process(document)
    output = again(tmp_path / "out", tmp_path / "merged", merge=True, uri=lenient)
    assert support.published(str(tmp_path / "merged")) == _whole(document, lenient, tmp_path / "whole")
    codes = [error["code"] for error in support.errors(str(tmp_path / "merged"))]
    assert set(codes) == {"CORRUPT_INPUT"}
    assert support.counts(output) == (sum(support.counts(first)) - len(codes), len(codes))
    apart = again(tmp_path / "out", tmp_path / "again", uri=lenient)
    assert support.counts(apart) == (support.counts(first)[1] - len(codes), len(codes))
    assert support.errors(str(tmp_path / "again")) == support.errors(str(tmp_path / "merged"))


def test_splits_that_were_read_again_from_another_byte(tmp_path, strict, lenient):
    """Frames within a record make a guess at a border wrong; what was read again is what counts."""
    inner = b"".join(support.frame(b"%d" % number) for number in range(40))
    payloads = [inner if n % 9 == 4 else b"%d" % (-n if n % 4 == 1 else n) for n in range(150)]
    path = support.write(tmp_path / "in.tfrecord", b"".join(map(support.frame, payloads)))
    document = support.job(strict, path, str(tmp_path / "out"), "TF_RECORD", splitBytes=700, batchSize=8)
    support.score_in_process(document)
    assert any(one.forced_start for one in support.manifests(document))
    again(tmp_path / "out", tmp_path / "merged", merge=True, uri=lenient)
    assert support.published(str(tmp_path / "merged")) == _whole(document, lenient, tmp_path / "whole")
    again(tmp_path / "out", tmp_path / "again", uri=lenient)
    assert support.errors(str(tmp_path / "again")) == support.errors(str(tmp_path / "whole"))


@pytest.mark.usefixtures("pages")
@pytest.mark.parametrize("data_format", ["TEXT", "TF_RECORD"])
def test_pieces_of_a_large_file_are_counted_from_its_beginning(tmp_path, strict, lenient, data_format, monkeypatch):
    monkeypatch.setattr(cutting, "_FEWEST_RECORDS", 3)
    numbers = ["x" if n % 10 == 5 else f"{-n if n % 3 == 1 else n}" for n in range(300)]
    records = b"".join(support.frame(number.encode()) for number in numbers)
    paths = [support.write(tmp_path / f"{n}.in", records if data_format == "TF_RECORD" else numbers) for n in "ab"]
    document = support.job(strict, paths, str(tmp_path / "out"), data_format, splitBytes=900, batchSize=1)
    support.score_in_process(document)
    again(tmp_path / "out", tmp_path / "again", uri=lenient)
    assert len(support.result_names(str(tmp_path / "again"))) > 40
    wrong = [one for one in support.errors(str(tmp_path / "out")) if one["instance"] == "x"]
    assert [one["index"] for one in support.errors(str(tmp_path / "again"))] == [one["index"] for one in wrong]
    assert [one["offset"] for one in support.errors(str(tmp_path / "again"))] == [one["offset"] for one in wrong]


def test_files_of_a_store_also_those_that_are_stored_compressed(strict, lenient):
    double = storage.Double()
    with double.mounted():
        base = double.folder()
        numbers = ["x" if n % 10 == 5 else f"{-n if n % 3 == 1 else n}" for n in range(100)]
        text = "".join(f"{number}\n" for number in numbers).encode()
        paths = [
            double.put(f"{base}/in/a", text),
            double.put(f"{base}/in/b", gzip.compress(text), encoding="gzip"),
            double.put(f"{base}/in/c.gz", gzip.compress(text)),
        ]
        document = support.job(strict, paths, f"{base}/out", splitBytes=400, batchSize=8)
        support.score_in_process(document)
        again(f"{base}/out", f"{base}/merged", merge=True, uri=lenient)
        assert support.published(f"{base}/merged") == _whole(document, lenient, f"{base}/whole")
        again(f"{base}/out", f"{base}/again", uri=lenient)
        assert support.errors(f"{base}/again") == support.errors(f"{base}/whole")
        assert len(support.results(f"{base}/again")) == 3 * 30


def test_a_compressed_file_that_breaks_in_the_middle(tmp_path, strict, lenient):
    members = [gzip.compress("".join(f"{-n if n % 4 == 1 else n}\n" for n in some).encode()) for some in
               (range(50), range(50, 90), range(90, 130))]  # fmt: skip
    members[1] = members[1][: len(members[1]) // 2]
    path = support.write(tmp_path / "in.gz", b"".join(members))
    document = support.job(strict, path, str(tmp_path / "out"), batchSize=8)
    support.score_in_process(document)
    again(tmp_path / "out", tmp_path / "merged", merge=True, uri=lenient)
    assert support.published(str(tmp_path / "merged")) == _whole(document, lenient, tmp_path / "whole")
    assert len(support.errors(str(tmp_path / "merged"))) == 1


def test_a_row_group_that_is_lost_counts_all_its_rows(tmp_path, lenient_rows):
    path = str(tmp_path / "in.parquet")
    numbers = pa.array([-n if n % 4 == 1 else n for n in range(3000)], pa.float32())
    pq.write_table(
        pa.table({"x": numbers}), path, row_group_size=1000, compression="none", use_dictionary=False,
        write_page_checksum=True,
    )  # fmt: skip
    offset = pq.ParquetFile(path).metadata.row_group(1).column(0).data_page_offset
    with open(path, "r+b") as file:
        file.seek(offset + 2000)
        file.write(b"\xff\xff")
    document = support.job(REFUSES_NEGATIVE, path, str(tmp_path / "out"), "PARQUET", batchSize=8, splitBytes=9000)
    assert support.counts(support.score_in_process(document)) == (1500, 1500)
    output = again(tmp_path / "out", tmp_path / "merged", merge=True, uri=lenient_rows)
    assert support.counts(output) == (2000, 1000)
    assert support.published(str(tmp_path / "merged")) == _whole(document, lenient_rows, tmp_path / "whole")
    assert support.counts(again(tmp_path / "out", tmp_path / "again", uri=lenient_rows)) == (500, 1000)


def test_a_record_that_was_too_long_and_no_longer_is(tmp_path, strict):
    numbers = ["1", f"4.{'0' * 100}", "9"]
    path = support.write(tmp_path / "in.txt", numbers)
    document = support.job(strict, path, str(tmp_path / "out"), maxRecordBytes=50)
    assert support.counts(support.score_in_process(document)) == (2, 1)
    assert support.counts(again(tmp_path / "out", tmp_path / "merged", merge=True, maxRecordBytes=200)) == (3, 0)
    assert [one["y"] for one in support.results(str(tmp_path / "merged"))] == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("output_format", ["CSV", "PARQUET"])
def test_other_columns_are_refused_before_anything_is_scored(tmp_path, output_format):
    path = support.write(tmp_path / "in.json", ['{"x": 1}', '{"x": -1}'])
    document = support.job(REFUSES_NEGATIVE, path, str(tmp_path / "out"), outputDataFormat=output_format)
    support.score_in_process(document)
    with pytest.raises(InvalidJob, match="have the columns y, and the new ones would have id, y"):
        again(tmp_path / "out", tmp_path / "merged", merge=True, instanceConfig={"keyField": "id"})
    assert support.names(str(tmp_path / "merged"), "results") == []


def test_json_results_of_another_model_are_merged_with_other_fields(tmp_path):
    path = support.write(tmp_path / "in.json", ['{"x": 1}', '{"x": -1}', '{"x": 4}'])
    support.score_in_process(support.job(REFUSES_NEGATIVE, path, str(tmp_path / "out")))
    again(tmp_path / "out", tmp_path / "merged", merge=True, uri=support.model("nonfinite"))
    assert len(support.results(str(tmp_path / "merged"))) == 3


@pytest.mark.parametrize("place", ["source", "offset"])
def test_a_field_that_has_the_name_of_a_place(tmp_path, place):
    path = support.write(tmp_path / "in.json", [f'{{"{place}": 1, "x": 1}}', f'{{"{place}": 2, "x": -1}}'])
    config = {"keyField": place}
    support.score_in_process(support.job(REFUSES_NEGATIVE, path, str(tmp_path / "out"), instanceConfig=config))
    with pytest.raises(InvalidJob, match=f'"{place}" is a field of the results already'):
        again(tmp_path / "out", tmp_path / "again")
    assert support.counts(again(tmp_path / "out", tmp_path / "merged", merge=True)) == (1, 1)
