"""What a job process and its worker say to each other."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchpredict.service.worker.protocol import (
    Begun,
    Failed,
    NotUnderstood,
    Order,
    Progress,
    Said,
    Stopped,
    Succeeded,
    read_message,
    read_order,
    to_line,
)

TEXTS = st.text(st.characters(codec="utf-8"))
NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
DOCUMENTS = st.dictionaries(TEXTS, VALUES, max_size=4)
MESSAGES = st.one_of(
    st.just(Begun()),
    st.just(Stopped()),
    st.builds(Progress, st.integers(0, 2**62), DOCUMENTS, DOCUMENTS),
    st.builds(Said, st.sampled_from(["INFO", "WARNING"]), TEXTS),
    st.builds(Succeeded, DOCUMENTS),
    st.builds(Failed, DOCUMENTS),
)


@given(MESSAGES)
def test_a_message_is_one_line_and_comes_back(message):
    line = to_line(message)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert read_message(line) == message


@given(st.builds(Order, DOCUMENTS, DOCUMENTS, st.integers(1, 100), TEXTS, st.lists(TEXTS, max_size=3)))
def test_so_does_an_order(order):
    assert read_order(to_line(order)) == order


@given(st.binary(max_size=80).filter(lambda line: b"type" not in line))
def test_what_is_no_message_is_refused_as_such(line):
    with pytest.raises(NotUnderstood, match="should not have"):
        read_message(line)


@pytest.mark.parametrize("line", [b"[" * 100_000, b"{}", b'{"type":"progress"}', b'{"type":"quit"}', b""])
def test_however_odd_it_is(line):
    with pytest.raises(NotUnderstood):
        read_message(line)


def test_a_number_that_json_does_not_have_is_nothing():
    assert read_message(to_line(Succeeded({"nodeHours": float("nan")}))) == Succeeded({"nodeHours": None})
