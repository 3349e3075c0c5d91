"""An attempt at a split, and whoever looks on while it is made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from batchpredict.formats import Segment, Split
from batchpredict.scoring.place import Place, Range


@dataclass(frozen=True)
class Task:
    """One attempt at a split.

    Attributes:
      split: what to read.
      forced_start: byte at which to begin instead, where a guessed border was wrong.
      careful: an earlier attempt died; every model call is announced alone.
      suspects: ranges over which attempts have died twice: before its batch, each of their records is called
        alone, to see whether the process survives it.
      alone: ranges whose records survive alone and not together: they are only called alone.
      crashing: records that killed their process when called alone: refused without a call.
      crash_message: what to say of them.
      error_limit: errors that this split may still have; None for no limit.
    """

    split: Split
    forced_start: int | None = None
    careful: bool = False
    suspects: tuple[Range, ...] = ()
    alone: tuple[Range, ...] = ()
    crashing: tuple[Place, ...] = ()
    crash_message: str = ""
    error_limit: int | None = None

    @property
    def certain(self) -> bool:
        """Whether what this attempt finds is final: its first border is known, not guessed."""
        return all(segment.certain or segment.selection is not None for segment in self.segments)

    @property
    def segments(self) -> tuple[Segment, ...]:
        if self.forced_start is None:
            return self.split.segments
        (segment,) = self.split.segments
        return (segment.resumed_at(self.forced_start),)


class Watch(Protocol):
    """Whoever looks on while a split is scored."""

    def calling(self, first: Place, last: Place) -> None:
        """The records from `first` to `last` are about to reach the model: they are to blame if it dies now."""
        ...

    def called(self) -> None:
        """The model came back."""
        ...

    def scored(
        self, predictions: int, errors: int, bytes_read: int, first_error: str | None, *, at_once: bool = False
    ) -> None:
        """Progress of this split so far; `first_error` says where and what its first error was.

        May be told seldom, unless it is wanted `at_once`.
        """
        ...

    def warn(self, kind: str, message: str) -> None:
        """Something that the job's user should be told now, once for each `kind`, which is a short stable word."""
        ...


class Unwatched:
    """A `Watch` that looks away."""

    def calling(self, first: Place, last: Place) -> None:
        pass

    def called(self) -> None:
        pass

    def scored(
        self, predictions: int, errors: int, bytes_read: int, first_error: str | None, *, at_once: bool = False
    ) -> None:
        pass

    def warn(self, kind: str, message: str) -> None:
        pass
