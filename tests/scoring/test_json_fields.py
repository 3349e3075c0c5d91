"""Fields that go past the model are the texts that they came as."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchpredict.scoring import decode as decode_module
from batchpredict.scoring.decode import Decoder
from batchpredict.scoring.fields import FieldRule
from batchpredict.scoring.json_fields import field_texts, same_fields

SPACE = st.text(" \t", max_size=2)
NUMBERS = st.sampled_from(
    [
        "0",
        "-0",
        "1",
        "-0.0",
        "1.0",
        "1.50",
        "1e400",
        "-1E+2",
        "1e-999",
        "12345678901234567890123",
        "0.1000000000000000001",
    ]
)
STRINGS = st.sampled_from(
    [
        '""',
        '"a"',
        '"\\u00e9"',
        '"é"',
        '"\\/"',
        '"\\ud83d\\ude00"',
        '"a\\nb\\"c"',
        '"NaN"',
        '"{\\"b64\\""',
        '"},{"',
        '"\\\\"',
    ]
)


def _lists(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    pieces = st.lists(st.tuples(SPACE, inner, SPACE).map("".join), max_size=3)
    return st.tuples(pieces.map(",".join), SPACE).map(lambda both: f"[{both[0]}{both[1]}]")


@st.composite
def _objects(draw: Any, inner: st.SearchStrategy[str]) -> str:
    fields = draw(st.lists(st.tuples(SPACE, STRINGS, SPACE, SPACE, inner, SPACE), max_size=3))
    space: str = draw(SPACE)
    return "{" + ",".join(f"{a}{name}{b}:{c}{value}{d}" for a, name, b, c, value, d in fields) + space + "}"


TEXTS = st.recursive(
    NUMBERS | STRINGS | st.sampled_from(["true", "false", "null", '{"b64": "AA=="}', "{}", "[ ]"]),
    lambda inner: _lists(inner) | _objects(inner),
    max_leaves=6,
)
NAMES = st.sampled_from(["id", "a", "é", 'q"', "b\\", "", "b64", "x y"])


@st.composite
def objects(draw: Any) -> tuple[str, dict[str, str]]:
    """The text of an object, and the texts of its fields."""
    fields = draw(st.lists(st.tuples(NAMES, TEXTS), max_size=5))
    spell = [json.dumps(name, ensure_ascii=draw(st.booleans())) for name, _ in fields]
    parts = [
        f"{draw(SPACE)}{name}{draw(SPACE)}:{draw(SPACE)}{text}"
        for name, (_, text) in zip(spell, fields, strict=True)
    ]
    return draw(SPACE) + "{" + ",".join(parts) + draw(SPACE) + "}" + draw(SPACE), dict(fields)


def texts_of(payload: bytes) -> dict[str, str]:
    return {name: bytes(text).decode() for name, text in field_texts(payload).items()}


@given(objects())
def test_any_field_is_the_text_that_it_came_as(case: tuple[str, dict[str, str]]) -> None:
    payload, fields = case
    found = texts_of(payload.encode())
    assert found == fields
    assert list(found) == list(fields)


@given(objects())
def test_the_slow_way_gives_what_the_fast_way_gives(case: tuple[str, dict[str, str]]) -> None:
    """A bare NaN sends an object the slow way."""
    payload, fields = case
    body = payload.strip().removeprefix("{")
    comma = "" if not fields else ","
    found = texts_of(f'{{"\\u0000": [NaN, -Infinity,"NaN"]{comma}{body}'.encode())
    assert found == {"\0": '["NaN", "-Infinity","NaN"]', **fields}


@given(st.lists(objects(), min_size=1, max_size=4))
def test_many_objects_are_what_each_of_them_is(cases: list[tuple[str, dict[str, str]]]) -> None:
    found = same_fields([payload.encode() for payload, _ in cases])
    alike = all(list(fields) == list(cases[0][1]) for _, fields in cases)
    assert (found is not None) is alike
    for one, (_, fields) in zip(found or [], cases if alike else [], strict=True):
        assert {name: bytes(text).decode() for name, text in one.items()} == fields


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_records_in_other_encodings(encoding: str) -> None:
    assert texts_of('{"id": "é", "n": 1.0}'.encode(encoding)) == {"id": '"é"', "n": "1.0"}


def test_a_line_break_between_values_becomes_a_space() -> None:
    assert texts_of(b'{\n"id": [1,\r\n 2],\n"n":\n3}') == {"id": "[1,   2]", "n": "3"}
    assert texts_of(b'{\n"id": [1,\r\n NaN],\n"n":\n3}') == {"id": '[1,   "NaN"]', "n": "3"}


@pytest.mark.parametrize("depth", [300, 900, 100_000])
def test_depth_is_no_crash(depth: int) -> None:
    text = b"[" * depth + b"]" * depth
    found = []
    with contextlib.suppress(ValueError):
        found.append(bytes(field_texts(b'{"id": ' + text + b"}")["id"]))
    assert found == [text] if depth == 300 else found in ([], [text])


RULE = FieldRule(key="id", excluded=frozenset({"note"}))
LINES = {
    "as they should be": b'{"id": 1.0, "x": [1, 2], "note": {"b64": "!"}}',
    "in another order": b'{"note": null, "x": [1, 2], "id": -0}',
    "without a field that need not be": b'{"id": "\\u00e9", "x": [3, 4]}',
    "with a field of the model missing": b'{"id": 1, "note": 1}',
    "with another field": b'{"id": 1, "x": [1, 2], "note": 1, "y": 1}',
    "without the key": b'{"x": [1, 2], "note": 1}',
    "of another shape": b'{"id": 1, "x": [1], "note": 1}',
    "of text": b'{"id": 1, "x": "a", "note": 1}',
    "of an object that looks like the instance": b'{"id": 1, "x": {"x": [1, 2]}, "note": 1}',
    "of a number that is no JSON": b'{"id": NaN, "x": [NaN, 2], "note": 1}',
    "of a number too large for a float": b'{"id": 1e400, "x": [1, 1e300], "note": 1}',
    "no JSON in what goes past": b'{"id": 1, "x": [1, 2], "note": \x01}',
    "no UTF-8 in what goes past": b'{"id": "\xff", "x": [1, 2], "note": 1}',
    "half a surrogate pair in what goes past": b'{"id": "\\ud800", "x": [1, 2], "note": 1}',
    "an escape that JSON lacks in what goes past": b'{"id": "\\q", "x": [1, 2], "note": 1}',
    "two fields of a name": b'{"id": 1, "x": [9], "x": [1, 2], "id": 2, "note": 1}',
    "no object": b"[1, 2]",
    "nothing": b"",
}


@pytest.mark.parametrize(
    "inputs", [{"x": ("float32", (2,))}, {"x": ("string", ())}, {"x": ("float32", None)}], ids=str
)
@given(names=st.lists(st.sampled_from(sorted(LINES)), min_size=1, max_size=6))
def test_records_read_at_once_are_those_that_are_read_one_by_one(make: Any, inputs: Any, names: list[str]) -> None:
    run = make.run(*(LINES[name] for name in names))
    results = []
    for at_once in (True, False):
        with pytest.MonkeyPatch.context() as patch:
            if not at_once:
                patch.setattr(decode_module, "same_fields", lambda payloads: None)
            instances, refusals = Decoder(make.signature(**inputs), RULE, text=True)(0, run)
        columns = {alias: [repr(value) for value in column] for alias, column in instances.columns.items()}
        results.append((columns, instances.carried, make.messages(refusals)))
    assert results[0] == results[1]


def test_base64_past_the_model_is_not_looked_into(make: Any) -> None:
    lines = [b'{"id": {"b64": "no base64"}, "x": {"b64": "eA=="}}', b'{"id": {"b64": 7}, "x": {"b64":"A"}}']
    instances, refusals = Decoder(make.signature(x=("string", ())), FieldRule(key="id"), text=True)(
        0, make.run(*lines)
    )
    assert instances.columns == {"x": [b"x"]}
    assert instances.carried == [{"id": b'{"b64": "no base64"}'}]
    assert make.messages(refusals) == {1: "A b64 value is not valid base64."}
