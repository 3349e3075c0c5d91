"""JSON lines: a column encoded at once gives what encoding each row gives."""

import io
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchpredict.formats.results import JsonResults
from batchpredict.models.encode import base64_object, to_values


def written(columns, carried=None):
    file = io.BytesIO()
    JsonResults(file).write(columns, carried)
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
texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=8) | st.sampled_from(
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


def test_a_carried_integer_of_more_than_64_bits_is_written_whole():
    assert written({"y": [1]}, [{"id": 10**30}]) == [{"id": 10**30, "y": 1}]


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
