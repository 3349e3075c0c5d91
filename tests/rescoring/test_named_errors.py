"""The errors of a job are read in the order of their records, whatever order they were written in."""

from __future__ import annotations

import json
import random

import pytest
import support
from hypothesis import given
from hypothesis import strategies as st

from batchpredict.errors import NoInput, StagingDamaged
from batchpredict.rescoring import named_errors
from batchpredict.rescoring.named_errors import errors_in

FILES = ["/in/b", "/in/a", '/in/"c"']
NUMBERS = {path: number for number, path in enumerate(FILES)}


def line(number: int, index: int, **more: object) -> str:
    place = {"source": FILES[number], "offset": index * 10, "index": index, "line": index + 1}
    return json.dumps({**place, "code": "X", "message": "m", "instance": '{"offset": 3}', **more})


def found(url: str) -> list[tuple[int, ...]]:
    return [tuple(row) for block in errors_in(url, NUMBERS, numbered=True) for row in block.tolist()]


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 10**6)), unique=True, max_size=60), st.booleans())
def test_in_any_order(places, mostly_sorted):
    places = sorted(places)
    lines = [line(*place) for place in places]
    if mostly_sorted and len(lines) > 2:
        lines.append(lines.pop(len(lines) // 2))
    else:
        random.Random(1).shuffle(lines)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(named_errors, "_BLOCK", 7)
        url = "memory://errors/prediction.errors-00000-of-00001"
        support.write(url, lines)
        assert found(url) == [(number, index, index * 10, 1) for number, index in places]


def test_a_key_may_be_a_number_that_no_type_holds_and_a_stretch_counts_its_records(tmp_path):
    text = line(0, 3, records=7).replace('"code"', '"key": 123456789012345678901234567890, "code"')
    url = support.write(tmp_path / "errors", [text])
    assert found(url) == [(0, 3, 30, 7)]


@pytest.mark.parametrize(
    "text", ["", "{", '{"source": "/in/other", "offset": 1, "index": 1}', '{"source": "/in/a", "offset": "1"}']
)
def test_a_line_that_is_no_error_of_the_job(tmp_path, text):
    url = support.write(tmp_path / "errors", [line(0, 3), text])
    with pytest.raises(StagingDamaged, match="holds a line that is no error of its job"):
        found(url)


def test_a_file_that_is_gone(tmp_path):
    with pytest.raises(NoInput, match=r"onlyErrorsOf: .*errors.* cannot be read"):
        found(str(tmp_path / "errors"))
