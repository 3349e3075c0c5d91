"""Rows of a Parquet file to columns: the same meaning as JSON instances, and the same refusals."""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from batchpredict.errors import RecordRefused
from batchpredict.formats.records import Rows
from batchpredict.models.columns import Ragged
from batchpredict.scoring.decode import Decoder
from batchpredict.scoring.fields import FieldRule
from batchpredict.scoring.instances import Instances

SCALAR = {"x": ("float32", ())}
PAIR = {"x": ("float32", (2,))}
TWO = {"a": ("float32", (2,)), "b": ("int64", ())}


@pytest.fixture
def decode(make: Any) -> Any:
    def decode(
        inputs: dict[str, Any], columns: dict[str, Any], rule: FieldRule | None = None
    ) -> tuple[Instances, dict[int, RecordRefused]]:
        table = pa.record_batch(columns)
        return Decoder(make.signature(**inputs), rule or FieldRule(), text=False)(0, Rows(table, 0, 0))

    return decode


def test_numbers(decode: Any) -> None:
    instances, refusals = decode(SCALAR, {"x": pa.array([1, 2, 3], pa.int32())})
    assert not refusals
    assert instances.columns["x"].dtype == np.float32
    assert instances.columns["x"].tolist() == [1, 2, 3]


@pytest.mark.parametrize("kind", [pa.list_(pa.float32()), pa.large_list(pa.float64()), pa.list_(pa.int16(), 2)])
def test_lists_of_numbers(decode: Any, kind: Any) -> None:
    instances, refusals = decode(PAIR, {"x": pa.array([[1, 2], [3, 4]], kind)})
    assert not refusals
    assert instances.columns["x"].dtype == np.float32
    assert instances.columns["x"].tolist() == [[1, 2], [3, 4]]


def test_nested_lists(decode: Any) -> None:
    value = [[[1, 2], [3, 4]], [[5, 6], [7, 8]]]
    instances, refusals = decode({"x": ("int64", (2, 2))}, {"x": pa.array(value)})
    assert not refusals
    assert instances.columns["x"].tolist() == value


@pytest.mark.parametrize("kind", [pa.list_(pa.float32()), pa.list_(pa.float32(), 2)])
def test_rows_from_the_middle_of_a_table(make: Any, kind: Any) -> None:
    table = pa.record_batch({"x": pa.array([[n, n] for n in range(10)], kind)}).slice(4, 3)
    instances, _ = Decoder(make.signature(**PAIR), FieldRule(), text=False)(0, Rows(table, 0, 4))
    assert make.array(instances.columns["x"]).tolist() == [[4, 4], [5, 5], [6, 6]]
    assert [instances.place(row).record for row in range(3)] == [4, 5, 6]


def test_lists_of_several_lengths_where_the_size_is_open(decode: Any) -> None:
    instances, refusals = decode({"x": ("float32", (None,))}, {"x": pa.array([[1.0], [2.0, 3.0], []])})
    assert not refusals
    assert isinstance(instances.columns["x"], Ragged)
    assert [row.tolist() for row in instances.columns["x"]] == [[1], [2, 3], []]


def test_a_null_costs_its_row(decode: Any, make: Any) -> None:
    instances, refusals = decode(SCALAR, {"x": pa.array([1.0, None, 3.0])})
    assert make.messages(refusals) == {1: "Input mismatch: input x takes one float32, got null."}
    assert instances.columns["x"].tolist() == [1, 3]


def test_a_null_within_a_list_costs_its_row(decode: Any) -> None:
    instances, refusals = decode(PAIR, {"x": pa.array([[1.0, 2.0], [1.0, None], None])})
    assert list(refusals) == [1, 2]
    assert instances.columns["x"].tolist() == [[1, 2]]


def test_a_list_of_another_length_costs_its_row(decode: Any, make: Any) -> None:
    instances, refusals = decode(PAIR, {"x": pa.array([[1.0, 2.0], [1.0]])})
    message = "Input mismatch: input x takes float32 of shape [2], got a value of shape [1]."
    assert make.messages(refusals) == {1: message}
    assert instances.count == 1


def test_a_number_out_of_range_costs_its_row(decode: Any, make: Any) -> None:
    instances, refusals = decode(SCALAR, {"x": pa.array([1.0, 1e39, float("nan"), float("inf")])})
    message = "Input mismatch: input x takes one float32, got a number out of its range."
    assert make.messages(refusals) == {1: message}
    assert instances.columns["x"].tolist()[::2] == [1.0, float("inf")]


