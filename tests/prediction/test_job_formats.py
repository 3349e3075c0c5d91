"""Predictions equal a direct call of the signature: every format, splits of every size, every batch size."""

from __future__ import annotations

import base64
import csv
import decimal
import gzip
import io
import json
import os
import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import support
from support import DIGITS_MODEL, ROWS, digits, score_in_process

from batchpredict.errors import InvalidJob


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    """The 1,797 rows in the order of their ids."""
    with open(digits("keyed", "digits.json")) as file:
        return np.array([json.loads(line)["pixels"] for line in file], np.float32)


@pytest.fixture(scope="module")
def direct(pixels):
    """What the signature gives for some rows, in calls of `batch` rows each."""

    def call(rows: np.ndarray = pixels, batch: int = ROWS) -> dict[str, np.ndarray]:
        import tensorflow as tf

        score = support.signature(DIGITS_MODEL)
        parts = [score(pixels=tf.constant(rows[start : start + batch])) for start in range(0, len(rows), batch)]
        return {alias: np.concatenate([part[alias] for part in parts]) for alias in parts[0]}

    return call


def assert_equal(results: list[support.Document], expected: dict[str, np.ndarray]) -> None:
    assert [one["digit"] for one in results] == expected["digit"].tolist()
    found = np.array([one["probabilities"] for one in results], np.float32)
    np.testing.assert_allclose(found, expected["probabilities"], rtol=1e-5, atol=1e-7)


@pytest.fixture
def text_gz(tmp_path) -> str:
    for part in range(3):
        with open(digits("text", f"part-{part}.json"), "rb") as file:
            support.write(tmp_path / "gz" / f"part-{part}.json.gz", gzip.compress(file.read()))
    return str(tmp_path / "gz" / "*")


EXAMPLES = {"signatureName": "serving_examples"}


@pytest.mark.parametrize(
    ("data_format", "pattern", "fields"),
    [
        ("TEXT", digits("text", "*"), {}),
        ("JSON", digits("text"), {}),
        ("TF_RECORD", digits("tfrecord", "part-?.tfrecord"), EXAMPLES),
        ("TF_RECORD", digits("tfrecord_gzip", "*"), EXAMPLES),
        ("TF_RECORD_GZIP", digits("tfrecord_gzip", "*"), EXAMPLES),
        ("PARQUET", digits("parquet", "*.parquet"), {}),
    ],
    ids=["text", "json", "tfrecord", "tfrecord-by-name", "tfrecord-gzip", "parquet"],
)
def test_every_format_gives_what_the_signature_gives_in_input_order(data_format, pattern, fields, memory, direct):
    output = score_in_process(support.job(DIGITS_MODEL, pattern, memory, data_format, **fields))
    assert support.counts(output) == (ROWS, 0)
    assert_equal(support.results(memory), direct())


def test_compressed_text_is_known_by_its_name(text_gz, memory, direct):
    score_in_process(support.job(DIGITS_MODEL, text_gz, memory))
    assert_equal(support.results(memory), direct())


@pytest.mark.parametrize("batch", [1, 7, 64, 1024, 5000])
def test_results_are_bit_for_bit_those_of_calls_of_the_same_batch_size(batch, memory, direct):
    document = support.job(
        DIGITS_MODEL, digits("keyed", "digits.json"), memory, batchSize=batch, splitBytes=2**30,
        instanceConfig={"keyField": "id"},
    )  # fmt: skip
    score_in_process(document)
    found = support.results(memory)
    expected = direct(batch=batch)
    assert [one["id"] for one in found] == list(range(ROWS))
    assert [one["digit"] for one in found] == expected["digit"].tolist()
    probabilities = np.array([one["probabilities"] for one in found], np.float32)
    assert probabilities.tobytes() == expected["probabilities"].tobytes()


