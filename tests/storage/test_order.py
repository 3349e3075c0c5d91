"""Sorting more names than are held."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from batchpredict.storage.order import in_order

NAMES = st.lists(st.text(st.characters(codec=None, exclude_categories=()), max_size=4))


@given(NAMES, st.integers(1, 5))
def test_names_of_any_characters_come_in_order_however_few_are_held(names, held):
    assert list(in_order(iter(names), held)) == sorted(names)
