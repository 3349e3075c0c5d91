"""The records of a split's segments, all of them or those that are selected, of files that are what was planned."""

from __future__ import annotations

from collections.abc import Iterator

from batchpredict.formats import Event, Segment, Upcoming
from batchpredict.ledger import PredictionSpec, Staging, read_positions
from batchpredict.scoring.versions import UnchangedSegments, check_unchanged, unreadable

# Records that a reader hands over at a time, if a batch is not larger.
_RUN_ROWS = 2048


class Reading:
    """Reads segments of one job.

    Args:
      spec: the job.
      staging: where it keeps which records are selected.
    """

    def __init__(self, spec: PredictionSpec, staging: Staging) -> None:
        self._staging = staging
        self._read = spec.input.load_reader()
        self._pick = spec.input.load_picker()
        self._streamed = spec.input.streamed
        self._rows = max(_RUN_ROWS // spec.batch_size, 1) * spec.batch_size
        self._longest = spec.max_record_bytes

    def fetched(self, segments: tuple[Segment, ...]) -> list[Segment]:
        """Those of some segments that may be fetched whole before their turn."""
        return [one for one in segments if self._streamed and (one.selection is None or one.selection.count)]

    def events(self, segment: Segment, upcoming: Upcoming | None, unchanged: UnchangedSegments) -> Iterator[Event]:
        """What the reader of the format gives; `unchanged` is asked when it is through.

        Raises:
          NoInput: the file cannot be read, or has changed.
        """
        if segment.selection is not None and not segment.selection.count:
            yield segment.selection.border
            return
        try:
            yield from self._events(segment, upcoming)
        except OSError as error:
            # A file that was cut off under the reader is said to be that.
            check_unchanged(segment)
            raise unreadable(segment, error) from error
        # Asked at the end, when the answer holds for all that was read.
        unchanged.check(segment)

    def _events(self, segment: Segment, upcoming: Upcoming | None) -> Iterator[Event]:
        if segment.selection is None:
            return self._read(segment, rows=self._rows, max_record_bytes=self._longest, upcoming=upcoming)
        positions = read_positions(self._staging, segment.selection)
        return self._pick(segment, positions, rows=self._rows, max_record_bytes=self._longest, upcoming=upcoming)