@pytest.mark.parametrize("batch", [1, 7, 64, 1024])
def test_batches_have_the_size_that_was_asked_for_except_the_last(batch, memory):
    document = support.job(DIGITS_MODEL, digits("text", "*"), memory, batchSize=batch, splitBytes=100_000)
    score_in_process(document)
    for manifest in support.manifests(document):
        rows, calls = manifest.batch_rows, manifest.batch_calls
        assert rows == manifest.predictions
        assert calls == -(-rows // batch)
        assert manifest.batch_max == min(batch, rows)
        assert manifest.batch_min in (rows % batch or batch, batch)


@pytest.mark.parametrize("split_bytes", [997, 4096, 30_000, 94_874, 100_000, 10**9])
@pytest.mark.parametrize(
    ("data_format", "pattern", "fields"),
    [("TEXT", digits("text", "*"), {}), ("TF_RECORD", digits("tfrecord", "*"), EXAMPLES)],
    ids=["text", "tfrecord"],
)
def test_the_size_of_splits_changes_nothing(data_format, pattern, fields, split_bytes, memory, direct):
    document = support.job(DIGITS_MODEL, pattern, memory, data_format, splitBytes=split_bytes, **fields)
    output = score_in_process(document)
    assert support.counts(output) == (ROWS, 0)
    assert_equal(support.results(memory), direct())


@pytest.mark.parametrize("split_bytes", [1, 2, 3, 13])
def test_splits_of_a_few_bytes_of_text(split_bytes, tmp_path, memory):
    rows = [b'{"x": 1}', b"2", b"", b'{"x": 3.5}\r', b"oops", b"4", b"\xff", b"5"]
    source = support.write(tmp_path / "rows.json", b"\xef\xbb\xbf" + b"\n".join(rows))
    score_in_process(support.job(support.model("double"), source, memory, splitBytes=split_bytes))
    assert support.results(memory) == [{"y": 2.0}, {"y": 4.0}, {"y": 7.0}, {"y": 8.0}, {"y": 10.0}]
    found = [(one["line"], one["index"], one["offset"]) for one in support.errors(memory)]
    assert found == [(3, 2, 14), (5, 4, 27), (7, 6, 34)]


@pytest.mark.parametrize("split_bytes", [1, 2, 5, 311, 312])
def test_splits_of_a_few_bytes_of_tfrecords(split_bytes, tmp_path, memory, pixels, direct):
    with open(digits("tfrecord", "part-0.tfrecord"), "rb") as file:
        data = file.read(4000)
    at, rows = 0, 0
    while rows < 5:
        at, rows = at + 16 + int.from_bytes(data[at : at + 8], "little"), rows + 1
    source = support.write(tmp_path / "five.tfrecord", data[:at])
    document = support.job(DIGITS_MODEL, source, memory, "TF_RECORD", splitBytes=split_bytes, **EXAMPLES)
    score_in_process(document)
    assert_equal(support.results(memory), direct(pixels[:5]))


def test_order_in_which_splits_are_done_changes_nothing(memory):
    def run(name, order):
        output = f"{memory}/{name}"
        score_in_process(support.job(DIGITS_MODEL, digits("text", "*"), output, splitBytes=9000), order=order)
        return support.published(output)

    forwards = run("forwards", list)
    assert len(support.result_names(f"{memory}/forwards")) == 33
    assert run("backwards", lambda splits: splits[::-1]) == forwards
    assert run("halves", lambda splits: splits[1::2] + splits[::2]) == forwards


def test_inputs_and_outputs_in_memory(memory, direct):
    with open(digits("parquet", "digits.parquet"), "rb") as file:
        support.write(f"{memory}/in/digits.parquet", file.read())
    output = f"{memory}/out"
    score_in_process(support.job(DIGITS_MODEL, f"{memory}/in/*", output, "PARQUET", splitBytes=5000))
    assert_equal(support.results(output), direct())
    assert len(support.result_names(output)) > 3


def test_many_small_files_are_packed_into_few_splits(tmp_path, memory):
    for number in range(300):
        support.write(tmp_path / "in" / f"{number:04}.json", f"{number}\n" if number % 10 else "")
    document = support.job(support.model("double"), str(tmp_path / "in" / "*"), memory, splitBytes=100)
    output = score_in_process(document)
    numbers = [number for number in range(300) if number % 10]
    assert support.results(memory) == [{"y": 2.0 * number} for number in numbers]
    assert support.counts(output) == (270, 0)
    assert 10 <= len(support.result_names(memory)) <= 15


def test_a_batch_goes_on_over_the_files_of_a_split(tmp_path, memory):
    for number in range(100):
        support.write(tmp_path / "in" / f"{number:04}.json", f"{number}\n")
    document = support.job(support.model("double"), str(tmp_path / "in"), memory, batchSize=50)
    score_in_process(document)
    (manifest,) = support.manifests(document)
    assert (manifest.batch_calls, manifest.batch_min, manifest.batch_max) == (2, 50, 50)


def test_inputs_without_a_record_succeed_with_empty_results(tmp_path, memory):
    support.write(tmp_path / "in" / "a", b"")
    support.write(tmp_path / "in" / "b", b"")
    output = score_in_process(support.job(support.model("double"), str(tmp_path / "in" / "*"), memory))
    assert support.counts(output) == (0, 0)
    assert support.published(memory) == {
        "_SUCCESS": b"",
        "prediction.errors-00000-of-00001": b"",
        "prediction.errors_stats-00000-of-00001": b"",
        "prediction.results-00000-of-00001": b"",
    }


def test_files_come_in_the_order_of_the_patterns_and_once_each(tmp_path, memory):
    for name, value in (("a", 1), ("b", 2), ("c", 3)):
        support.write(tmp_path / name, f"{value}\n")
    patterns = [str(tmp_path / "c"), str(tmp_path / "[ab]"), str(tmp_path / "*")]
    score_in_process(support.job(support.model("double"), patterns, memory))
    assert [one["y"] for one in support.results(memory)] == [6.0, 2.0, 4.0]


# Output formats -------------------------------------------------------------------------------------------------


def test_csv_has_its_header_in_a_file_of_its_own(memory, direct):
    document = support.job(
        DIGITS_MODEL, digits("keyed", "*"), memory, outputDataFormat="CSV", splitBytes=100_000,
        instanceConfig={"keyField": "id"},
    )  # fmt: skip
    score_in_process(document)
    shards = support.result_names(memory)
    assert shards == [f"prediction.results-{shard:05}-of-00003.csv" for shard in range(3)]
    header = support.read(memory, "prediction.results_header.csv")
    assert header == b"id,digit,probabilities\n"
    text = b"".join(support.read(memory, name) for name in shards).decode()
    rows = list(csv.DictReader(io.StringIO(header.decode() + text)))
    assert [int(row["id"]) for row in rows] == list(range(ROWS))
    parsed = [{"digit": int(row["digit"]), "probabilities": json.loads(row["probabilities"])} for row in rows]
    assert_equal(parsed, direct())


def test_parquet_output_has_typed_columns(tmp_path, direct):
    output = str(tmp_path / "out")
    document = support.job(
        DIGITS_MODEL, digits("keyed", "*"), output, outputDataFormat="PARQUET", splitBytes=100_000,
        instanceConfig={"keyField": "id"},
    )  # fmt: skip
    score_in_process(document)
    shards = support.result_names(output)
    assert shards == [f"prediction.results-{shard:05}-of-00003.parquet" for shard in range(3)]
    tables = [pq.read_table(os.path.join(output, shard)) for shard in shards]
    types = {field.name: str(field.type) for field in tables[0].schema}
    assert types["digit"] == "int64"
    assert types["probabilities"].startswith("list<")
    assert "float" in types["probabilities"]
    rows = [row for table in tables for row in table.to_pylist()]
    assert [row["id"] for row in rows] == [str(number) for number in range(ROWS)]
    assert_equal(rows, direct())


def test_parquet_of_no_rows_can_be_read(tmp_path):
    output = str(tmp_path / "out")
    support.write(tmp_path / "empty.json", b"")
    score_in_process(
        support.job(support.model("double"), str(tmp_path / "empty.json"), output, outputDataFormat="PARQUET")
    )
    table = pq.read_table(os.path.join(output, "prediction.results-00000-of-00001.parquet"))
    assert (table.num_rows, table.column_names) == (0, ["y"])


def test_csv_of_no_rows_has_a_header(tmp_path, memory):
    support.write(tmp_path / "empty.json", b"")
    score_in_process(
        support.job(support.model("double"), str(tmp_path / "empty.json"), memory, outputDataFormat="CSV")
    )
    assert support.read(memory, "prediction.results_header.csv") == b"y\n"


# Fields that go past the model ----------------------------------------------------------------------------------


ROW = {"id": "r1", "note": {"n": [1, None]}, "a": [1, 2], "b": 3}


def score_one(row: support.Document, memory: str, tmp_path, **config) -> list[support.Document]:
    source = support.write(tmp_path / "row.json", [json.dumps(row)])
    score_in_process(support.job(support.model("two_inputs"), source, memory, instanceConfig=config))
    return support.results(memory)


def test_a_key_comes_back_on_its_prediction(tmp_path, memory):
    row = {name: value for name, value in ROW.items() if name != "note"}
    assert score_one(row, memory, tmp_path, keyField="id") == [{"id": "r1", "sum": 6.0}]


def test_included_fields_reach_the_model_and_the_others_come_back(tmp_path, memory):
    (found,) = score_one(ROW, memory, tmp_path, includedFields=["a", "b"])
    assert found == {"id": "r1", "note": {"n": [1, None]}, "sum": 6.0}


def test_excluded_fields_come_back(tmp_path, memory):
    (found,) = score_one(ROW, memory, tmp_path, keyField="id", excludedFields=["note"])
    assert found == {"id": "r1", "note": {"n": [1, None]}, "sum": 6.0}


def test_a_field_that_the_model_does_not_know_is_one_error(tmp_path, memory):
    assert score_one(ROW, memory, tmp_path, keyField="id") == []
    (error,) = support.errors(memory)
    assert (error["message"], error["key"]) == ("Unexpected tensor name: note", "r1")


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"keyField": "x"}, '.key_field Error: "x" is an input of the model: it cannot be the key'),
        ({"excludedFields": ["x"]}, '.excluded_fields Error: "x" is an input of the model: it cannot be excluded'),
        ({"includedFields": ["z"]}, '.included_fields Error: "x" is an input of the model: it must be among them'),
    ],
)
def test_an_input_that_no_record_could_bring_fails_the_job(config, said, tmp_path, memory):
    source = support.write(tmp_path / "row.json", ['{"x": 1}'])
    with pytest.raises(InvalidJob, match=re.escape(f"prediction_input.instance_config{said}")):
        score_in_process(support.job(support.model("double"), source, memory, instanceConfig=config))


