"""Model calls that isolate what fails: one bad record costs one record.

A batch that the model refuses is halved until the guilty rows are alone; every other row gets its prediction.
When the model refuses everything, halving would cost two calls a row for ever, so after some batches that
failed whole, rows are tried one by one, and one row that succeeds brings the batches back.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from batchpredict.errors import RecordRefused
from batchpredict.models.columns import Column, Ragged, cut, shape_groups, take
from batchpredict.models.model import Model, Outputs

Refusals = dict[int, RecordRefused]

# Batches that fail whole before the model counts as refusing everything.
_HOPELESS_AFTER = 3
# One crossing into TensorFlow should take about this long: long enough that the 0.3 ms of the crossing do not
# matter, short enough that progress and cancellation stay smooth.
_CHAIN_SECONDS = 0.02
_CHAIN_LONGEST = 32
# Rows of a chain: its inputs and outputs are held at once.
_CHAIN_ROWS = 8192
# Building the chain costs 0.1 to 0.3 s, which a job of a few batches never gets back.
_CHAIN_AFTER_CALLS = 12
# After a failure the next groups are called batch by batch: where one record is bad, others often are.
_CAUTIOUS_GROUPS = 16


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
    """Scores groups of rows with one model, `batch_size` rows a call.

    Attributes:
      chaining: several batches may go into one crossing; off while a crashing record is looked for.
      on_hopeless: told, once, when the model has refused several batches whole, with its last message.
    """

    model: Model
    batch_size: int
    clock: Callable[[], float] = time.perf_counter
    chaining: bool = True
    on_hopeless: Callable[[str], None] | None = None
    stats: CallStats = field(default_factory=CallStats)
    _chain: int = 1
    _calls: int = 0
    _cautious: int = 0
    _failed_whole: int = 0
    _announced: bool = False

    def begin(self, *, chaining: bool) -> None:
        """A new split: counts start again, and so does what decides how rows are called together.

        A retried split must make the same calls as the first attempt did, whatever this worker met before: a
        model may give another last bit to a row in another batch. (Chains may differ: they do not change bits.)
        """
        self.stats = CallStats()
        self.chaining = chaining
        self._failed_whole = 0

    @property
    def group_size(self) -> int:
        """Rows that the next group should have: as many batches as one crossing takes."""
        if not (self.chaining and self.model.can_chain) or self._calls < _CHAIN_AFTER_CALLS or self._cautious:
            return self.batch_size
        return self.batch_size * self._chain

    def score(self, columns: Mapping[str, Column], count: int) -> tuple[list[Piece], Refusals]:
        """Predictions for all rows that the model accepts, and its reasons for the others."""
        pieces: list[Piece] = []
        refusals: Refusals = {}
        if any(isinstance(column, Ragged) for column in columns.values()):
            for start in range(0, count, self.batch_size):
                self._score_ragged(columns, start, min(start + self.batch_size, count), pieces, refusals)
        else:
            self._score_rows(columns, range(count), pieces, refusals)
        if self._cautious:
            self._cautious -= 1
        return pieces, refusals

    def _score_ragged(
        self, columns: Mapping[str, Column], start: int, stop: int, pieces: list[Piece], refusals: Refusals
    ) -> None:
        """Score a batch whose rows differ in shape: a call for each shape."""
        batch = _cut_all(columns, start, stop)
        for rows in shape_groups(list(batch.values()), stop - start):
            picked = {alias: take(column, rows) for alias, column in batch.items()}
            self._score_batch(picked, [start + row for row in rows], pieces, refusals)

    def _score_rows(
        self, columns: Mapping[str, Column], rows: Sequence[int], pieces: list[Piece], refusals: Refusals
    ) -> None:
        """Score rows of one shape in batches, several to a chain; `rows` are their numbers in the group."""
        whole = len(rows) // self.batch_size
        if whole > 1 and self.chaining and self.model.can_chain:
            size = whole * self.batch_size
            outputs = self._try_chain(_cut_all(columns, 0, size), size)
            if outputs is not None:
                pieces.append(Piece(rows[:size], outputs))
                columns, rows = _cut_all(columns, size, len(rows)), rows[size:]
        for start in range(0, len(rows), self.batch_size):
            stop = min(start + self.batch_size, len(rows))
            self._score_batch(_cut_all(columns, start, stop), rows[start:stop], pieces, refusals)

    def _try_chain(self, columns: Mapping[str, Column], count: int) -> Outputs | None:
        started = self.clock()
        try:
            outputs = self.model.call_chain(columns, count, self.batch_size)
        except RecordRefused:
            # Whose fault it is will be found batch by batch.
            self._cautious = _CAUTIOUS_GROUPS
            return None
        self._failed_whole = 0
        batches = count // self.batch_size
        self._note(batches, self.batch_size, self.clock() - started)
        return outputs

    def _note(self, calls: int, rows_each: int, seconds: float) -> None:
        self.stats.add(calls, rows_each, seconds)
        self._calls += calls
        if rows_each == self.batch_size and self._calls > _CHAIN_AFTER_CALLS // 2:
            fitting = min(_CHAIN_SECONDS * calls / max(seconds, 1e-6), _CHAIN_LONGEST)
            room = max(_CHAIN_ROWS // self.batch_size, 1)
            # At most doubled at a time, so that one lucky measurement makes no giant.
            self._chain = max(1, min(int(fitting), room, self._chain * 2))

    def _call(self, columns: Mapping[str, Column], count: int) -> Outputs:
        started = self.clock()
        outputs = self.model.call(columns, count)
        self._note(1, count, self.clock() - started)
        return outputs

    def _score_batch(
        self, columns: Mapping[str, Column], rows: Sequence[int], pieces: list[Piece], refusals: Refusals
    ) -> None:
        count = len(rows)
        accepted_before = len(pieces)
        if self._failed_whole < _HOPELESS_AFTER or count == 1:
            self._halve(columns, rows, 0, count, pieces, refusals)
        else:
            for row in range(count):
                self._halve(columns, rows, row, row + 1, pieces, refusals)
        if len(pieces) > accepted_before:
            self._failed_whole = 0
            return
        self._failed_whole += 1
        self._cautious = _CAUTIOUS_GROUPS
        if self._failed_whole >= _HOPELESS_AFTER and not self._announced:
            self._announced = True
            if self.on_hopeless is not None:
                self.on_hopeless(refusals[rows[-1]].message)

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
            if stop - start == 1:
                refusals[rows[start]] = refused
                return
        else:
            pieces.append(Piece(rows[start:stop], outputs))
            return
        middle = (start + stop) // 2
        self._halve(columns, rows, start, middle, pieces, refusals)
        self._halve(columns, rows, middle, stop, pieces, refusals)


def _cut_all(columns: Mapping[str, Column], start: int, stop: int) -> Mapping[str, Column]:
    return {alias: cut(column, start, stop) for alias, column in columns.items()}
