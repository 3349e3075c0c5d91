"""Instances are cut, joined and grouped without a row losing its values or its place."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchpredict.formats.records import Run
from batchpredict.models.columns import Ragged
from batchpredict.scoring.instances import Instances, Origin, Regrouper, merge
from batchpredict.scoring.place import Place


def piece(segment: int, index: int, rows: list[int], *, ragged: bool = False, keyed: bool = False) -> Instances:
    """Rows of a run of 10 records, whose values tell where they stood."""
    run = Run([b""] * 10, 0, index, [b""] * 10, 1)
    values = [1000 * segment + index + row for row in rows]
    numbers: Any = np.array(values)
    if ragged:
        numbers = Ragged(np.full(1 + value % 3, value) for value in values)
    columns = {"x": numbers, "s": [b"%d" % value for value in values]}
    carried = [{"id": b"%d" % value} for value in values] if keyed else None
    return Instances(len(rows), columns, (Origin(segment, run, rows),), carried)


def check(instances: Instances) -> list[int]:
    """The rows' values, once every column, place and carried field is found to agree on them."""
    values = []
    for row in range(instances.count):
        place = instances.place(row)
        value = 1000 * place.segment + place.record
        assert np.unique(instances.columns["x"][row]).tolist() == [value]
        assert instances.columns["s"][row] == b"%d" % value
        if instances.carried is not None:
            assert instances.carried[row] in ({"id": b"%d" % value}, {})
        values.append(value)
    assert all(len(column) == instances.count for column in instances.columns.values())
    return values


def checked(several: list[Instances]) -> list[int]:
    return [value for one in several for value in check(one)]


PIECES = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 90), st.sets(st.integers(0, 9)), st.booleans(), st.booleans()),
    max_size=8,
).map(
    lambda drawn: [
        piece(segment, index, sorted(rows), ragged=ragged, keyed=keyed)
        for segment, index, rows, ragged, keyed in drawn
    ]
)


@given(PIECES, st.lists(st.integers(1, 12), min_size=1))
def test_groups_have_the_size_asked_for_and_every_row_in_order(pieces: list[Instances], sizes: list[int]) -> None:
    regrouper = Regrouper()
    found: list[int] = []
    for number, one in enumerate(pieces):
        regrouper.add(one)
        size = sizes[number % len(sizes)]
        for group in regrouper.groups(size):
            assert group.count == size
            found += check(group)
    rest = regrouper.rest()
    found += check(rest) if rest is not None else []
    assert found == checked(pieces)


@given(PIECES.filter(lambda pieces: any(one.count for one in pieces)), st.data())
def test_cut_and_take(pieces: list[Instances], data: st.DataObject) -> None:
    whole = merge([one for one in pieces if one.count])
    values = check(whole)
    start = data.draw(st.integers(0, whole.count))
    stop = data.draw(st.integers(start, whole.count))
    assert check(whole.cut(start, stop)) == values[start:stop]
    rows = sorted(data.draw(st.sets(st.integers(0, whole.count - 1))))
    assert check(whole.take(rows)) == [values[row] for row in rows]


def test_a_place_is_a_record_s_index_in_its_segment() -> None:
    both = merge([piece(0, 20, [1, 3]), piece(2, 0, [5])])
    assert [both.place(row) for row in range(3)] == [Place(0, 21), Place(0, 23), Place(2, 5)]
    with pytest.raises(IndexError):
        both.place(3)


def test_fields_that_only_some_pieces_carry() -> None:
    both = merge([piece(0, 0, [0]), piece(0, 1, [0], keyed=True)])
    assert both.carried == [{}, {"id": b"1"}]


def test_nothing_is_held_when_all_is_given_out() -> None:
    regrouper = Regrouper()
    regrouper.add(piece(0, 0, [0, 1, 2, 3]))
    assert [group.count for group in regrouper.groups(2)] == [2, 2]
    assert regrouper.rest() is None
