"""A reader that ends early: after so many records, or so much time."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any, TypeAlias

from batchpredict.estimate.sampled import SampleTask, Span
from batchpredict.estimate.stopwatch import Stopwatch
from batchpredict.formats import Border, Damage, Reader, Rows, Run, Segment, Upcoming
from batchpredict.scoring import Task

_Records: TypeAlias = Run | Rows | Damage


class LimitedReader:
    """A `Reader` for one attempt at a time, as limited as its `SampleTask` says; that of another task has no limit.

    Attributes:
      spans: what the attempt has read so far.
    """

    def __init__(self, read: Reader, stopwatch: Stopwatch) -> None:
        self._read = read
        self._stopwatch = stopwatch
        self.spans: list[Span] = []

    def begin(self, task: Task) -> None:
        """A new attempt, whose time begins now."""
        self._limits = task if isinstance(task, SampleTask) else SampleTask(task.split)
        seconds = self._limits.seconds
        self._end = None if seconds is None else self._stopwatch.clock() + seconds
        self._taken = 0
        self.spans = []

    def __call__(
        self, segment: Segment, *, rows: int, max_record_bytes: int, upcoming: Upcoming | None = None
    ) -> Iterator[_Records | Border]:
        if self._ended:
            yield Border(segment.start, segment.start, 0)
            return
        limits = self._limits
        rows = min(rows, limits.run_rows or rows, limits.rows or rows)
        while True:
            events = self._read(segment, rows=rows, max_record_bytes=max_record_bytes, upcoming=upcoming)
            border = yield from self._limited(segment, events)
            if not limits.repeat or self._ended or not border.records:
                break
        yield border

    @property
    def _ended(self) -> bool:
        limits, taken = self._limits, self._taken
        if limits.rows is not None and taken >= limits.rows:
            return True
        return self._end is not None and taken >= limits.at_least and self._stopwatch.clock() >= self._end

    def _limited(self, segment: Segment, events: Any) -> Generator[_Records, None, Border]:
        """The events of one pass over a segment, without its border, which is returned."""
        records = 0
        first: int | None = None
        last = segment.start
        while True:
            started = self._stopwatch.moment()
            event = next(events)
            self._stopwatch.add("read", started)
            if isinstance(event, Border):
                self._note(Span(segment, event.records, event.begin or 0, event.next, True))
                return event
            event = self._cut(event)
            count = event.records if isinstance(event, Damage) else len(event)
            records += count
            self._taken += count
            first, last = event.offset if first is None else first, _behind(event)
            yield event
            if self._ended:
                events.close()
                self._note(Span(segment, records, first, last, False))
                return Border(first, last, records)

    def _note(self, span: Span) -> None:
        if not self._limits.repeat:
            self.spans.append(span)

    def _cut(self, event: _Records) -> _Records:
        limit = self._limits.rows
        if limit is None or isinstance(event, Damage) or len(event) <= limit - self._taken:
            return event
        count = limit - self._taken
        if isinstance(event, Rows):
            return Rows(event.table.slice(0, count), event.offset, event.index)
        payloads = event.payloads[:count]
        raw = payloads if event.raw is event.payloads else event.raw[:count]
        return Run(payloads, event.offset, event.index, raw, event.framing)


def _behind(event: _Records) -> int:
    """The byte behind an event, as far as it tells."""
    return event.offset_of(len(event)) if isinstance(event, Run) else event.offset
