"""Instances: decoded rows, ready for the model, that still know which record each of them was."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from batchpredict.formats import Rows, Run
from batchpredict.models import Column, concatenate, cut, take
from batchpredict.scoring.fields import Carried
from batchpredict.scoring.place import Place


@dataclass(frozen=True)
class Origin:
    """Some records of one run, in order: `rows` are their positions in `run`."""

    segment: int
    run: Run | Rows
    rows: Sequence[int]

    def place(self, position: int) -> Place:
        return Place(self.segment, self.run.index_of(self.rows[position]))


@dataclass(frozen=True)
class Instances:
    """Rows for the model.

    Attributes:
      count: number of rows.
      columns: one column per input of the signature, by alias.
      origins: the rows' records, in the same order.
      carried: for each row the fields that go past the model onto its prediction; None if no row has any.
    """

    count: int
    columns: dict[str, Column]
    origins: tuple[Origin, ...]
    carried: list[Carried] | None

    def origin(self, row: int) -> tuple[Origin, int]:
        """The origin of a row and the row's position in it."""
        for origin in self.origins:
            if row < len(origin.rows):
                return origin, row
            row -= len(origin.rows)
        raise IndexError(row)

    def place(self, row: int) -> Place:
        origin, position = self.origin(row)
        return origin.place(position)

    def cut(self, start: int, stop: int) -> Instances:
        """Rows [start, stop)."""
        if start == 0 and stop == self.count:
            return self
        origins = []
        passed = 0
        for origin in self.origins:
            low, high = max(start - passed, 0), min(stop - passed, len(origin.rows))
            if low < high:
                origins.append(Origin(origin.segment, origin.run, origin.rows[low:high]))
            passed += len(origin.rows)
        return Instances(
            stop - start,
            {alias: cut(column, start, stop) for alias, column in self.columns.items()},
            tuple(origins),
            None if self.carried is None else self.carried[start:stop],
        )

    def take(self, rows: Sequence[int]) -> Instances:
        """The given rows, in ascending order."""
        origins = []
        passed = 0
        wanted = iter(rows)
        row = next(wanted, None)
        for origin in self.origins:
            chosen = []
            while row is not None and row < passed + len(origin.rows):
                chosen.append(origin.rows[row - passed])
                row = next(wanted, None)
            if chosen:
                origins.append(Origin(origin.segment, origin.run, chosen))
            passed += len(origin.rows)
        return Instances(
            len(rows),
            {alias: take(column, rows) for alias, column in self.columns.items()},
            tuple(origins),
            None if self.carried is None else [self.carried[row] for row in rows],
        )


def merge(pieces: Sequence[Instances]) -> Instances:
    """Pieces of one split, one behind the other."""
    if len(pieces) == 1:
        return pieces[0]
    carried: list[Carried] | None = None
    if any(piece.carried is not None for piece in pieces):
        carried = [fields for piece in pieces for fields in piece.carried or [{}] * piece.count]
    return Instances(
        sum(piece.count for piece in pieces),
        {alias: concatenate([piece.columns[alias] for piece in pieces]) for alias in pieces[0].columns},
        tuple(origin for piece in pieces for origin in piece.origins),
        carried,
    )


class Regrouper:
    """Cuts a stream of instances into groups of exactly the size that is wanted at that moment.

    Files, runs and refused records make uneven pieces; a model call must not see that. Holds less than one
    group.
    """

    def __init__(self) -> None:
        self._pieces: list[Instances] = []
        self._held = 0

    def add(self, piece: Instances) -> None:
        if piece.count:
            self._pieces.append(piece)
            self._held += piece.count

    def groups(self, size: int) -> Iterator[Instances]:
        """Every full group of `size` rows that is held."""
        while self._held >= size:
            yield self._pop(size)

    def rest(self) -> Instances | None:
        """What is left at the end of the stream: fewer rows than a group, or None."""
        return self._pop(self._held) if self._held else None

    def _pop(self, size: int) -> Instances:
        taken: list[Instances] = []
        missing = size
        used = 0
        for piece in self._pieces:
            if piece.count > missing:
                break
            taken.append(piece)
            missing -= piece.count
            used += 1
        rest = self._pieces[used:]
        if missing:
            taken.append(rest[0].cut(0, missing))
            rest[0] = rest[0].cut(missing, rest[0].count)
        self._pieces = rest
        self._held -= size
        return merge(taken)
