"""What a line means to a model: the service's rules, one case a row, and that a bad line costs only itself."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchpredict.errors import INVALID_INPUTS
from batchpredict.models.columns import Column, Ragged, call_groups
from batchpredict.models.signature import Signature
from batchpredict.scoring.decode import Decoder
from batchpredict.scoring.fields import FieldRule

ALL = FieldRule()

# Alias to dtype and shape of one row.
Inputs = dict[str, tuple[str, "tuple[int | None, ...] | None"]]

SCALAR: Inputs = {"x": ("float32", ())}
INTEGER: Inputs = {"x": ("int64", ())}
PAIR: Inputs = {"x": ("float32", (2,))}
MATRIX: Inputs = {"x": ("float32", (2, 2))}
OPEN: Inputs = {"x": ("float32", (None,))}
FREE: Inputs = {"x": ("float32", None)}
FLAG: Inputs = {"x": ("bool", ())}
LINE: Inputs = {"line": ("string", ())}
WORDS: Inputs = {"w": ("string", (2,)), "x": ("float32", ())}
TWO: Inputs = {"a": ("float32", (2,)), "b": ("int64", ())}
IMAGE: Inputs = {"image_bytes": ("string", ()), "tag": ("string", ())}

NAN = float("nan")
INF = float("inf")

# What a line becomes: name, inputs, line, and the value of each input (compared after `tolist`).
ACCEPTED: list[tuple[str, dict[str, Any], bytes, dict[str, Any]]] = [
    ("one string input: the line itself", LINE, b"1.0,true,x", {"line": b"1.0,true,x"}),
    ("one string input: quotes are kept", LINE, b'"x"', {"line": b'"x"'}),
    ("one string input: JSON is not read", LINE, b'{"line": "x"}', {"line": b'{"line": "x"}'}),
    ("one string input: b64 is not decoded", LINE, b'{"b64": "AA=="}', {"line": b'{"b64": "AA=="}'}),
    ("one string input: nor below a name", LINE, b'{"line":{"b64":"AA=="}}', {"line": b'{"line":{"b64":"AA=="}}'}),
    ("one string input: an empty line", LINE, b"", {"line": b""}),
    ("one string input: null is text", LINE, b"null", {"line": b"null"}),
    ("one string input: UTF-8", LINE, "größe".encode(), {"line": "größe".encode()}),
    ("one input: bare number", SCALAR, b"3.5", {"x": 3.5}),
    ("one input: space around it", SCALAR, b" 3.5\t", {"x": 3.5}),
    ("one input: under its name", SCALAR, b'{"x": 3.5}', {"x": 3.5}),
    ("one input: bare list", PAIR, b"[1, 2]", {"x": [1, 2]}),
    ("one input: list under its name", PAIR, b'{"x": [1, 2]}', {"x": [1, 2]}),
    ("one input: nested lists", MATRIX, b"[[1, 2], [3, 4]]", {"x": [[1, 2], [3, 4]]}),
    ("one input: integers for floats", PAIR, b"[1, -2]", {"x": [1.0, -2.0]}),
    ("NaN as a bare word", SCALAR, b"NaN", {"x": NAN}),
    ("infinities as bare words", PAIR, b"[Infinity, -Infinity]", {"x": [INF, -INF]}),
    ("an integer of more than 64 bits", SCALAR, b"1" + b"0" * 20, {"x": float(np.float32(1e20))}),
    ("the same beside a bare word", PAIR, b"[NaN, 1" + b"0" * 20 + b"]", {"x": [NAN, float(np.float32(1e20))]}),
    ("whole float for an integer", INTEGER, b"3.0", {"x": 3}),
    ("largest int64", INTEGER, b"9223372036854775807", {"x": 2**63 - 1}),
    ("smallest int64", INTEGER, b"-9223372036854775808", {"x": -(2**63)}),
    ("largest uint64", {"x": ("uint64", ())}, b"18446744073709551615", {"x": 2**64 - 1}),
    (
        "large integers beside a whole float",
        {"x": ("int64", (2,))},
        b"[9007199254740993, 1.0]",
        {"x": [2**53 + 1, 1]},
    ),
    ("boolean", FLAG, b"true", {"x": True}),
    ("boolean for a number", INTEGER, b"true", {"x": 1}),
    ("open size", OPEN, b"[1, 2, 3]", {"x": [1, 2, 3]}),
    ("open size: nothing", OPEN, b"[]", {"x": []}),
    ("open rank", FREE, b"[[1], [2]]", {"x": [[1], [2]]}),
    ("several inputs", TWO, b'{"a": [1, 2], "b": 3}', {"a": [1, 2], "b": 3}),
    ("several inputs: in any order", TWO, b'{"b": 3, "a": [1, 2]}', {"a": [1, 2], "b": 3}),
    ("the last of two fields of a name counts", TWO, b'{"b": 3, "a": [1, 2], "b": 4}', {"a": [1, 2], "b": 4}),
    (
        "b64 decoded",
        IMAGE,
        b'{"tag": "sun", "image_bytes": {"b64": "AAH/"}}',
        {"image_bytes": b"\0\1\xff", "tag": b"sun"},
    ),
    (
        "b64 under any name",
        IMAGE,
        b'{"tag": {"b64": "AAH/"}, "image_bytes": "x"}',
        {"image_bytes": b"x", "tag": b"\0\1\xff"},
    ),
    ("b64 in a list", WORDS, b'{"w": ["a", {"b64": "AAH/"}], "x": 1}', {"w": [b"a", b"\0\1\xff"], "x": 1}),
    (
        "b64 spelled with an escape",
        IMAGE,
        b'{"tag": "", "image_bytes": {"\\u006264": "eA=="}}',
        {"image_bytes": b"x", "tag": b""},
    ),
    *(
        (
            f"b64 {name}",
            IMAGE,
            b'{"tag": "", "image_bytes": {"b64": "%b"}}' % text,
            {"image_bytes": b"\0\1\xff\xfe", "tag": b""},
        )
        for name, text in (
            ("in lines", b"AAH/\\n/g==\\n"),
            ("in lines of mail", b"AAH/\\r\\n/g==\\r\\n"),
            ("with space around it", b" \\tAAH//g== "),
            ("with other characters", b"AA!H/*/g=="),
            ("with an escaped slash", b"AAH\\/\\/g=="),
        )
    ),
    (
        "text with a surrogate pair",
        IMAGE,
        b'{"tag": "\\ud83d\\ude00", "image_bytes": ""}',
        {"image_bytes": b"", "tag": "😀".encode()},
    ),
]


@pytest.mark.parametrize(
    ("inputs", "line", "expected"), [case[1:] for case in ACCEPTED], ids=[case[0] for case in ACCEPTED]
)
def test_a_line_becomes_the_model_s_inputs(
    make: Any, inputs: dict[str, Any], line: bytes, expected: dict[str, Any]
) -> None:
    signature = make.signature(**inputs)
    instances, refusals = Decoder(signature, ALL, text=True)(0, make.run(line))
    assert make.messages(refusals) == {}
    assert instances.count == 1
    assert sorted(instances.columns) == sorted(expected)
    for spec in signature.inputs:
        column = instances.columns[spec.alias]
        value = column[0]
        if isinstance(column, np.ndarray):
            assert column.dtype == (object if spec.dtype == "string" else spec.dtype)
            value = column[0].tolist()
        assert json.dumps(value, default=list) == json.dumps(expected[spec.alias], default=list) or (
            value == expected[spec.alias]
        )


MISMATCH = "Input mismatch: input x takes {}, got {}."

# Why a line is refused: name, inputs, line, message.
REFUSED: list[tuple[str, dict[str, Any], bytes, str]] = [
    (
        "one string input: not UTF-8",
        LINE,
        b"\xff\xfe",
        "The line is not valid UTF-8; encode binary data as base64.",
    ),
    ("not UTF-8", SCALAR, b'"\xff"', "The line is not valid UTF-8; encode binary data as base64."),
    ("empty line", SCALAR, b"", "Invalid JSON: Expecting value: line 1 column 1 (char 0)"),
    ("not JSON", SCALAR, b"x", "Invalid JSON: Expecting value: line 1 column 1 (char 0)"),
    ("JSON cut short", PAIR, b"[1,", "Invalid JSON: Expecting value: line 1 column 4 (char 3)"),
    ("two values", SCALAR, b"1 2", "Invalid JSON: Extra data: line 1 column 3 (char 2)"),
    ("nested too deeply", SCALAR, b"[" * 100_000, "Invalid JSON: nested too deeply, or a number too long."),
    ("a number too long", SCALAR, b"1" * 5_000, "Invalid JSON: nested too deeply, or a number too long."),
    (
        "half a surrogate pair",
        IMAGE,
        b'{"tag": "\\ud83d", "image_bytes": ""}',
        "Invalid JSON: an escape that is half of a surrogate pair.",
    ),
    (
        "half a surrogate pair as a name",
        TWO,
        b'{"\\ud83d": 1}',
        "Invalid JSON: an escape that is half of a surrogate pair.",
    ),
    ("b64 is not base64", IMAGE, b'{"tag": "", "image_bytes": {"b64": "A"}}', "A b64 value is not valid base64."),
    (
        "b64 without its padding",
        IMAGE,
        b'{"tag": "", "image_bytes": {"b64": "AA"}}',
        "A b64 value is not valid base64.",
    ),
    (
        "b64 with letters of no alphabet",
        IMAGE,
        '{"tag": "", "image_bytes": {"b64": "AAé="}}'.encode(),
        "A b64 value is not valid base64.",
    ),
    ("b64 of a number", IMAGE, b'{"tag": "", "image_bytes": {"b64": 1}}', "A b64 value is not valid base64."),
    (
        "b64 beside another key",
        IMAGE,
        b'{"tag": "", "image_bytes": {"b64": "AA==", "c": 1}}',
        "Input mismatch: input image_bytes takes one string, got an object.",
    ),
    ("one input: another name", SCALAR, b'{"y": 1}', "Expected tensor name: x, got tensor name: y."),
    ("one input: more names", SCALAR, b'{"x": 1, "y": 2}', "Expected tensor name: x, got tensor name: x, y."),
    ("one input: no name", SCALAR, b"{}", "Expected tensor name: x, got tensor name: none."),
    ("several inputs: unexpected name", TWO, b'{"a": [1, 2], "b": 3, "key": 7}', "Unexpected tensor name: key"),
    ("several inputs: a name for another", TWO, b'{"a": [1, 2], "c": 3}', "Unexpected tensor name: c"),
    ("several inputs: one missing", TWO, b'{"a": [1, 2]}', "Input b was missing in at least one input instance."),
    ("several inputs: all missing", TWO, b"{}", "Input a was missing in at least one input instance."),
    (
        "several inputs: no object",
        TWO,
        b"[[1, 2], 3]",
        "Input mismatch: the instance must be an object with the fields a, b.",
    ),
    (
        "several inputs: text of that length",
        TWO,
        b'"ab"',
        "Input mismatch: the instance must be an object with the fields a, b.",
    ),
    ("several inputs: null", TWO, b"null", "Input mismatch: the instance must be an object with the fields a, b."),
    ("null", SCALAR, b"null", MISMATCH.format("one float32", "null")),
    ("text for a number", SCALAR, b'"1"', MISMATCH.format("one float32", "a string")),
    ("base64 data for a number", SCALAR, b'{"b64": "AA=="}', MISMATCH.format("one float32", "base64 data")),
    ("object for a number", SCALAR, b'{"x": {"y": 1}}', MISMATCH.format("one float32", "an object")),
    (
        "null in a list",
        PAIR,
        b"[1, null]",
        MISMATCH.format("float32 of shape [2]", "a list that holds something else"),
    ),
    (
        "text in a list",
        PAIR,
        b'[1, "2"]',
        MISMATCH.format("float32 of shape [2]", "a list that holds something else"),
    ),
    ("list for one number", SCALAR, b"[1]", MISMATCH.format("one float32", "a value of shape [1]")),
    ("one number for a list", PAIR, b"1", MISMATCH.format("float32 of shape [2]", "a value of shape []")),
    ("list too long", PAIR, b"[1, 2, 3]", MISMATCH.format("float32 of shape [2]", "a value of shape [3]")),
    (
        "uneven lists",
        MATRIX,
        b"[[1, 2], [3]]",
        MISMATCH.format("float32 of shape [2, 2]", "a list of uneven lengths"),
    ),
    (
        "open size: of one dimension",
        OPEN,
        b"[[1]]",
        MISMATCH.format("float32 of shape [?]", "a value of shape [1, 1]"),
    ),
    ("open rank: uneven lists", FREE, b"[[1], [2, 3]]", MISMATCH.format("float32", "a list of uneven lengths")),
    ("fraction for an integer", INTEGER, b"3.5", MISMATCH.format("one int64", "a number that is not whole")),
    (
        "fraction above 2**53",
        {"x": ("int64", (2,))},
        b"[9007199254740994, 0.5]",
        MISMATCH.format("int64 of shape [2]", "a number that is not whole"),
    ),
    ("NaN for an integer", INTEGER, b"NaN", MISMATCH.format("one int64", "a number that is not whole")),
    ("above int64", INTEGER, b"9223372036854775808", MISMATCH.format("one int64", "a number out of its range")),
    ("far above int64", INTEGER, b"1e30", MISMATCH.format("one int64", "a number out of its range")),
    ("above int32", {"x": ("int32", ())}, b"2147483648", MISMATCH.format("one int32", "a number out of its range")),
    ("below uint8", {"x": ("uint8", ())}, b"-1", MISMATCH.format("one uint8", "a number out of its range")),
    ("above float64", SCALAR, b"1e400", "Invalid JSON: a number out of the range of a double."),
    ("above float32", SCALAR, b"1e39", MISMATCH.format("one float32", "a number out of its range")),
    (
        "above float16",
        {"x": ("float16", ())},
        b"70000",
        MISMATCH.format("one float16", "a number out of its range"),
    ),
    ("number for a boolean", FLAG, b"1", MISMATCH.format("one bool", "a number")),
    (
        "number for text",
        IMAGE,
        b'{"tag": 1, "image_bytes": ""}',
        "Input mismatch: input tag takes one string, got a number.",
    ),
    (
        "boolean for text",
        IMAGE,
        b'{"tag": true, "image_bytes": ""}',
        "Input mismatch: input tag takes one string, got a boolean.",
    ),
    (
        "null for text",
        IMAGE,
        b'{"tag": null, "image_bytes": ""}',
        "Input mismatch: input tag takes one string, got null.",
    ),
    (
        "NaN for text",
        IMAGE,
        b'{"tag": NaN, "image_bytes": ""}',
        "Input mismatch: input tag takes one string, got a number that is not finite.",
    ),
    (
        "number among texts",
        WORDS,
        b'{"w": ["a", 1], "x": 1}',
        "Input mismatch: input w takes string of shape [2], got a number.",
    ),
    (
        "too few texts",
        WORDS,
        b'{"w": ["a"], "x": 1}',
        "Input mismatch: input w takes string of shape [2], got a value of shape [1].",
    ),
]


@pytest.mark.parametrize(
    ("inputs", "line", "message"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
def test_a_line_that_does_not_fit_is_refused(make: Any, inputs: dict[str, Any], line: bytes, message: str) -> None:
    instances, refusals = Decoder(make.signature(**inputs), ALL, text=True)(0, make.run(line))
    assert make.messages(refusals) == {0: message}
    assert refusals[0].code == INVALID_INPUTS
    assert instances.count == 0


class TestRecords:
    """Records of a TFRecord file follow the same rules, but need not be text."""

    def test_one_string_input_takes_any_bytes(self, make: Any) -> None:
        instances, refusals = Decoder(make.signature(**LINE), ALL, text=False)(0, make.run(b"\xff\xfe"))
        assert instances.columns == {"line": [b"\xff\xfe"]}
        assert not refusals

    def test_any_other_input_is_json(self, make: Any) -> None:
        instances, refusals = Decoder(make.signature(**PAIR), ALL, text=False)(0, make.run(b"[1, 2]", b"\xff"))
        assert make.array(instances.columns["x"]).tolist() == [[1, 2]]
        assert list(refusals) == [1]


class TestOpenSizes:
    def test_rows_of_unlike_lengths_make_a_ragged_column(self, make: Any) -> None:
        run = make.run(b"[1]", b"[1, 2]", b"[3]")
        instances, refusals = Decoder(make.signature(**OPEN), ALL, text=True)(0, run)
        assert not refusals
        column = instances.columns["x"]
        assert isinstance(column, Ragged)
        assert [row.tolist() for row in column] == [[1], [1, 2], [3]]
        assert {row.dtype for row in column} == {np.dtype("float32")}

    def test_rows_of_one_length_make_an_array(self, make: Any) -> None:
        instances, _ = Decoder(make.signature(**OPEN), ALL, text=True)(0, make.run(b"[1, 2]", b"[3, 4]"))
        assert isinstance(instances.columns["x"], np.ndarray)

    def test_rows_whose_shapes_agree_in_every_input_share_a_call(self) -> None:
        one, two = np.zeros(1), np.zeros(2)
        columns: list[Column] = [Ragged([one, two, one, one]), Ragged([one, one, one, two]), [b""] * 4]
        assert call_groups(columns, 4) == [[0, 2], [1], [3]]

    def test_without_ragged_columns_all_rows_share_a_call(self) -> None:
        assert call_groups([np.zeros((4, 2)), [b""] * 4], 4) == [[0, 1, 2, 3]]


def same(left: Any, right: Any) -> bool:
    """Whether two rows of a column are equal bit for bit."""
    if isinstance(left, bytes):
        return bool(left == right)
    if left.dtype == object:
        return bool(left.shape == right.shape and left.tolist() == right.tolist())
    return bool(left.dtype == right.dtype and left.shape == right.shape and left.tobytes() == right.tobytes())


NUMBERS = st.one_of(
    st.integers(-(2**63), 2**64),
    st.floats(width=32),
    st.floats(),
    st.integers(-5, 5).map(float),
    st.sampled_from([2**53 + 1, 2**60 + 2**36 + 1, 2**63, 1e300, NAN, INF, 10**25, 3.0, 0.5, 70000]),
)
JUNK = st.one_of(
    st.none(), st.booleans(), st.text(max_size=3), st.just({"b64": "AAH/"}), st.just({"b64": "A"}), st.just({})
)
VALUES = st.one_of(NUMBERS, JUNK, st.lists(st.one_of(NUMBERS, NUMBERS, JUNK), max_size=3))
RAW = st.sampled_from([b"", b"[", b"\xff", b'"\\ud800"', b"NaN", b"[1,2]", b"{}", b'{"b64":"AA=="}'])


def lines_for(signature: Signature) -> st.SearchStrategy[bytes]:
    aliases = [spec.alias for spec in signature.inputs]
    whole = st.fixed_dictionaries(dict.fromkeys(aliases, VALUES))
    partial = st.dictionaries(st.sampled_from([*aliases, "other"]), VALUES, max_size=3)
    instance = st.one_of(whole, whole, whole, partial, VALUES)
    return st.one_of(instance.map(lambda value: json.dumps(value).encode()), RAW)


KINDS: list[Inputs] = [
    SCALAR,
    INTEGER,
    {"x": ("uint64", ())},
    {"x": ("float16", (2,))},
    PAIR,
    OPEN,
    FREE,
    FLAG,
    {"x": ("int64", (2,))},
    TWO,
    IMAGE,
    WORDS,
    LINE,
]


@pytest.mark.parametrize(
    "inputs", KINDS, ids=[",".join(f"{k}:{v[0]}{v[1]}" for k, v in kind.items()) for kind in KINDS]
)
@given(data=st.data())
def test_every_line_is_decoded_as_if_it_stood_alone(make: Any, inputs: dict[str, Any], data: st.DataObject) -> None:
    signature = make.signature(**inputs)
    lines = data.draw(st.lists(lines_for(signature), min_size=1, max_size=8))
    decode = Decoder(signature, ALL, text=True)
    together, refusals = decode(0, make.run(*lines))
    kept = [row for row in range(len(lines)) if row not in refusals]
    assert together.count == len(kept)
    assert [together.place(position).record for position in range(together.count)] == kept
    for row, line in enumerate(lines):
        alone, refused = decode(0, make.run(line))
        if row in refusals:
            assert make.messages(refused) == {0: refusals[row].message}
            continue
        assert not refused
        for alias, column in together.columns.items():
            assert len(column) == len(kept)
            assert same(column[kept.index(row)], alone.columns[alias][0])


class TestFields:
    def test_the_key_comes_back_and_does_not_go_in(self, make: Any) -> None:
        decode = Decoder(make.signature(**TWO), FieldRule(key="id"), text=True)
        instances, refusals = decode(0, make.run(b'{"a": [1, 2], "id": "k", "b": 3}'))
        assert not refusals
        assert sorted(instances.columns) == ["a", "b"]
        assert instances.carried == [{"id": b'"k"'}]

    def test_the_key_must_be_there(self, make: Any) -> None:
        decode = Decoder(make.signature(**TWO), FieldRule(key="id"), text=True)
        _, refusals = decode(0, make.run(b'{"a": [1, 2], "b": 3}'))
        assert make.messages(refusals) == {0: "The key field id is missing from the instance."}

    def test_only_included_fields_go_in_and_the_others_come_back(self, make: Any) -> None:
        decode = Decoder(make.signature(**SCALAR), FieldRule(key="id", included=frozenset({"x"})), text=True)
        instances, refusals = decode(0, make.run(b'{"note": {"b64": "AA=="}, "x": 1, "id": 7}'))
        assert not refusals
        assert instances.carried == [{"id": b"7", "note": b'{"b64": "AA=="}'}]
        assert list(instances.carried[0]) == ["id", "note"]

    def test_excluded_fields_come_back_and_the_others_go_in(self, make: Any) -> None:
        decode = Decoder(make.signature(**SCALAR), FieldRule(excluded=frozenset({"note"})), text=True)
        run = make.run(b'{"note": [1], "x": 1}', b'{"x": 2}', b'{"note": 1, "x": 1, "y": 1}')
        instances, refusals = decode(0, run)
        assert instances.carried == [{"note": b"[1]"}, {}]
        assert make.messages(refusals) == {2: "Expected tensor name: x, got tensor name: x, y."}

    @pytest.mark.parametrize("line", [b"3.5", b"[1]", b"null", b'"x"'])
    def test_an_instance_without_fields_is_refused(self, make: Any, line: bytes) -> None:
        decode = Decoder(make.signature(**SCALAR), FieldRule(excluded=frozenset({"note"})), text=True)
        _, refusals = decode(0, make.run(line))
        message = "The instance is not an object, so it has no fields to choose from."
        assert make.messages(refusals) == {0: message}

    def test_a_lone_string_input_is_then_a_field_too(self, make: Any) -> None:
        decode = Decoder(make.signature(**LINE), FieldRule(key="id"), text=True)
        instances, refusals = decode(0, make.run(b'{"id": 1, "line": "x"}', b"x"))
        assert instances.columns == {"line": [b"x"]}
        assert instances.carried == [{"id": b"1"}]
        assert list(refusals) == [1]

    def test_what_comes_back_stays_with_its_row(self, make: Any) -> None:
        decode = Decoder(make.signature(**SCALAR), FieldRule(key="id"), text=True)
        lines = [b"junk" if row % 3 == 0 else b'{"id": %d, "x": %d}' % (row, row) for row in range(20)]
        instances, refusals = decode(0, make.run(*lines))
        assert sorted(refusals) == list(range(0, 20, 3))
        assert instances.carried is not None
        assert [int(fields["id"]) for fields in instances.carried] == make.array(instances.columns["x"]).tolist()

    def test_an_empty_rule_lets_everything_in(self) -> None:
        assert not FieldRule()
        assert FieldRule().goes_in("x")


def test_a_deep_text_beside_base64_costs_only_itself(make: Any) -> None:
    deep = b"[" * 1_000 + b"]" * 1_000
    run = make.run(b'{"tag": "a", "image_bytes": {"b64": "AA=="}}', deep)
    instances, refusals = Decoder(make.signature(**IMAGE), ALL, text=True)(0, run)
    assert instances.columns == {"image_bytes": [b"\0"], "tag": [b"a"]}
    assert list(refusals) == [1]


def test_a_large_integer_is_rounded_in_one_way_whatever_stands_beside_it(make: Any) -> None:
    # Just above the middle of two float32 values, by less than a float64 can tell.
    number = b"%d" % (2**60 + 2**36 + 1)
    decode = Decoder(make.signature(**SCALAR), ALL, text=True)
    beside = [decode(0, make.run(number, *others))[0].columns["x"][0] for others in ([], [b"1"], [b"0.5"])]
    assert len(set(beside)) == 1


def test_nan_is_nan(make: Any) -> None:
    instances, _ = Decoder(make.signature(**SCALAR), ALL, text=True)(0, make.run(b"NaN"))
    assert math.isnan(make.array(instances.columns["x"])[0])
