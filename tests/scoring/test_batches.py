"""One bad record costs one record, at a bounded number of model calls."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchpredict.errors import (
    FAILED_TO_RUN_MODEL,
    BatchTooLarge,
    DeviceFailed,
    InternalFailure,
    ModelUnusable,
    RecordRefused,
)
from batchpredict.models.columns import Column, Ragged, cut
from batchpredict.models.signature import Signature, TensorSpec
from batchpredict.scoring.batches import Piece, Scorer

SIGNATURE = Signature(
    "s",
    (TensorSpec("x", "int64", (None,)),),
    (TensorSpec("y", "int64", (None,)), TensorSpec("z", "int64", (None,))),
)


class InBatches:
    """`call_batches` by way of `call`, as the protocol says it: for models that are fakes."""

    def call(self, columns: Mapping[str, Column], count: int) -> dict[str, Any]:
        raise NotImplementedError

    def call_batches(self, columns: Mapping[str, Column], count: int, batch_size: int) -> list[dict[str, Any]]:
        assert count % batch_size == 0
        starts = range(0, count, batch_size)
        cuts = ({alias: cut(column, at, at + batch_size) for alias, column in columns.items()} for at in starts)
        return [self.call(batch, batch_size) for batch in cuts]


class Doubling(InBatches):
    """y = 2x, z = x; refuses every call that holds one of the `bad` values, and takes `cost` of its clock."""

    def __init__(self, bad: Callable[[int], bool] = lambda _: False) -> None:
        self.signature = SIGNATURE
        self.bad = bad
        self.calls: list[list[int]] = []
        self.now = 0.0
        self.cost = 0.001

    def clock(self) -> float:
        return self.now

    def call(self, columns: Mapping[str, Column], count: int) -> dict[str, Any]:
        column = columns["x"]
        rows = [int(np.ravel(value)[0]) for value in column]
        assert len(rows) == count > 0
        if isinstance(column, Ragged):
            assert len({row.shape for row in column}) == 1
        self.calls.append(rows)
        self.now += self.cost
        guilty = [row for row in rows if self.bad(row)]
        if guilty:
            raise RecordRefused(FAILED_TO_RUN_MODEL, f"row {guilty[0]} is bad")
        return {"y": 2 * np.array(rows), "z": np.array(rows)}


def group(start: int, stop: int) -> tuple[dict[str, Any], int]:
    return {"x": np.arange(start, stop)}, stop - start


def placed(pieces: list[Piece]) -> dict[int, tuple[int, int]]:
    """Every row's outputs; no row may have two."""
    found: dict[int, tuple[int, int]] = {}
    for piece in pieces:
        assert len(piece.rows) == len(piece.outputs["y"]) == len(piece.outputs["z"])
        assert list(piece.rows) == sorted(piece.rows)
        for row, y, z in zip(piece.rows, piece.outputs["y"].tolist(), piece.outputs["z"].tolist(), strict=True):
            assert row not in found
            found[row] = (y, z)
    return found


@given(st.integers(1, 40), st.integers(1, 20), st.sets(st.integers(0, 39)))
def test_just_the_guilty_rows_are_refused(count: int, batch: int, bad: set[int]) -> None:
    model = Doubling(bad.__contains__)
    pieces, refusals = Scorer(model, batch, clock=model.clock).score(*group(0, count))
    guilty = {row for row in bad if row < count}
    assert {row: refused.message for row, refused in refusals.items()} == {
        row: f"row {row} is bad" for row in guilty
    }
    assert placed(pieces) == {row: (2 * row, row) for row in range(count) if row not in guilty}


@given(st.lists(st.tuples(st.integers(1, 3), st.booleans()), min_size=1, max_size=40), st.integers(1, 8))
def test_rows_of_unlike_shapes_never_share_a_call(rows: list[tuple[int, bool]], batch: int) -> None:
    values = [-number - 1 if bad else number + 1 for number, (_, bad) in enumerate(rows)]
    column = Ragged(np.full(length, value) for value, (length, _) in zip(values, rows, strict=True))
    model = Doubling(lambda value: value < 0)
    pieces, refusals = Scorer(model, batch, clock=model.clock).score({"x": column}, len(rows))
    assert sorted(refusals) == [row for row, (_, bad) in enumerate(rows) if bad]
    assert placed(pieces) == {row: (2 * value, value) for row, value in enumerate(values) if row not in refusals}
    assert max(map(len, model.calls)) <= batch


