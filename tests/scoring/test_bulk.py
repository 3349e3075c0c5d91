"""Parsing many texts at once: what it takes, and that it never differs from looking at each."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from batchpredict.models.signature import TensorSpec
from batchpredict.scoring.bulk import BulkParser
from batchpredict.scoring.decode import Decoder
from batchpredict.scoring.fields import FieldRule

SHAPES: dict[str, tuple[int | None, ...] | None] = {
    "scalar": (),
    "pair": (2,),
    "matrix": (2, 2),
    "open": (None,),
    "free": None,
}


def parser(dtype: str, row: tuple[int | None, ...] | None, alias: str = "x") -> BulkParser:
    return BulkParser(TensorSpec(alias, dtype, None if row is None else (None, *row)))


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (2, 1, 2)])
def test_texts_written_alike_are_parsed_at_once(
    shape: tuple[int, ...], wrapped: bool, separators: tuple[str, str]
) -> None:
    values = np.random.default_rng(0).standard_normal((50, *shape)) * 1e3
    rows = [{"x": row} if wrapped else row for row in values.tolist()]
    texts = [json.dumps(row, separators=separators).encode() for row in rows]
    found = parser("float32", shape)(texts)
    assert found is not None
    assert found.dtype == np.float64
    assert np.array_equal(found, values)


def test_integers_keep_all_their_digits() -> None:
    found = parser("int64", ())([b"9007199254740993", b"-9223372036854775808"])
    assert found is not None
    assert found.tolist() == [2**53 + 1, -(2**63)]


def test_a_parser_can_be_used_again_after_a_bad_run() -> None:
    parse = parser("float32", (2,))
    for _ in range(2):
        assert parse([b"[1,2]", b"[3,4,]"]) is None
        assert np.array_equal(parse([b"[1,2]", b"[3,4]"]), [[1, 2], [3, 4]])  # type: ignore[arg-type]


@pytest.mark.parametrize("alias", ['a"b', "a\\b", "a/b", "ä", "a\nb", "b64"])
def test_names_that_json_spells_in_several_ways_are_left_alone(alias: str) -> None:
    assert not BulkParser.takes(TensorSpec(alias, "float32", (None,)))


# Lines of which some are sound and many are not; joined in a row, several make up for each other's brackets.
PIECES = [
    "[1,2]", "[1.5, -2e3]", '{"x":[1,2]}', '{"x": [3, 4]}', "1", "2.5", '{"x":1}', "[[1,2],[3,4]]", "[1", "2]",
    "[1,", ",2]", "[1,2],[3,4]", "1,2", "", "[]", "[1,2]}", '{"x":[1,2]},{"x":[3,4]}', '{"x":[1,2]}}', '{"x":',
    "}", "[1]", "[[1,2],", "[3,4]]", "]],[[", "[true,1]", '["1",2]', "[null,1]", "[NaN,1]", "[1e400,1]",
    "[01,2]", "[1 2]", "-0", '{"x":[1,2],"x":[3,4]}', '{"y":[1,2]}', "18446744073709551615",
    "[1,18446744073709551616]", "[1.0,2]", "[1e39,1]", '[{"b64":"AA=="},1]', "[1,2] ", " [1,2]", "[ 1 , 2 ]",
    "\t", "e", "[1,-]", "[+1,2]",
]  # fmt: skip


@example(["[[1,2],", "[3,4]]", "[[1,2],[3,4]],[[1,2],[3,4]]"])
@example(["[1", "2]", "[1,2],[3,4]"])
@example(["[1,2]", "[1,2]", '{"x":[1,2]}'])
@given(
    st.one_of(
        st.lists(st.sampled_from(PIECES), min_size=1, max_size=5),
        st.sampled_from(PIECES).flatmap(lambda piece: st.integers(1, 4).map(lambda n: [piece] * n)),
        st.lists(st.text(alphabet='[]{},:"x12.e- ', max_size=9), min_size=1, max_size=4),
    )
)
@pytest.mark.parametrize("dtype", ["float32", "int32"])
@pytest.mark.parametrize("shape", SHAPES)
def test_it_never_differs_from_looking_at_each_text(make: Any, shape: str, dtype: str, lines: list[str]) -> None:
    signature = make.signature(x=(dtype, SHAPES[shape]))
    run = make.run(*(line.encode() for line in lines))
    at_once = Decoder(signature, FieldRule(), text=True)
    each = Decoder(signature, FieldRule(), text=True)
    each._decode = each._decode_json
    found, refusals = at_once(0, run)
    wanted, reasons = each(0, run)
    assert make.messages(refusals) == make.messages(reasons)
    assert found.count == wanted.count
    for alias, column in wanted.columns.items():
        got = found.columns[alias]
        assert type(got) is type(column)
        assert [repr(np.asarray(row).tolist()) for row in got] == [repr(np.asarray(row).tolist()) for row in column]
        if isinstance(column, np.ndarray):
            assert isinstance(got, np.ndarray)
            assert got.dtype == column.dtype
