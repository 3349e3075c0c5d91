"""Model calls that isolate what fails: one bad record costs one record.

A batch that the model refuses is halved until the guilty rows are alone; every other row gets its prediction.
When the model refuses everything, halving would cost two calls a row for ever, so after some batches that
failed whole, rows are tried one by one, and one row that succeeds brings the batches back.

A batch that the device's memory does not hold is halved in the same way, and from then on calls have no more rows
than the largest that fitted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from batchpredict.errors import BatchTooLarge, DeviceFailed, InternalFailure, ModelUnusable, RecordRefused
from batchpredict.models import Column, Model, Outputs, Ragged, all_equal, call_groups, cut, take

Refusals = dict[int, RecordRefused]

# Batches that fail whole before the model counts as refusing everything.
_ALL_REFUSED_AFTER = 3
# A group should take about this long: long enough that what is done once a group, in Python, does not matter, short
# enough that progress and cancellation stay smooth.
_GROUP_SECONDS = 0.02
_GROUP_LONGEST = 32
# Rows of a group: its inputs and outputs are held at once.
_GROUP_ROWS = 8192
# Calls whose times are known before groups grow.
_GROUP_AFTER_CALLS = 12
# After a failure the next groups are single batches: where one record is bad, others often are, and an error budget
# should not be overrun by a whole group.
_CAUTIOUS_GROUPS = 16
# Lone records in a row that the device's memory does not hold, or that end in an internal error, before it is the
# device that is held to be too small, or broken.
_MOST_IN_A_ROW = 16


@dataclass(frozen=True)
class Piece:
    """Outputs of some rows of a group; `rows` ascend, and are a range where nothing failed."""

    rows: Sequence[int]
    outputs: Outputs


@dataclass
class CallStats:
    """What the manifest and Beam's distributions report of the model calls."""

    calls: int = 0
    rows: int = 0
    smallest: int = 0
    largest: int = 0
    seconds: float = 0.0

    def add(self, calls: int, rows_each: int, seconds: float) -> None:
        self.smallest = min(self.smallest, rows_each) if self.calls else rows_each
        self.largest = max(self.largest, rows_each)
        self.calls += calls
        self.rows += calls * rows_each
        self.seconds += seconds