class TestCalls:
    def test_batches_have_their_size_but_for_the_last(self) -> None:
        model = Doubling()
        Scorer(model, 8).score(*group(0, 20))
        assert [len(call) for call in model.calls] == [8, 8, 4]

    @pytest.mark.parametrize("bad", [0, 31, 32, 63])
    def test_one_bad_row_costs_the_halvings_of_its_batch(self, bad: int) -> None:
        model = Doubling(lambda row: row == bad)
        Scorer(model, 64).score(*group(0, 64))
        assert len(model.calls) <= 1 + 2 * math.log2(64)

    def test_a_model_that_refuses_everything_soon_costs_a_call_a_row(self) -> None:
        model = Doubling(lambda _: True)
        told: list[str] = []
        scorer = Scorer(model, 16, on_all_refused=told.append)
        for start in range(0, 48, 16):
            scorer.score(*group(start, start + 16))
        model.calls.clear()
        for start in range(48, 480, 16):
            _, refusals = scorer.score(*group(start, start + 16))
            assert len(refusals) == 16
        assert len(model.calls) == 480 - 48
        assert told == ["row 47 is bad"]

    def test_two_batches_that_fail_whole_are_no_reason_to_despair(self) -> None:
        model = Doubling(lambda row: row < 32)
        told: list[str] = []
        scorer = Scorer(model, 16, on_all_refused=told.append)
        for start in range(0, 64, 16):
            scorer.score(*group(start, start + 16))
        assert told == []
        assert [len(call) for call in model.calls[-2:]] == [16, 16]

    def test_one_row_that_succeeds_brings_the_batches_back(self) -> None:
        model = Doubling(lambda row: row < 64 and row != 50)
        scorer = Scorer(model, 16)
        for start in range(0, 64, 16):
            scorer.score(*group(start, start + 16))
        model.calls.clear()
        scorer.score(*group(64, 96))
        assert [len(call) for call in model.calls] == [16, 16]

    def test_so_does_a_new_split(self) -> None:
        model = Doubling(lambda row: row < 48)
        scorer = Scorer(model, 16)
        for start in range(0, 48, 16):
            scorer.score(*group(start, start + 16))
        model.calls.clear()
        scorer.begin(grouping=True)
        scorer.score(*group(48, 64))
        assert [len(call) for call in model.calls] == [16]

    def test_the_calls_of_a_split_do_not_depend_on_the_one_before(self) -> None:
        def calls_after(earlier: int) -> list[list[int]]:
            model = Doubling(lambda row: row % 7 == 0 or row >= 1000)
            scorer = Scorer(model, 16)
            for _ in range(earlier):
                scorer.score(*group(1000, 1016))
            scorer.begin(grouping=False)
            model.calls.clear()
            scorer.score(*group(0, 100))
            return model.calls

        assert calls_after(0) == calls_after(1) == calls_after(5)


class TestStats:
    def test_calls_and_their_sizes_are_counted(self) -> None:
        model = Doubling()
        scorer = Scorer(model, 8, clock=model.clock)
        scorer.score(*group(0, 20))
        stats = scorer.stats
        assert (stats.calls, stats.rows, stats.smallest, stats.largest) == (3, 20, 4, 8)
        assert stats.seconds == pytest.approx(3 * model.cost)

    def test_a_new_split_counts_from_nothing(self) -> None:
        scorer = Scorer(Doubling(), 8)
        scorer.score(*group(0, 20))
        scorer.begin(grouping=True)
        assert (scorer.stats.calls, scorer.stats.rows) == (0, 0)