def test_large_integers_are_exact(decode: Any) -> None:
    values = [2**53 + 1, 2**63 - 1, -(2**63)]
    instances, refusals = decode({"x": ("int64", ())}, {"x": pa.array(values)})
    assert not refusals
    assert instances.columns["x"].tolist() == values


def test_strings_and_binary(decode: Any) -> None:
    inputs = {"image_bytes": ("string", ()), "tag": ("string", ())}
    columns = {"tag": pa.array(["größe", ""]), "image_bytes": pa.array([b"\xff", b"\0"], pa.binary())}
    instances, refusals = decode(inputs, columns)
    assert not refusals
    assert instances.columns == {"image_bytes": [b"\xff", b"\0"], "tag": ["größe".encode(), b""]}


def test_a_lone_string_input_is_a_column_too(decode: Any) -> None:
    instances, _ = decode({"line": ("string", ())}, {"line": pa.array(["a", "b"])})
    assert instances.columns == {"line": [b"a", b"b"]}


def test_booleans(decode: Any) -> None:
    instances, _ = decode({"x": ("bool", ())}, {"x": pa.array([True, False])})
    assert instances.columns["x"].tolist() == [True, False]


@pytest.mark.parametrize(
    ("values", "got"),
    [
        ([datetime.date(2017, 3, 4)], "a date"),
        (["1"], "a string"),
        ([{"a": 1}], "an object"),
    ],
)
def test_what_is_no_number_is_refused(decode: Any, make: Any, values: list[Any], got: str) -> None:
    _, refusals = decode(SCALAR, {"x": pa.array(values)})
    assert make.messages(refusals) == {0: f"Input mismatch: input x takes one float32, got {got}."}


@pytest.mark.parametrize(
    ("inputs", "names", "message"),
    [
        (SCALAR, ["y"], "Expected tensor name: x, got tensor name: y."),
        (SCALAR, ["x", "y"], "Expected tensor name: x, got tensor name: x, y."),
        (TWO, ["a", "b", "c"], "Unexpected tensor name: c"),
        (TWO, ["a"], "Input b was missing in at least one input instance."),
    ],
)
def test_columns_that_do_not_fit_refuse_every_row(
    decode: Any, make: Any, inputs: dict[str, Any], names: list[str], message: str
) -> None:
    instances, refusals = decode(inputs, {name: pa.array([1.0, 2.0]) for name in names})
    assert make.messages(refusals) == {0: message, 1: message}
    assert instances.count == 0


def test_a_row_that_is_wrong_twice_is_refused_for_its_first_input(decode: Any, make: Any) -> None:
    columns = {"a": pa.array([[1.0], [1.0, 2.0]]), "b": pa.array([None, 3])}
    instances, refusals = decode(TWO, columns)
    message = "Input mismatch: input a takes float32 of shape [2], got a value of shape [1]."
    assert make.messages(refusals) == {0: message}
    assert instances.columns["b"].tolist() == [3]


class TestFields:
    def test_the_key_comes_back_first(self, decode: Any) -> None:
        columns = {"note": pa.array(["a", "b"]), "x": pa.array([1.0, 2.0]), "id": pa.array([7, 8])}
        instances, refusals = decode(SCALAR, columns, FieldRule(key="id", excluded=frozenset({"note"})))
        assert not refusals
        assert instances.carried == [{"id": b"7", "note": b'"a"'}, {"id": b"8", "note": b'"b"'}]
        assert list(instances.carried[0]) == ["id", "note"]

    def test_the_key_must_be_there(self, decode: Any, make: Any) -> None:
        _, refusals = decode(SCALAR, {"x": pa.array([1.0])}, FieldRule(key="id"))
        assert make.messages(refusals) == {0: "The key field id is missing from the instance."}

    def test_columns_that_are_not_included_come_back(self, decode: Any) -> None:
        columns = {"x": pa.array([1.0]), "y": pa.array([[1, 2]])}
        instances, _ = decode(SCALAR, columns, FieldRule(included=frozenset({"x"})))
        assert instances.carried == [{"y": b"[1,2]"}]

    def test_what_comes_back_stays_with_its_row(self, decode: Any) -> None:
        columns = {"x": pa.array([None, 1.0, None, 3.0]), "id": pa.array([0, 1, 2, 3])}
        instances, refusals = decode(SCALAR, columns, FieldRule(key="id"))
        assert list(refusals) == [0, 2]
        assert instances.carried == [{"id": b"1"}, {"id": b"3"}]