@dataclass
class Scorer:
    """Scores groups of rows with one model, at most `batch_size` rows a call.

    Attributes:
      grouping: several batches may go into one group; off while a crashing record is looked for.
      on_all_refused: told, once, when the model has refused several batches whole, with its last message.
      on_too_large: told, once, when a call was too large for the device: the rows of that call, the most that
        have fitted, and the model's message.
    """

    model: Model
    batch_size: int
    clock: Callable[[], float] = time.perf_counter
    grouping: bool = True
    on_all_refused: Callable[[str], None] | None = None
    on_too_large: Callable[[int, int, str], None] | None = None
    stats: CallStats = field(default_factory=CallStats)
    _group: int = 1
    _calls: int = 0
    _cautious: int = 0
    _failed_whole: int = 0
    _announced: bool = False
    _too_large: BatchTooLarge | None = None
    _too_large_rows: int = 0
    _fitted: int = 0
    _in_a_row: int = 0
    _said_too_large: bool = False

    def __post_init__(self) -> None:
        signature = self.model.signature
        self._call_rows = 1 if signature.unbatched else self.batch_size
        self._unlike = [spec.alias for spec in signature.inputs if not spec.sparse]
        self._equal = signature.call_values

    def begin(self, *, grouping: bool) -> None:
        """A new split: counts start again, and so does what decides how rows are called together.

        A retried split must make the same calls as the first attempt did, whatever this worker met before: a
        model may give another last bit to a row in another batch. Only the rows that fit into the device's memory
        are remembered: that is the machine's doing, and to ask again would cost failing calls in each split.
        """
        self.stats = CallStats()
        self.grouping = grouping
        self._failed_whole = 0

    @property
    def group_size(self) -> int:
        """Rows that the next group should have."""
        if not self.grouping or self._calls < _GROUP_AFTER_CALLS or self._cautious:
            return self.batch_size
        return self.batch_size * self._group

    def score(self, columns: Mapping[str, Column], count: int) -> tuple[list[Piece], Refusals]:
        """Predictions for all rows that the model accepts, and its reasons for the others.

        Raises:
          ModelUnusable: the model fails whatever the rows, or the device cannot hold even one of them.
          DeviceFailed: the device failed, or one record after the other ends in an internal error.
        """
        pieces: list[Piece] = []
        refusals: Refusals = {}
        seconds_before = self.stats.seconds
        divided = any(isinstance(columns[alias], Ragged) for alias in self._unlike) or any(
            not all_equal(columns[alias]) for alias in self._equal
        )
        whole = 0 if divided else self._score_whole_batches(columns, count, pieces)
        for start in range(whole, count, self.batch_size):
            stop = min(start + self.batch_size, count)
            batch = _cut_all(columns, start, stop)
            if divided:
                self._score_divided(batch, start, stop, pieces, refusals)
            else:
                self._score_batch(batch, range(start, stop), pieces, refusals)
        if refusals:
            self._cautious = _CAUTIOUS_GROUPS
        else:
            self._cautious = max(self._cautious - 1, 0)
            self._size_group(count, self.stats.seconds - seconds_before)
        return _joined(pieces), refusals

    def _score_whole_batches(self, columns: Mapping[str, Column], count: int, pieces: list[Piece]) -> int:
        """Score the whole batches of a group at one go. Returns how many rows that were: none if it failed."""
        batches = count // self.batch_size
        if batches < 2 or self._call_rows < self.batch_size or self._failed_whole:
            return 0
        size = batches * self.batch_size
        started = self.clock()
        try:
            outputs = self.model.call_batches(_cut_all(columns, 0, size), size, self.batch_size)
        except RecordRefused:
            # Whose fault it is will be found batch by batch.
            return 0
        self._note(batches, self.batch_size, self.clock() - started)
        start = 0
        for piece in outputs:
            rows = len(next(iter(piece.values())))
            pieces.append(Piece(range(start, start + rows), piece))
            start += rows
        return size

    def _score_divided(
        self, batch: Mapping[str, Column], start: int, stop: int, pieces: list[Piece], refusals: Refusals
    ) -> None:
        """Score a batch whose rows may not all share a call."""
        unlike, equal = ([batch[alias] for alias in aliases] for aliases in (self._unlike, self._equal))
        for rows in call_groups(unlike, stop - start, equal):
            picked = {alias: take(column, rows) for alias, column in batch.items()}
            self._score_batch(picked, [start + row for row in rows], pieces, refusals)

    def _call(self, columns: Mapping[str, Column], count: int) -> Outputs:
        started = self.clock()
        outputs = self.model.call(columns, count)
        self._note(1, count, self.clock() - started)
        return outputs

    def _note(self, calls: int, rows_each: int, seconds: float) -> None:
        self.stats.add(calls, rows_each, seconds)
        self._calls += calls
        self._fitted = max(self._fitted, rows_each)
        self._in_a_row = 0

    def _size_group(self, count: int, seconds: float) -> None:
        """Choose the size of the next group, after one of `count` rows none of which failed."""
        if count < self.batch_size or self._calls <= _GROUP_AFTER_CALLS // 2:
            return
        fitting = min(_GROUP_SECONDS * count / self.batch_size / max(seconds, 1e-6), _GROUP_LONGEST)
        room = max(_GROUP_ROWS // self.batch_size, 1)
        # At most doubled at a time, as a single measurement may be far too short.
        self._group = max(1, min(int(fitting), room, self._group * 2))

    def _score_batch(
        self, columns: Mapping[str, Column], rows: Sequence[int], pieces: list[Piece], refusals: Refusals
    ) -> None:
        count = len(rows)
        accepted_before = len(pieces)
        self._too_large, self._too_large_rows, self._fitted = None, 0, 0
        step = self._call_rows if self._failed_whole < _ALL_REFUSED_AFTER else 1
        for start in range(0, count, step):
            self._halve(columns, rows, start, min(start + step, count), pieces, refusals)
        if self._too_large is not None and self._fitted:
            self._keep_to_what_fits(self._too_large)
        if len(pieces) > accepted_before:
            self._failed_whole = 0
            return
        self._failed_whole += 1
        if self._failed_whole >= _ALL_REFUSED_AFTER and not self._announced:
            self._announced = True
            if self.on_all_refused is not None:
                self.on_all_refused(refusals[rows[-1]].message)

    def _halve(
        self,
        columns: Mapping[str, Column],
        rows: Sequence[int],
        start: int,
        stop: int,
        pieces: list[Piece],
        refusals: Refusals,
    ) -> None:
        """Score rows [start, stop) of a batch, in halves where they fail together."""
        try:
            outputs = self._call(_cut_all(columns, start, stop), stop - start)
        except RecordRefused as refused:
            if isinstance(refused, BatchTooLarge) and stop - start > 1:
                self._too_large, self._too_large_rows = refused, max(self._too_large_rows, stop - start)
            if stop - start == 1:
                self._doubt_device(refused)
                refusals[rows[start]] = refused
                return
        else:
            pieces.append(Piece(rows[start:stop], outputs))
            return
        middle = (start + stop) // 2
        self._halve(columns, rows, start, middle, pieces, refusals)
        self._halve(columns, rows, middle, stop, pieces, refusals)

    def _doubt_device(self, refused: RecordRefused) -> None:
        """Hold the device responsible where it fails one record after the other, each called alone."""
        if not isinstance(refused, BatchTooLarge | InternalFailure):
            return
        self._in_a_row += 1
        if self._in_a_row >= _MOST_IN_A_ROW:
            text = f"{self._in_a_row} records in a row failed, each called alone. {refused.message}"
            raise (ModelUnusable if isinstance(refused, BatchTooLarge) else DeviceFailed)(text)

    def _keep_to_what_fits(self, refused: BatchTooLarge) -> None:
        """From now on call with no more rows than have fitted, unless it was fewer than usual that did not fit.

        Those are rows of some unusual shape, and the others need not suffer for them.
        """
        if self._too_large_rows == self._call_rows:
            self._call_rows = self._fitted
        if self.on_too_large is not None and not self._said_too_large:
            self._said_too_large = True
            self.on_too_large(self._too_large_rows, self._fitted, refused.message)


def _cut_all(columns: Mapping[str, Column], start: int, stop: int) -> Mapping[str, Column]:
    return {alias: cut(column, start, stop) for alias, column in columns.items()}


def _joined(pieces: list[Piece]) -> list[Piece]:
    """Pieces of a group as few, where one follows the other and their outputs have rows of one shape and type."""
    runs: list[list[Piece]] = []
    for piece in pieces:
        if runs and _follows(piece, runs[-1][-1]):
            runs[-1].append(piece)
        else:
            runs.append([piece])
    return [run[0] if len(run) == 1 else _join(run) for run in runs]


def _follows(piece: Piece, before: Piece) -> bool:
    if not (
        isinstance(piece.rows, range) and isinstance(before.rows, range) and before.rows.stop == piece.rows.start
    ):
        return False
    return all(
        array.shape[1:] == before.outputs[alias].shape[1:] and array.dtype == before.outputs[alias].dtype
        for alias, array in piece.outputs.items()
    )


def _join(run: list[Piece]) -> Piece:
    outputs = {alias: np.concatenate([piece.outputs[alias] for piece in run]) for alias in run[0].outputs}
    return Piece(range(run[0].rows[0], run[-1].rows[-1] + 1), outputs)
