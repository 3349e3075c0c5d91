"""Several threads' work in one transaction: one sync of the disk then serves them all.

Whoever comes while a transaction is being committed waits for its turn, and what has come by then goes into the
next transaction together. There is no timer and no thread: a single caller waits for nobody.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")

MOST = 100
"""Items of one transaction: past this the sync is a small part of it, and the first one waits for the last."""


@dataclass
class _Waiting(Generic[Item, Answer]):
    item: Item
    answers: list[Answer | Exception] = field(default_factory=list)


class GroupCommit(Generic[Item, Answer]):
    """Gathers items and commits them together, in the order in which they came."""

    def __init__(
        self,
        commit: Callable[[Sequence[Item]], Sequence[Answer | Exception]],
        everybodys: tuple[type[Exception], ...] = (),
    ) -> None:
        """
        Args:
          commit: takes up to `MOST` items and gives the answer of each, or what it is to raise, once all that it
            did is on the disk. If it raises itself, each item is tried alone.
          everybodys: what it may raise that no item is to blame for: then none is tried again.
        """
        self._commit = commit
        self._everybodys = everybodys
        self._coming: list[_Waiting[Item, Answer]] = []
        self._guard = threading.Lock()
        self._turn = threading.Lock()

    def __call__(self, item: Item) -> Answer:
        """The answer to `item`, or what was to be raised."""
        mine: _Waiting[Item, Answer] = _Waiting(item)
        with self._guard:
            self._coming.append(mine)
        while not mine.answers:
            with self._turn:
                # Whoever had the turn before may have done it.
                if not mine.answers:
                    self._lead()
        answer = mine.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _lead(self) -> None:
        with self._guard:
            group, self._coming = self._coming[:MOST], self._coming[MOST:]
        for one, answer in zip(group, self._answers([one.item for one in group]), strict=True):
            one.answers.append(answer)

    def _answers(self, items: Sequence[Item]) -> Sequence[Answer | Exception]:
        try:
            return self._commit(items)
        except self._everybodys as error:
            return [error] * len(items)
        except Exception as error:
            # What one item is to blame for is not the others' failure.
            if len(items) == 1:
                return [error]
            return [answer for item in items for answer in self._answers([item])]