def test_a_key_is_read_from_a_tf_example(memory, direct):
    document = support.job(
        DIGITS_MODEL, digits("tfrecord", "*"), memory, "TF_RECORD", instanceConfig={"keyField": "id"}, **EXAMPLES
    )
    score_in_process(document)
    found = support.results(memory)
    assert [one["id"] for one in found] == list(range(ROWS))
    assert_equal(found, direct())


KEYS = [
    "12345678901234567890123", "-0", "-0.0", "1.0", "1.50", "1e400", "0.10000000000000000001", '"\\u00e9 \\/"',
    '{"b64": "no base64"}', "[1,  null]", '{"z": 1, "a": 2}',
]  # fmt: skip


def keyed(tmp_path, memory, output_format: str) -> None:
    """A job whose keys are these, each with a record that the model takes and with one that it does not."""
    lines = [f'{{"k": {key} , "x": {x}}}' for x in ("1", '"a"') for key in KEYS]
    source = support.write(tmp_path / "keyed.json", lines)
    document = support.job(
        support.model("double"), source, memory, outputDataFormat=output_format, instanceConfig={"keyField": "k"}
    )
    assert support.counts(score_in_process(document)) == (len(KEYS), len(KEYS))


def test_keys_come_back_as_the_bytes_that_came(tmp_path, memory):
    keyed(tmp_path, memory, "JSON")
    assert support.lines(memory) == [f'{{"k":{key},"y":2.0}}'.encode() for key in KEYS]
    (name,) = support.error_names(memory)
    errors = support.read(memory, name).splitlines()
    assert [line.rpartition(b',"key":')[2] for line in errors] == [key.encode() + b"}" for key in KEYS]


