"""Every type that Arrow has is a value, whole or sliced, null or not, alone or inside another type."""

from __future__ import annotations

import datetime
import decimal
import json
import uuid
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchpredict.formats.records import Rows
from batchpredict.scoring.arrow_values import row_json, to_json, to_python
from batchpredict.scoring.decode import Decoder
from batchpredict.scoring.errorlog import shown
from batchpredict.scoring.fields import FieldRule

NS = 1_488_630_600_000_000_001  # 2017-03-04T12:30:00.000000001Z
INTS = [pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()]
UUID = uuid.UUID("00112233-4455-6677-8899-aabbccddeeff")


def counted(kind: Any, *values: int | None) -> Any:
    """An array of dates or times from what they are stored as."""
    width = pa.int32() if kind.bit_width == 32 else pa.int64()
    return pa.array(values, width).view(kind)


def invalid(*values: bytes | None, kind: Any = None) -> Any:
    """A column of text that holds any bytes."""
    kind = kind or pa.string()
    binary = pa.binary() if kind == pa.string() else pa.large_binary()
    return pa.Array.from_buffers(kind, len(values), pa.array(values, binary).buffers())


def union(dense: bool) -> Any:
    codes = pa.array([0, 1, 1, 0], pa.int8())
    texts, stamps = pa.array(["a", "b", "c", "d"]), counted(pa.timestamp("ns", "Mars/Phobos"), *[NS] * 4)
    if dense:
        offsets = pa.array([0, 0, 1, 1], pa.int32())
        return pa.UnionArray.from_dense(codes, offsets, [texts.slice(2), stamps.slice(2)])
    return pa.UnionArray.from_sparse(codes, [texts, stamps])


STAMP = "2017-03-04T12:30:00.000000001"
LONG = "1" * 50 + "." + "0" * 18
BIG = decimal.Decimal("12345678901234567890.123456789000000000")

