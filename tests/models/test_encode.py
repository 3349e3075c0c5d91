"""Model outputs as values of a result file."""

from __future__ import annotations

import base64
import datetime
import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchpredict.errors import INVALID_OUTPUTS
from batchpredict.models.encode import base64_object, is_bytes, to_json_value, to_values


def encoded(alias: str, array: Any, *, strict_json: bool = True) -> Sequence[Any] | np.ndarray[Any, Any]:
    values, refusals = to_values(alias, array, strict_json=strict_json, b64=base64_object)
    assert refusals == {}
    return values


def strings(*values: Any) -> Any:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


class TestNumbers:
    def test_a_value_per_row(self) -> None:
        assert encoded("y", np.array([1.5, -2.0], np.float32)) == [1.5, -2.0]

    def test_dimensions_become_nested_lists(self) -> None:
        array = np.arange(12, dtype=np.int32).reshape(2, 3, 2)
        assert encoded("y", array) == array.tolist()

    def test_rows_of_no_values(self) -> None:
        assert encoded("y", np.zeros((2, 0), np.float32)) == [[], []]

    def test_float32_keeps_every_bit(self) -> None:
        value = np.float32(0.1)
        (written,) = encoded("y", np.array([value]))
        assert np.float32(json.loads(json.dumps(written))) == value

    @pytest.mark.parametrize(
        ("dtype", "values"),
        [
            ("int64", [-(2**63), 2**63 - 1]),
            ("uint64", [0, 2**64 - 1]),
            ("int8", [-128, 127]),
            ("bool", [True, False]),
            ("float16", [0.5, 65504.0]),
        ],
    )
    def test_extremes_are_exact(self, dtype: str, values: list[Any]) -> None:
        written = encoded("y", np.array(values, dtype=dtype))
        assert written == values
        assert [type(value) for value in written] == [type(value) for value in values]
        assert orjson.loads(orjson.dumps(written)) == values

    def test_floats_that_json_does_not_have_are_spelled(self) -> None:
        array = np.array([[1.0, np.nan], [np.inf, -np.inf]], np.float32)
        assert encoded("y", array) == [[1.0, "NaN"], ["Infinity", "-Infinity"]]

    def test_where_the_format_has_them_they_stay(self) -> None:
        (value,) = encoded("y", np.array([np.nan]), strict_json=False)
        assert math.isnan(value)

    @given(st.lists(st.floats(width=32), min_size=1))
    def test_every_float_comes_back_from_json(self, values: list[float]) -> None:
        array = np.array(values, np.float32)
        written = orjson.loads(orjson.dumps(encoded("y", array)))
        assert np.array([float(value) for value in written], np.float32).tobytes() == array.tobytes() or (
            np.isnan(array).any()
        )


class TestStrings:
    def test_text_is_utf8(self) -> None:
        assert encoded("label", strings("größe".encode(), b"")) == ["größe", ""]

    def test_bytes_are_told_by_the_name(self) -> None:
        assert is_bytes("image_bytes")
        assert not is_bytes("bytes_of_image")
        assert encoded("image_bytes", strings(b"\xff\x00")) == [{"b64": "/wA="}]

    def test_even_text_under_such_a_name_is_base64(self) -> None:
        assert encoded("image_bytes", strings(b"abc")) == [{"b64": "YWJj"}]

    def test_nested_text(self) -> None:
        array = np.array([[[b"a", b"b"]], [[b"c", b"d"]]], dtype=object)
        assert encoded("words", array) == [[["a", "b"]], [["c", "d"]]]
        nested = encoded("words_bytes", array)
        assert nested[0][0][0] == {"b64": "YQ=="}

    def test_text_that_is_not_utf8_costs_its_row(self) -> None:
        values, refusals = to_values("text", strings(b"a", b"\xff\xfe", b"c"), strict_json=True, b64=base64_object)
        assert (values[0], values[2], len(values)) == ("a", "c", 3)
        assert list(refusals) == [1]
        assert refusals[1].code == INVALID_OUTPUTS
        assert refusals[1].message == (
            "Prediction failed during encoding instances: output text is not valid UTF-8; "
            "an output of bytes must have a name that ends in _bytes."
        )

    @given(st.lists(st.binary()))
    def test_any_bytes_come_back_from_base64(self, values: list[bytes]) -> None:
        written = encoded("x_bytes", strings(*values))
        assert [base64.b64decode(value["b64"]) for value in written] == values


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text()),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
    max_leaves=20,
)


class TestCarriedFields:
    @given(JSON)
    def test_json_stays_as_it_is(self, value: Any) -> None:
        assert to_json_value(value) == value

    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            (b"text", "text"),
            (b"\xff", {"b64": "/w=="}),
            (math.nan, "NaN"),
            ([math.inf, {"a": -math.inf}], ["Infinity", {"a": "-Infinity"}]),
            ((1, 2), [1, 2]),
            ({1: "a"}, {"1": "a"}),
            (datetime.date(2017, 3, 4), "2017-03-04"),
        ],
    )
    def test_what_json_lacks_is_spelled(self, value: Any, expected: Any) -> None:
        assert to_json_value(value) == expected

    def test_what_no_writer_can_nest_is_refused(self) -> None:
        deep: Any = 1
        for _ in range(1_000):
            deep = [deep]
        with pytest.raises(ValueError, match="nested too deeply"):
            to_json_value({"field": deep})

    def test_what_passes_can_be_written(self) -> None:
        deep: Any = 1
        for _ in range(190):
            deep = [deep]
        assert orjson.loads(orjson.dumps(to_json_value({"field": deep}))) == {"field": deep}