def test_keys_in_a_table_are_what_they_say(tmp_path, memory):
    cells = [json.loads(key) if key.startswith('"') else key for key in KEYS]
    keyed(tmp_path, f"{memory}/csv", "CSV")
    text = b"".join(support.read(f"{memory}/csv", name) for name in support.result_names(f"{memory}/csv"))
    assert [row[0] for row in csv.reader(io.StringIO(text.decode()))] == cells
    keyed(tmp_path, f"{memory}/parquet", "PARQUET")
    (name,) = support.result_names(f"{memory}/parquet")
    table = pq.read_table(io.BytesIO(support.read(f"{memory}/parquet", name)))
    assert table.column("k").to_pylist() == cells


@pytest.mark.parametrize("config", [{"includedFields": ["x"]}, {"keyField": "b", "excludedFields": ["a", "c"]}])
def test_all_that_goes_past_comes_back_as_it_came(config, tmp_path, memory):
    source = support.write(tmp_path / "row.json", ['{"a": 1.0,"b" :[ 1e400 ], "x":1,"c":{"b64":"?"}}'])
    score_in_process(support.job(support.model("double"), source, memory, instanceConfig=config))
    fields = {"a": "1.0", "b": "[ 1e400 ]", "c": '{"b64":"?"}'}
    order = "abc" if "includedFields" in config else "bac"
    expected = ",".join(f'"{name}":{fields[name]}' for name in order)
    assert support.lines(memory) == [f'{{{expected},"y":2.0}}'.encode()]