def sizes_wanted(scorer: Scorer, groups: int) -> list[int]:
    """Sizes that a scorer asks for, in batches, one group after the other."""
    sizes = []
    for _ in range(groups):
        size = scorer.group_size
        sizes.append(size // scorer.batch_size)
        scorer.score(*group(0, size))
    return sizes


class TestGroups:
    def test_grow_to_the_time_that_one_should_take(self) -> None:
        model = Doubling()
        model.cost = 0.0024
        sizes = sizes_wanted(Scorer(model, 64, clock=model.clock), 40)
        assert sizes[:12] == [1] * 12
        assert sizes[-1] == 8  # 0.02 s

    def test_double_at_most(self) -> None:
        model = Doubling()
        model.cost = 0.1
        scorer = Scorer(model, 64, clock=model.clock)
        assert set(sizes_wanted(scorer, 20)) == {1}
        model.cost = 1 / 1024
        assert sizes_wanted(scorer, 8) == [1, 2, 4, 8, 16, 20, 20, 20]

    def test_are_at_most_32_batches(self) -> None:
        model = Doubling()
        model.cost = 1e-9
        assert max(sizes_wanted(Scorer(model, 64, clock=model.clock), 40)) == 32

    def test_hold_at_most_8192_rows(self) -> None:
        model = Doubling()
        model.cost = 1e-9
        assert max(sizes_wanted(Scorer(model, 1024, clock=model.clock), 40)) == 8

    def test_shrink_when_calls_become_slow(self) -> None:
        model = Doubling()
        model.cost = 1 / 1024
        scorer = Scorer(model, 64, clock=model.clock)
        assert sizes_wanted(scorer, 40)[-1] == 20
        model.cost = 0.1
        assert sizes_wanted(scorer, 3)[1:] == [1, 1]

    def test_are_single_batches_while_a_crashing_record_is_looked_for(self) -> None:
        model = Doubling()
        scorer = Scorer(model, 64, clock=model.clock)
        scorer.begin(grouping=False)
        assert set(sizes_wanted(scorer, 40)) == {1}

    def test_are_called_batch_by_batch_whatever_their_size(self) -> None:
        model = Doubling()
        pieces, _ = Scorer(model, 32).score(*group(0, 100))
        assert [len(call) for call in model.calls] == [32, 32, 32, 4]
        assert sorted(placed(pieces)) == list(range(100))

    def test_come_back_as_one_piece_where_nothing_failed(self) -> None:
        (piece,), _ = Scorer(Doubling(), 32).score(*group(0, 100))
        assert piece.rows == range(100)
        assert piece.outputs["y"].tolist() == [2 * row for row in range(100)]

    def test_are_whole_on_both_sides_of_a_row_that_failed(self) -> None:
        pieces, refusals = Scorer(Doubling(lambda row: row == 70), 32).score(*group(0, 128))
        assert list(refusals) == [70]
        assert [piece.rows for piece in pieces] == [range(70), range(71, 128)]

    def test_are_single_batches_for_a_while_after_a_failure(self) -> None:
        model = Doubling()
        scorer = Scorer(model, 64, clock=model.clock)
        assert sizes_wanted(scorer, 40)[-1] > 1
        model.bad = lambda row: row == 5
        scorer.score(*group(0, 128))
        model.bad = lambda _: False
        sizes = sizes_wanted(scorer, 20)
        assert sizes[:15] == [1] * 15
        assert sizes[-1] > 1


class Failing(Doubling):
    """A model whose calls fail as `failure` says of the rows of a call."""

    def __init__(self, failure: Callable[[list[int]], Exception | None]) -> None:
        super().__init__()
        self.failure = failure

    def call(self, columns: Mapping[str, Column], count: int) -> dict[str, Any]:
        outputs = super().call(columns, count)
        error = self.failure(self.calls[-1])
        if error is not None:
            raise error
        return outputs


def too_large(rows: list[int], most: int) -> Exception | None:
    return BatchTooLarge(FAILED_TO_RUN_MODEL, "no room") if len(rows) > most else None


class TestTooLarge:
    """What the device's memory does not hold."""

    def test_is_halved_and_what_fitted_is_kept_to(self) -> None:
        model = Failing(lambda rows: too_large(rows, 20))
        told: list[tuple[int, int, str]] = []
        scorer = Scorer(model, 64, on_too_large=lambda *said: told.append(said))
        for _ in range(3):
            pieces, refusals = scorer.score(*group(0, 64))
            assert not refusals
            assert sorted(placed(pieces)) == list(range(64))
        assert [len(call) for call in model.calls[:4]] == [64, 32, 16, 16]
        assert {len(call) for call in model.calls[7:]} == {16}
        assert told == [(64, 16, "no room")]

    def test_is_remembered_from_one_split_to_the_next(self) -> None:
        model = Failing(lambda rows: too_large(rows, 20))
        scorer = Scorer(model, 64)
        scorer.score(*group(0, 64))
        scorer.begin(grouping=True)
        model.calls.clear()
        scorer.score(*group(0, 64))
        assert {len(call) for call in model.calls} == {16}

    def test_is_the_error_of_a_lone_record_and_costs_the_others_nothing(self) -> None:
        model = Failing(lambda rows: BatchTooLarge(FAILED_TO_RUN_MODEL, "no room") if 5 in rows else None)
        scorer = Scorer(model, 16)
        pieces, refusals = scorer.score(*group(0, 64))
        assert {row: refused.message for row, refused in refusals.items()} == {5: "no room"}
        assert sorted(placed(pieces)) == [row for row in range(64) if row != 5]

    def test_fails_the_job_where_no_record_has_room(self) -> None:
        model = Failing(lambda rows: too_large(rows, 0))
        with pytest.raises(ModelUnusable, match=r"16 records in a row failed, each called alone. no room"):
            Scorer(model, 64).score(*group(0, 64))
        assert len(model.calls) < 40

    def test_is_not_remembered_of_rows_of_an_unusual_shape(self) -> None:
        model = Failing(lambda rows: too_large(rows, 1) if rows[0] >= 100 else None)
        column = Ragged([np.zeros(1)] * 6 + [np.full(9, 100.0), np.full(9, 101.0)])
        scorer = Scorer(model, 8)
        _, refusals = scorer.score({"x": column}, 8)
        assert not refusals
        model.calls.clear()
        scorer.score(*group(0, 8))
        assert [len(call) for call in model.calls] == [8]


class TestWhoseFault:
    """The other kinds of failure that a model call can end in."""

    def test_the_model_s_own_ends_the_job_at_the_first_call(self) -> None:
        model = Failing(lambda _: ModelUnusable("no kernel"))
        with pytest.raises(ModelUnusable, match="no kernel"):
            Scorer(model, 64).score(*group(0, 64))
        assert len(model.calls) == 1

    def test_the_device_s_is_not_tried_again_in_this_process(self) -> None:
        model = Failing(lambda _: DeviceFailed("gone"))
        with pytest.raises(DeviceFailed, match="gone"):
            Scorer(model, 64).score(*group(0, 64))
        assert len(model.calls) == 1

    def test_an_internal_error_of_one_record_is_its_own(self) -> None:
        model = Failing(lambda rows: InternalFailure(FAILED_TO_RUN_MODEL, "bounds") if 5 in rows else None)
        _, refusals = Scorer(model, 64).score(*group(0, 64))
        assert list(refusals) == [5]

    def test_an_internal_error_of_record_after_record_is_the_device_s(self) -> None:
        model = Failing(lambda rows: InternalFailure(FAILED_TO_RUN_MODEL, "bounds") if max(rows) >= 32 else None)
        scorer = Scorer(model, 16)
        scorer.score(*group(0, 32))
        with pytest.raises(DeviceFailed, match=r"16 records in a row failed, each called alone. bounds"):
            scorer.score(*group(32, 64))


class Product(InBatches):
    """y = a * b: `b` has one value a call, or both do."""

    def __init__(self, *, unbatched: bool) -> None:
        a, b = (
            TensorSpec("a", "int64", () if unbatched else (None,), not unbatched),
            TensorSpec("b", "int64", (), False),
        )
        self.signature = Signature("s", (a, b), (TensorSpec("y", "int64", (None,)),))
        self.calls: list[list[int]] = []

    def call(self, columns: Mapping[str, Column], count: int) -> dict[str, Any]:
        a, b = np.asarray(columns["a"]), np.asarray(columns["b"])
        assert len(a) == len(b) == count
        assert len(set(b.tolist())) == 1
        self.calls.append(a.tolist())
        return {"y": a * b}


@given(st.lists(st.integers(0, 3), min_size=1, max_size=40), st.integers(1, 8), st.booleans())
def test_rows_with_unlike_values_of_a_scalar_input_never_share_a_call(
    values: list[int], batch: int, unbatched: bool
) -> None:
    model = Product(unbatched=unbatched)
    count = len(values)
    columns: dict[str, Column] = {"a": np.arange(count), "b": np.array(values)}
    pieces, refusals = Scorer(model, batch).score(columns, count)
    found = {row: int(piece.outputs["y"][at]) for piece in pieces for at, row in enumerate(piece.rows)}
    assert not refusals
    assert found == {row: row * value for row, value in enumerate(values)}
    assert max(map(len, model.calls)) <= (1 if unbatched else batch)
    if not unbatched:
        batches = [set(values[start : start + batch]) for start in range(0, count, batch)]
        assert len(model.calls) == sum(map(len, batches))
