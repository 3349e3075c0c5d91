"""The tables of formats: what each is called, which files can be cut, and that the Job resource knows them."""

from __future__ import annotations

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batchpredict.formats.input_formats import INPUT_FORMATS, input_format
from batchpredict.formats.output_formats import OUTPUT_FORMATS, output_format
from batchpredict.job import prediction

NAMES = [name for one in INPUT_FORMATS for name in one.names]


@pytest.mark.parametrize("name", NAMES)
def test_every_input_format_has_a_reader(name: str) -> None:
    one = input_format(name)
    assert name in one.names
    assert callable(one.load_reader())


def test_formats_are_those_that_the_fields_take() -> None:
    assert sorted(NAMES) == sorted(prediction._INPUTS)
    assert sorted(one.name for one in OUTPUT_FORMATS) == sorted(prediction._OUTPUTS)


def test_text_and_json_are_one_format() -> None:
    assert input_format("JSON") is input_format("TEXT")
    assert input_format("JSON").name == "TEXT"


@pytest.mark.parametrize("name", ["CSV", "text", ""])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"dataFormat {name} cannot be read"):
        input_format(name)
    if name != "CSV":
        with pytest.raises(ValueError, match=f"outputDataFormat {name} cannot be written"):
            output_format(name)


@pytest.mark.parametrize(
    ("name", "url", "answer"),
    [
        ("TEXT", "a.json", True),
        ("JSON", "a.json.gz", False),
        ("JSON", "a.json.GZ", False),
        ("TEXT", "a.bz2", False),
        ("TEXT", "a.Bz2", False),
        ("TEXT", "a.gz.json", True),
        ("TF_RECORD", "a.tfrecord", True),
        ("TF_RECORD", "a.tfrecord.gz", False),
        ("TF_RECORD", "A.TFRECORD.GZ", False),
        ("TF_RECORD_GZIP", "a.tfrecord", False),
        ("PARQUET", "a.parquet", True),
        ("PARQUET", "a.parquet.gz", True),
    ],
)
def test_what_can_be_cut(name: str, url: str, answer: bool) -> None:
    assert input_format(name).can_cut(url) is answer


@pytest.mark.parametrize("one", OUTPUT_FORMATS, ids=lambda one: one.name)
def test_every_output_format_writes_a_row(one) -> None:
    file = io.BytesIO()
    writer = one.open_writer(file, ["y"], {"y": pa.int64()})
    writer.write({"y": [1]}, None)
    writer.finish()
    written = file.getvalue()
    assert written == {"JSON": b'{"y":1}\n', "CSV": b"1\n"}.get(one.name, written)
    if one.typed:
        assert pq.read_table(io.BytesIO(written)).to_pylist() == [{"y": 1}]