def test_json_records_of_several_lines_come_back_on_one(tmp_path, memory):
    record = json.dumps({"k": {"a": [1.50, "x"]}, "x": 1}, indent=1).encode("utf-8-sig")
    source = support.write(tmp_path / "x.tfrecord", support.frame(record))
    score_in_process(
        support.job(support.model("double"), source, memory, "TF_RECORD", instanceConfig={"keyField": "k"})
    )
    (line,) = support.lines(memory)
    assert json.loads(line) == {"k": {"a": [1.5, "x"]}, "y": 2.0}
    assert b"\n" not in line


def test_a_job_with_fields_to_carry_is_another_than_it_was(memory):
    """A version before this one wrote them in another way; one without such fields goes on where it was."""
    plain = support.spec_of(support.job("m", "in", memory))
    assert "carried_fields" not in plain.options()
    for config in ({"keyField": "k"}, {"includedFields": ["x"]}, {"excludedFields": ["a"]}):
        assert "carried_fields" in support.spec_of(support.job("m", "in", memory, instanceConfig=config)).options()


def test_base64_in_lines_and_names_in_capitals_are_read_as_the_service_read_them(tmp_path, memory):
    text = base64.encodebytes(b"text" * 60).decode()
    assert text.count("\n") > 1
    line = json.dumps({"line": {"b64": text}})
    source = support.write(tmp_path / "IN.JSON.GZ", gzip.compress(f"{line}\n".encode()))
    score_in_process(
        support.job(support.model("echo_string"), source, memory, instanceConfig={"excludedFields": ["note"]})
    )
    assert support.errors(memory) == []
    assert [one["line"] for one in support.results(memory)] == ["text" * 60]


# Odd values of Parquet ------------------------------------------------------------------------------------------


