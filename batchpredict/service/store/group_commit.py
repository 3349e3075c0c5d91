"""Several threads' work in one transaction: one sync of the disk then serves them all.

Whoever comes while a transaction is being committed waits for its turn, and what has come by then goes into the
next transaction together. Of those who have announced themselves one half is waited for, a moment: while it is
committed, the other half makes ready. A single caller waits for nobody.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, TypeVar

from batchpredict.service.store.interface import StoreFailed

Item = TypeVar("Item")
Answer = TypeVar("Answer")

MOST = 100
"""Items of one transaction: past this the sync is a small part of it, and the first one waits for the last."""

MOMENT = 0.02
"""Seconds that a transaction waits for those who are announced: about two syncs of a disk."""


class _Waiting(Generic[Item, Answer]):
    """An item of a thread that sleeps until there is an answer, or until it is to lead."""

    def __init__(self, item: Item) -> None:
        self.item = item
        self.answer: Answer | BaseException | None = None
        # Held until this thread is to wake: the lightest way to sleep.
        self._asleep = threading.Lock()
        self._asleep.acquire()

    def sleep(self) -> None:
        self._asleep.acquire()

    def wake(self) -> None:
        self._asleep.release()


class GroupCommit(Generic[Item, Answer]):
    """Gathers items and commits them together, in the order in which they came."""

    def __init__(
        self,
        commit: Callable[[Sequence[Item]], Sequence[Answer | Exception]],
        everybodys: tuple[type[Exception], ...] = (),
        moment: float = MOMENT,
    ) -> None:
        """
        Args:
          commit: takes up to `MOST` items and gives the answer of each, or what it is to raise, once all that it
            did is on the disk. If it raises itself, each item is tried alone.
          everybodys: what it may raise that no item is to blame for: then none is tried again.
          moment: most seconds that those who are announced are waited for.
        """
        self._commit = commit
        self._everybodys = everybodys
        self._coming: list[_Waiting[Item, Answer]] = []
        self._led = False
        self._moment = moment
        self._announced = 0
        # Whether this thread is one of the announced.
        self._mine = threading.local()
        self._guard = threading.Lock()
        self._arrival = threading.Condition(self._guard)

    @contextlib.contextmanager
    def announced(self) -> Iterator[None]:
        """This thread may be about to bring an item, while the context is open; those who have one know of it."""
        self._mine.announced = True
        with self._guard:
            self._announced += 1
        try:
            yield
        finally:
            with self._guard:
                self._arrive()

    def _arrive(self) -> None:
        """This thread is waited for no longer: it has brought its item, or has none. With the guard held."""
        if getattr(self._mine, "announced", False):
            self._mine.announced = False
            self._announced -= 1
            if self._enough():
                self._arrival.notify_all()

    def _enough(self) -> bool:
        """Whether what has come is worth a transaction. With the guard held."""
        return len(self._coming) >= min(self._announced, MOST)

    def __call__(self, item: Item) -> Answer:
        """The answer to `item`, or what was to be raised."""
        mine: _Waiting[Item, Answer] = _Waiting(item)
        with self._guard:
            self._coming.append(mine)
            self._arrive()
            leads, self._led = not self._led, True
        if not leads:
            mine.sleep()
        if mine.answer is None:
            self._lead()
        assert mine.answer is not None
        if isinstance(mine.answer, BaseException):
            raise mine.answer
        return mine.answer

    def _lead(self) -> None:
        """Commit what has come, of which the first is this thread's own; then the first of the next group leads."""
        with self._guard:
            self._arrival.wait_for(self._enough, self._moment)
            group, self._coming = self._coming[:MOST], self._coming[MOST:]
        answers: Sequence[Answer | BaseException] = [_Interrupted()] * len(group)
        try:
            answers = self._answers([one.item for one in group])
        finally:
            for one, answer in zip(group, answers, strict=True):
                one.answer = answer
            with self._guard:
                following = self._coming[0] if self._coming else None
                self._led = following is not None
            if following is not None:
                following.wake()
            for one in group[1:]:
                one.wake()

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


class _Interrupted(StoreFailed):
    """The thread that led was stopped: by Ctrl-C, or the end of the process."""

    def __init__(self) -> None:
        super().__init__("The database was not heard from: the service is being stopped.")