# Each type with values, and what they are as JSON.
VALUES: list[tuple[str, Any, list[str]]] = [
    ("null", pa.nulls(2), ["null", "null"]),
    ("bool", pa.array([True, False, None]), ["true", "false", "null"]),
    *((str(kind), pa.array([1, None, 127], kind), ["1", "null", "127"]) for kind in INTS),
    ("largest", pa.array([2**64 - 1], pa.uint64()), ["18446744073709551615"]),
    ("float16", pa.array([0.5, None], pa.float16()), ["0.5", "null"]),
    ("float32", pa.array([0.1, float("inf")], pa.float32()), ["0.10000000149011612", '"Infinity"']),
    ("float64", pa.array([-0.0, float("nan"), 0.1]), ["-0.0", '"NaN"', "0.1"]),
    ("decimal32", pa.array([decimal.Decimal("1.50"), None], pa.decimal32(5, 2)), ["1.50", "null"]),
    ("decimal64", pa.array([decimal.Decimal("-0.10")], pa.decimal64(18, 2)), ["-0.10"]),
    ("decimal128", pa.array([BIG], pa.decimal128(38, 18)), [str(BIG)]),
    ("decimal256", pa.array([decimal.Decimal(LONG)], pa.decimal256(76, 18)), [LONG]),
    ("decimal of whole thousands", pa.array([decimal.Decimal("12E3")], pa.decimal128(5, -3)), ["12000"]),
    ("string", pa.array(["é", None, ""]), ['"é"', "null", '""']),
    ("large_string", pa.array(["é"], pa.large_string()), ['"é"']),
    ("string_view", pa.array(["a text of more than twelve bytes"], pa.string_view()),
     ['"a text of more than twelve bytes"']),
    ("invalid string", invalid(b"a", b"\xff", None), ['"a"', '{"b64":"/w=="}', "null"]),
    ("invalid large_string", invalid(b"\xff", kind=pa.large_string()), ['{"b64":"/w=="}']),
    ("binary", pa.array([b"a", b"\xff", None]), ['"a"', '{"b64":"/w=="}', "null"]),
    ("large_binary", pa.array([b"\xff"], pa.large_binary()), ['{"b64":"/w=="}']),
    ("binary_view", pa.array([b"\xff"], pa.binary_view()), ['{"b64":"/w=="}']),
    ("fixed_size_binary", pa.array([b"\xff\0", None], pa.binary(2)), ['{"b64":"/wA="}', "null"]),
    ("date32", pa.array([datetime.date(2017, 3, 4), None]), ['"2017-03-04"', "null"]),
    ("dates of any year", counted(pa.date32(), 2**31 - 1, -(2**31), -719_528, -719_529, 2_932_897),
     ['"+5881580-07-11"', '"-5877641-06-23"', '"0000-01-01"', '"-0001-12-31"', '"+10000-01-01"']),
    ("date64", pa.array([datetime.date(1969, 12, 31)], pa.date64()), ['"1969-12-31"']),
    ("time32[s]", counted(pa.time32("s"), 45_000, None, 0), ['"12:30:00"', "null", '"00:00:00"']),
    ("time32[ms]", counted(pa.time32("ms"), 45_000_010), ['"12:30:00.010"']),
    ("time64[us]", counted(pa.time64("us"), 45_000_000_010), ['"12:30:00.000010"']),
    ("time64[ns]", counted(pa.time64("ns"), 45_000_000_000_001, 86_399_999_000_000),
     ['"12:30:00.000000001"', '"23:59:59.999"']),
    ("timestamp[s]", counted(pa.timestamp("s"), 0, -1, None),
     ['"1970-01-01T00:00:00"', '"1969-12-31T23:59:59"', "null"]),
    ("timestamp[ms]", counted(pa.timestamp("ms"), 1_500), ['"1970-01-01T00:00:01.500"']),
    ("timestamp[us]", counted(pa.timestamp("us", "UTC"), -1), ['"1969-12-31T23:59:59.999999Z"']),
    ("timestamp[ns]", counted(pa.timestamp("ns"), NS), [f'"{STAMP}"']),
    ("timestamps of any year", counted(pa.timestamp("s"), 2**40, -(2**40)),
     ['"+36812-02-20T00:36:16"', '"-32873-11-12T23:23:44"']),
    ("timestamp in a zone", counted(pa.timestamp("s", "Europe/Zurich"), 0), ['"1970-01-01T00:00:00Z"']),
    ("timestamp in an offset", counted(pa.timestamp("s", "+05:30"), 0), ['"1970-01-01T00:00:00Z"']),
    ("timestamp in no known zone", counted(pa.timestamp("ns", "Mars/Phobos"), NS), [f'"{STAMP}Z"']),
    ("duration[s]", counted(pa.duration("s"), 90, None), ['"90s"', "null"]),
    ("duration[ms]", counted(pa.duration("ms"), -3_500), ['"-3.500s"']),
    ("duration[us]", counted(pa.duration("us"), 1), ['"0.000001s"']),
    ("duration[ns]", counted(pa.duration("ns"), -1, -(2**63)), ['"-0.000000001s"', '"-9223372036.854775808s"']),
    ("interval", pa.array([pa.MonthDayNano([1, -2, 3]), None]), ["[1,-2,3]", "null"]),
    ("list", pa.array([[1], None, [], [2, None]]), ["[1]", "null", "[]", "[2,null]"]),
    ("large_list", pa.array([["a"], None], pa.large_list(pa.string())), ['["a"]', "null"]),
    ("list_view", pa.array([[1], None, [2, 3]], pa.list_view(pa.int8())), ["[1]", "null", "[2,3]"]),
    ("large_list_view", pa.array([[1], None, [2]], pa.large_list_view(pa.int8())), ["[1]", "null", "[2]"]),
    ("fixed_size_list", pa.array([[1, 2], None, [3, 4]], pa.list_(pa.int8(), 2)), ["[1,2]", "null", "[3,4]"]),
    ("fixed_size_list of nothing", pa.array([[], None], pa.list_(pa.int8(), 0)), ["[]", "null"]),
    ("struct", pa.array([{"a": 1, "b": None}, None]), ['{"a":1,"b":null}', "null"]),
    ("struct of nothing", pa.array([{}, None], pa.struct([])), ["{}", "null"]),
    ("struct with two fields of a name",
     pa.StructArray.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"]), ['{"a":2}']),
    ("map", pa.array([[("a", 1), ("b", None)], None, []], pa.map_(pa.string(), pa.int8())),
     ['[["a",1],["b",null]]', "null", "[]"]),
    ("map of numbers", pa.array([[(1, b"\xff")]], pa.map_(pa.int8(), pa.binary())), ['[[1,{"b64":"/w=="}]]']),
    ("dictionary", pa.array(["a", None, "b", "a"]).dictionary_encode(), ['"a"', "null", '"b"', '"a"']),
    ("dictionary of times", counted(pa.timestamp("ns"), NS, NS).dictionary_encode(), [f'"{STAMP}"'] * 2),
    ("sparse union", union(dense=False), ['"a"', f'"{STAMP}Z"', f'"{STAMP}Z"', '"d"']),
    ("dense union", union(dense=True), ['"c"', f'"{STAMP}Z"', f'"{STAMP}Z"', '"d"']),
    ("run-end encoded", pa.RunEndEncodedArray.from_arrays([2, 3], counted(pa.timestamp("ns"), NS, None)),
     [f'"{STAMP}"', f'"{STAMP}"', "null"]),
    ("uuid", pa.ExtensionArray.from_storage(pa.uuid(), pa.array([UUID.bytes, None], pa.binary(16))),
     [f'"{UUID}"', "null"]),
    ("bool8", pa.ExtensionArray.from_storage(pa.bool8(), pa.array([1, 0, None], pa.int8())),
     ["true", "false", "null"]),
    ("json", pa.ExtensionArray.from_storage(pa.json_(), pa.array(['{"a": 1}'])), ['"{\\"a\\": 1}"']),
    ("opaque", pa.ExtensionArray.from_storage(pa.opaque(pa.int8(), "t", "v"), pa.array([1], pa.int8())), ["1"]),
    ("tensor", pa.ExtensionArray.from_storage(
        pa.fixed_shape_tensor(pa.int8(), [2, 1]), pa.array([[1, 2], None], pa.list_(pa.int8(), 2))),
     ["[1,2]", "null"]),
]  # fmt: skip
IDS = [name for name, _, _ in VALUES]

# What holds values of another type, around any of them.
AROUND: dict[str, Callable[[Any], tuple[Any, Callable[[list[str]], list[str]]]]] = {
    "in a list": lambda array: (
        pa.ListArray.from_arrays(pa.array([0, 0, len(array)], pa.int32()), array),
        lambda texts: ["[]", f"[{','.join(texts)}]"],
    ),
    "in a struct": lambda array: (
        pa.StructArray.from_arrays([array], names=["f"]),
        lambda texts: [f'{{"f":{text}}}' for text in texts],
    ),
    "in a map": lambda array: (
        pa.MapArray.from_arrays(
            pa.array([0, len(array)], pa.int32()), pa.array([str(n) for n in range(len(array))]), array
        ),
        lambda texts: [f"[{','.join(f'[{json.dumps(str(n))},{text}]' for n, text in enumerate(texts))}]"],
    ),
    "in a dictionary": lambda array: (
        pa.DictionaryArray.from_arrays(pa.array([*reversed(range(len(array))), None], pa.int8()), array),
        lambda texts: [*reversed(texts), "null"],
    ),
}


@pytest.mark.parametrize(("array", "expected"), [case[1:] for case in VALUES], ids=IDS)
class TestEveryType:
    def test_is_json(self, array: Any, expected: list[str]) -> None:
        found = to_json(array)
        assert found == [text.encode() for text in expected]
        assert all(json.loads(text) is not NotImplemented for text in found)

    def test_is_the_same_where_it_is_sliced(self, array: Any, expected: list[str]) -> None:
        for start in range(len(array)):
            for length in range(len(array) - start + 1):
                found = to_json(array.slice(start, length))
                assert found == [text.encode() for text in expected[start : start + length]]

    @pytest.mark.parametrize("around", AROUND.values(), ids=AROUND)
    def test_is_the_same_inside_another(self, array: Any, expected: list[str], around: Any) -> None:
        outer, form = around(array)
        assert to_json(outer) == [text.encode() for text in form(expected)]

    def test_is_shown_in_an_error(self, array: Any, expected: list[str]) -> None:
        table = pa.record_batch([array, array], names=["c", "c"])
        for row, text in enumerate(expected):
            assert row_json(table, row).decode() == f'{{"c":{text},"c":{text}}}'
            assert shown(Rows(table, 0, 0), row) == row_json(table, row).decode()[:1000]

    @pytest.mark.parametrize("dtype", ["float32", "int64", "bool", "string"])
    @pytest.mark.parametrize("shape", [(), (2,), (None,), None])
    def test_is_a_value_of_a_model_or_an_error_of_its_record(
        self, array: Any, expected: list[str], dtype: str, shape: Any, make: Any
    ) -> None:
        table = pa.record_batch([array], names=["x"])
        decode = Decoder(make.signature(x=(dtype, shape)), FieldRule(), text=False)
        instances, refusals = decode(0, Rows(table, 0, 0))
        assert instances.count + len(refusals) == len(array)
        assert all(
            message.startswith("Input mismatch: input x takes") for message in make.messages(refusals).values()
        )

    def test_is_carried(self, array: Any, expected: list[str], make: Any) -> None:
        table = pa.record_batch([array, pa.array([1.0] * len(array))], names=["k", "x"])
        decode = Decoder(make.signature(x=("float32", ())), FieldRule(key="k"), text=False)
        instances, refusals = decode(0, Rows(table, 0, 0))
        assert not refusals
        assert instances.carried == [{"k": text.encode()} for text in expected]


def test_the_table_knows_every_type_that_pyarrow_makes() -> None:
    made = {array.type.id for _, array, _ in VALUES}
    names = {name for name in dir(pa.lib) if name.startswith("Type_")}
    # Intervals of the two older kinds cannot be made in Python.
    missing = {name for name in names if getattr(pa.lib, name) not in made}
    assert missing <= {"Type_INTERVAL_DAY_TIME", "Type_INTERVAL_MONTHS"}


@given(st.integers(-(2**63), 2**63 - 1), st.sampled_from(["s", "ms", "us", "ns"]))
def test_a_timestamp_loses_nothing(count: int, unit: str) -> None:
    (text,) = to_python(counted(pa.timestamp(unit, "UTC"), count))
    date, clock = text.removesuffix("Z").split("T")
    digits = {"s": 0, "ms": 3, "us": 6, "ns": 9}[unit]
    hours, minutes, seconds = clock.split(":")
    whole, _, fraction = seconds.partition(".")
    year, month, day = date.rsplit("-", 2)
    # The calendar repeats every 400 years, which are 146,097 days.
    era = (int(year) - 1) // 400
    days = datetime.date(int(year) - 400 * era, int(month), int(day)).toordinal() + era * 146_097 - 719_163
    total = ((days * 24 + int(hours)) * 60 + int(minutes)) * 60 + int(whole)
    assert total * 10**digits + int(fraction.ljust(digits, "0") or "0") == count


@given(st.decimals(allow_nan=False, allow_infinity=False, places=9, min_value=-(10**28), max_value=10**28))
def test_a_decimal_keeps_its_digits(value: decimal.Decimal) -> None:
    (text,) = to_json(pa.array([value], pa.decimal128(38, 9)))
    assert decimal.Decimal(text.decode()) == value
    assert len(text.partition(b".")[2]) == 9


class TestNumbersOfDecimals:
    """BigQuery's NUMERIC and BIGNUMERIC go to a model as the numbers that they are."""

    @pytest.mark.parametrize("kind", [pa.decimal128(38, 9), pa.decimal256(76, 38), pa.decimal64(18, 2)], ids=str)
    def test_go_in(self, kind: Any, make: Any) -> None:
        array = pa.array([decimal.Decimal("1.50"), None, decimal.Decimal(7)], kind)
        decode = Decoder(make.signature(x=("float32", ())), FieldRule(), text=False)
        instances, refusals = decode(0, Rows(pa.record_batch({"x": array}), 0, 0))
        assert make.array(instances.columns["x"]).tolist() == [1.5, 7]
        assert make.messages(refusals) == {1: "Input mismatch: input x takes one float32, got null."}

    def test_in_lists(self, make: Any) -> None:
        array = pa.array([[decimal.Decimal("1.50"), decimal.Decimal(2)]], pa.list_(pa.decimal128(38, 9)))
        decode = Decoder(make.signature(x=("float64", (2,))), FieldRule(), text=False)
        instances, _ = decode(0, Rows(pa.record_batch({"x": array}), 0, 0))
        assert make.array(instances.columns["x"]).tolist() == [[1.5, 2]]

    def test_whole_ones_are_integers(self, make: Any) -> None:
        array = pa.array([decimal.Decimal(2**63 - 1), decimal.Decimal(2**64), decimal.Decimal("0.5")])
        decode = Decoder(make.signature(x=("int64", ())), FieldRule(), text=False)
        instances, refusals = decode(0, Rows(pa.record_batch({"x": array}), 0, 0))
        assert make.array(instances.columns["x"]).tolist() == [2**63 - 1]
        assert [message.rpartition("got ")[2] for message in make.messages(refusals).values()] == [
            "a number out of its range.",
            "a number that is not whole.",
        ]


def test_text_of_times_goes_to_a_model_of_strings(make: Any) -> None:
    decode = Decoder(make.signature(x=("string", ())), FieldRule(), text=False)
    instances, _ = decode(0, Rows(pa.record_batch({"x": counted(pa.timestamp("ns"), NS)}), 0, 0))
    assert instances.columns == {"x": [STAMP.encode()]}


def test_invalid_text_is_no_value_of_a_model(make: Any) -> None:
    decode = Decoder(make.signature(x=("string", ())), FieldRule(), text=False)
    instances, refusals = decode(0, Rows(pa.record_batch({"x": invalid(b"a", b"\xff")}), 0, 0))
    assert instances.columns == {"x": [b"a"]}
    assert make.messages(refusals) == {
        1: "Input mismatch: input x takes one string, got text that is not valid UTF-8."
    }


def test_a_tensor_has_its_shape_where_the_model_asks_for_it(make: Any) -> None:
    storage = pa.array([[1, 2, 3, 4]], pa.list_(pa.float32(), 4))
    table = pa.record_batch(
        {"x": pa.ExtensionArray.from_storage(pa.fixed_shape_tensor(pa.float32(), [2, 2]), storage)}
    )
    for shape, expected in (((2, 2), [[[1, 2], [3, 4]]]), ((4,), [[1, 2, 3, 4]]), (None, [[[1, 2], [3, 4]]])):
        decode = Decoder(make.signature(x=("float32", shape)), FieldRule(), text=False)
        assert make.array(decode(0, Rows(table, 0, 0))[0].columns["x"]).tolist() == expected


class TestTwoColumnsOfOneName:
    @pytest.mark.parametrize("name", ["x", "k"])
    def test_the_last_counts(self, name: str, make: Any) -> None:
        columns = {"x": pa.array([1.0]), "k": pa.array(["a"])}
        odd = {"x": pa.array(["no number"]), "k": pa.array([1])}
        arrays, names = [odd[name], *columns.values()], [name, *columns]
        decode = Decoder(make.signature(x=("float32", ())), FieldRule(key="k"), text=False)
        instances, refusals = decode(0, Rows(pa.record_batch(arrays, names=names), 0, 0))
        assert not refusals
        assert (make.array(instances.columns["x"]).tolist(), instances.carried) == ([1.0], [{"k": b'"a"'}])


def test_what_parquet_brings_back_is_the_same(tmp_path: Any) -> None:
    """As far as Parquet has the type: an unsigned or narrow one may come back as a wider one."""
    for number, (name, array, expected) in enumerate(VALUES):
        path = tmp_path / f"{number}.parquet"
        try:
            pq.write_table(pa.table([array], names=["c"]), path)
        except (pa.ArrowNotImplementedError, pa.ArrowInvalid, pa.ArrowTypeError, OSError):
            continue
        if pa.types.is_fixed_size_list(getattr(array.type, "storage_type", array.type)) and array.null_count:
            # pyarrow writes null fixed-size lists and does not read them.
            continue
        (batch,) = pq.ParquetFile(path).iter_batches()
        assert to_json(batch.column(0)) == [text.encode() for text in expected], name
