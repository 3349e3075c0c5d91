"""JSON lines: a column encoded at once gives what encoding each row gives; carried fields are as they came."""

import csv
import io
import json

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchpredict.formats.results import CsvResults, JsonResults, ParquetResults
from batchpredict.models.encode import base64_object, to_values


def written(columns, carried=None):
    file = io.BytesIO()
    texts = carried and [{name: orjson.dumps(value) for name, value in row.items()} for row in carried]
    JsonResults(file).write(columns, texts)
    data = file.getvalue()
    assert data.endswith(b"\n")
    return [json.loads(line) for line in data[:-1].split(b"\n")]


def rows_of(columns, carried=None):
    count = len(next(iter(columns.values())))
    return [
        {**(carried[row] if carried else {}), **{name: values[row] for name, values in columns.items()}}
        for row in range(count)
    ]


numbers = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False), st.integers(-(2**63), 2**64 - 1), st.booleans()
)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from(
    ['","', "],[", '"],["', "%b"]
)


@st.composite
def arrays(draw, count):
    """A column as `ndarray.tolist()` gives it: one shape for all rows."""
    leaf = draw(st.sampled_from([numbers, texts]))
    value = leaf
    for size in draw(st.lists(st.integers(0, 3), max_size=3)):
        value = st.lists(value, min_size=size, max_size=size)
    return draw(st.lists(value, min_size=count, max_size=count))


@st.composite
def tables(draw):
    count = draw(st.integers(1, 5))
    names = draw(st.lists(texts, min_size=1, max_size=3, unique=True))
    columns = {name: draw(arrays(count)) for name in names}
    fields = st.dictionaries(texts.filter(lambda name: name not in names), numbers | texts, max_size=2)
    carried = draw(st.none() | st.lists(fields, min_size=count, max_size=count))
    return columns, carried


@given(tables())
def test_a_line_is_the_json_of_its_row(table):
    columns, carried = table
    assert written(columns, carried) == rows_of(columns, carried)


@pytest.mark.parametrize("value", ["NaN", "Infinity"])
def test_a_number_spelled_as_text_among_numbers_stays_in_its_row(value):
    columns = {"x": [[1.5, 2.0], [value, 2.0], [3.0, 4.0]]}
    assert written(columns) == rows_of(columns)


@pytest.mark.parametrize("text", [b"1" + b"0" * 30, b"-0", b"1.50", b"1e400", b'{"b64" : "AA==" }', b'"\\u00e9"'])
def test_a_carried_text_is_written_as_it_is(text):
    file = io.BytesIO()
    JsonResults(file).write({"y": [1]}, [{"a%b": text}])
    assert file.getvalue() == b'{"a%b":' + text + b',"y":1}\n'


@pytest.mark.parametrize(
    ("text", "cell"),
    [(b"1.50", "1.50"), (b'"\\u00e9\\n"', "é\n"), (b"true", "true"), (b"null", None), (b"[1, null]", "[1, null]")],
)
def test_a_carried_text_in_a_cell_is_what_it_says(text, cell):
    written = io.BytesIO()
    CsvResults(written, ["k", "y"]).write({"y": [1]}, [{"k": text}])
    assert next(csv.reader(io.StringIO(written.getvalue().decode(), newline=""))) == [cell or "", "1"]
    parquet = io.BytesIO()
    writer = ParquetResults(parquet, {"k": pa.string(), "y": pa.int64()})
    writer.write({"y": [1]}, [{"k": text}])
    writer.finish()
    assert pq.read_table(parquet).to_pylist() == [{"k": cell, "y": 1}]


@given(
    shape=st.lists(st.integers(0, 3), max_size=3),
    count=st.integers(1, 5),
    dtype=st.sampled_from(["f2", "f4", "f8", "i1", "u8", "i8", "?"]),
    seed=st.integers(0, 1 << 16),
)
def test_an_array_is_written_as_its_values_are(shape, count, dtype, seed):
    size = count * int(np.prod(shape)) * np.dtype(dtype).itemsize
    data = np.random.default_rng(seed).bytes(size)
    if dtype == "?":
        data = bytes(byte & 1 for byte in data)
    array = np.nan_to_num(np.frombuffer(data, dtype).reshape(count, *shape), posinf=1, neginf=0)
    files = []
    for arrays in (True, False):
        values, _ = to_values("y", array, strict_json=True, b64=base64_object, arrays=arrays)
        files.append(io.BytesIO())
        JsonResults(files[-1]).write({"y": values, "z": values}, None)
        JsonResults(files[-1]).write({"y": values}, None)
    assert files[0].getvalue() == files[1].getvalue()
