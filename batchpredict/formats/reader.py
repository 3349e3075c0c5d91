"""What every reader of a format promises."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from batchpredict.formats.records import Event, Segment
from batchpredict.formats.upcoming import Upcoming


class Reader(Protocol):
    """Reads the records of one segment.

    Contract, the same for every format:

    * Yields `Run`s (or `Rows`) of at most `rows` records, and `Damage`, in the order of the file; then
      exactly one `Border`. A segment of an empty file yields only its Border.
    * A run is shorter than `rows` only before damage, at the end of the segment, at the end of a row group,
      or where it would hold more than 16 MiB.
    * Never raises for what is in the file. An `OSError` of the file system passes through.
    * Memory is bounded by a constant plus a small multiple of `max_record_bytes`, and by the constant alone
      while records are short. A longer record is skipped without being held and yielded as
      Damage(RECORD_TOO_LARGE). The exception is a columnar file, whose unit is the row group.
    * Whole files that `upcoming` has fetched before their turn are taken from it.
    * Deterministic: the same segment of the same file yields the same events.
    """

    def __call__(
        self, segment: Segment, *, rows: int, max_record_bytes: int, upcoming: Upcoming | None = None
    ) -> Iterator[Event]: ...