NS = 1_488_630_600_000_000_001
ODD = {
    "nanoseconds": (pa.array([NS, None], pa.timestamp("ns")), ['"2017-03-04T12:30:00.000000001"', "null"]),
    "zone": (
        pa.array([NS // 1000, None], pa.timestamp("us", "Mars/Phobos")),
        ['"2017-03-04T12:30:00Z"', "null"],
    ),
    "text": (
        pa.Array.from_buffers(pa.string(), 2, pa.array([b"\xff", b"a"]).buffers()),
        ['{"b64":"/w=="}', '"a"'],
    ),
    "numeric": (pa.array([decimal.Decimal("12345678901234567890.10"), None]), ["12345678901234567890.10", "null"]),
    "duration": (pa.array([1, 2], pa.duration("ns")), ['"0.000000001s"', '"0.000000002s"']),
    "times": (pa.array([[{"t": NS}], []], pa.list_(pa.struct([("t", pa.timestamp("ns", "No/Where"))]))),
              ['[{"t":"2017-03-04T12:30:00.000000001Z"}]', "[]"]),
}  # fmt: skip


def parquet(path, columns: support.Document) -> str:
    buffer = io.BytesIO()
    table = pa.table(list(columns.values()), names=[name.strip() for name in columns])
    pq.write_table(table, buffer)
    return support.write(path, buffer.getvalue())


@pytest.mark.parametrize("name", ODD)
def test_an_odd_column_past_the_model_comes_back(name, tmp_path, memory):
    array, texts = ODD[name]
    source = parquet(tmp_path / "odd.parquet", {"odd": array, "x": pa.array([1.0, 2.0])})
    document = support.job(
        support.model("double"), source, memory, "PARQUET", instanceConfig={"excludedFields": ["odd"]}
    )
    assert support.counts(score_in_process(document)) == (2, 0)
    for line, text, y in zip(support.lines(memory), texts, (2.0, 4.0), strict=True):
        assert line == f'{{"odd":{text},"y":{y}}}'.encode()


@pytest.mark.parametrize("name", ODD)
def test_an_odd_column_that_is_in_the_way_is_an_error_a_row(name, tmp_path, memory):
    array, _ = ODD[name]
    source = parquet(tmp_path / "odd.parquet", {"odd": array, "x": pa.array([1.0, 2.0])})
    assert support.counts(score_in_process(support.job(support.model("double"), source, memory, "PARQUET"))) == (
        0,
        2,
    )
    messages = {error["message"] for error in support.errors(memory)}
    assert messages == {"Expected tensor name: x, got tensor name: odd, x."}


def test_decimals_are_numbers(tmp_path, memory):
    values = [decimal.Decimal("1.5"), None, decimal.Decimal("-2")]
    source = parquet(tmp_path / "numeric.parquet", {"x": pa.array(values, pa.decimal128(38, 9))})
    assert support.counts(score_in_process(support.job(support.model("double"), source, memory, "PARQUET"))) == (
        2,
        1,
    )
    assert support.results(memory) == [{"y": 3.0}, {"y": -4.0}]


@pytest.mark.parametrize("config", [{}, {"keyField": "k"}, {"excludedFields": ["k"]}])
def test_two_columns_of_a_name_end_no_job(config, tmp_path, memory):
    columns = {"x": pa.array(["a", "b"]), "k": pa.array([1, 2]), "x ": pa.array([1.0, 2.0])}
    source = parquet(tmp_path / "twice.parquet", columns)
    document = support.job(support.model("double"), source, memory, "PARQUET", instanceConfig=config)
    assert sum(support.counts(score_in_process(document))) == 2


def test_an_unreadable_row_group_counts_its_rows(tmp_path, memory):
    buffer = io.BytesIO()
    pq.write_table(
        pa.table({"x": [float(n) for n in range(120)]}), buffer, row_group_size=40, write_page_checksum=True
    )
    data = bytearray(buffer.getvalue())
    column = pq.ParquetFile(io.BytesIO(data)).metadata.row_group(1).column(0)
    data[column.data_page_offset + 60 : column.data_page_offset + 100] = b"\xff" * 40
    source = support.write(tmp_path / "damaged.parquet", bytes(data))
    document = support.job(support.model("refuses_negative"), source, memory, "PARQUET")
    assert support.counts(score_in_process(document)) == (80, 40)
    (error,) = support.errors(memory)
    assert (error["index"], error["records"]) == (40, 40)
    assert support.stats(memory) == [(error["message"], 40)]


def test_infinities_and_nan_are_the_strings_of_the_protobuf_mapping(tmp_path, memory):
    source = support.write(tmp_path / "x.json", ["0", "-1", "1"])
    score_in_process(support.job(support.model("nonfinite"), source, memory))
    assert support.results(memory) == [
        {"log": "-Infinity", "y": "Infinity"},
        {"log": "NaN", "y": -1.0},
        {"log": 0.0, "y": 1.0},
    ]
