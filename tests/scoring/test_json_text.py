"""JSON text as values: what Python reads is read, and a text that cannot be costs only itself."""

from __future__ import annotations

import base64
import math
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchpredict.models import Refusals
from batchpredict.scoring.json_text import (
    decode_all_base64,
    decode_base64,
    not_utf8,
    parse_json,
    refuse_out_of_range,
)

DEEP = b"[" * 1_000_000


def messages(refusals: Refusals) -> dict[int, str]:
    return {row: refused.message for row, refused in refusals.items()}


class TestParse:
    def test_what_python_reads_and_json_is_not(self) -> None:
        values, refusals, _ = parse_json([b"NaN", b"-Infinity", b"1" + b"0" * 30], text=True)
        assert math.isnan(values[0])
        assert values[1:] == [-math.inf, 1e30]
        assert refusals == {}

    @pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32-le"])
    def test_any_encoding_of_what_is_no_line(self, encoding: str) -> None:
        payload = '{"a": "größe"}'.encode(encoding)
        assert parse_json([payload], text=False) == ([{"a": "größe"}], {}, [])

    @pytest.mark.parametrize(
        ("payload", "text", "message"),
        [
            (b"{", True, "Invalid JSON: Expecting property name"),
            (b'"\\ud800"', True, "Invalid JSON: an escape that is half of a surrogate pair."),
            (b'"\xff"', True, "The line is not valid UTF-8; encode binary data as base64."),
            (b"\x00\x80\xff", False, "The record is not JSON text."),
            (DEEP, True, "Invalid JSON: nested too deeply"),
            (b"1" * 5_000, True, "Invalid JSON: nested too deeply, or a number too long."),
        ],
    )
    def test_a_text_that_cannot_be_read_costs_itself(self, payload: bytes, text: bool, message: str) -> None:
        values, refusals, _ = parse_json([b"1", payload, b"2"], text=text)
        assert values == [1, None, 2]
        assert list(refusals) == [1]
        assert refusals[1].message.startswith(message)

    def test_a_number_out_of_range_costs_a_record_only_where_it_is_read_as_a_number(self) -> None:
        values, refusals, rows = parse_json([b"NaN", b'{"k":1e400,"x":1}', b'{"k":1,"x":[2,-1e999]}'], text=True)
        assert (refusals, rows) == ({}, [1, 2])
        refuse_out_of_range([value["x"] if row else value for row, value in enumerate(values)], rows, refusals)
        assert messages(refusals) == {2: "Invalid JSON: a number out of the range of a double."}


class TestBase64:
    @given(st.recursive(st.binary(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner, min_size=2)))
    def test_is_decoded_at_any_depth(self, value: Any) -> None:
        def encoded(value: Any) -> Any:
            if isinstance(value, bytes):
                return {"b64": base64.b64encode(value).decode()}
            if isinstance(value, list):
                return [encoded(inner) for inner in value]
            return {name: encoded(inner) for name, inner in value.items()}

        assert decode_base64(encoded(value)) == value

    def test_an_object_with_more_than_that_key_is_an_object(self) -> None:
        value = {"b64": "AA==", "a": 1}
        assert decode_base64(value) == value

    @pytest.mark.parametrize("payload", [b'{"b64": "A"}', b'{"b64": 1}', rb'[{"\u0062\u0036\u0034": "A"}]'])
    def test_what_is_none_is_refused_alone(self, payload: bytes) -> None:
        payloads = [b'{"b64": "AA=="}', payload]
        values: list[Any] = [orjson.loads(one) for one in payloads]
        refusals: Refusals = {}
        decode_all_base64(values, payloads, refusals)
        assert values[0] == b"\0"
        assert messages(refusals) == {1: "A b64 value is not valid base64."}


def test_lines_that_are_not_utf_8_are_found() -> None:
    assert list(not_utf8([b"a", b"\xff", "ß".encode(), b"\xc3"])) == [1, 3]
    assert not_utf8([b"a", "ß".encode()]) == {}
