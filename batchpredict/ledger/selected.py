"""The places of the records that a job over some records reads, as its staging folder keeps them."""

from __future__ import annotations

from collections.abc import Iterator

from batchpredict import storage
from batchpredict.errors import StagingDamaged
from batchpredict.formats import POSITION_BYTES, Positions, Selection, positions_of
from batchpredict.ledger.access import reading
from batchpredict.ledger.staging import Staging

# Places that are read at a time: two megabytes.
_BLOCK = 1 << 16


def read_positions(staging: Staging, selection: Selection) -> Iterator[Positions]:
    """The places of a selection, some at a time.

    Raises:
      OutputRefused: the staging folder cannot be read.
      StagingDamaged: they are gone, or not all there.
    """
    at, end = selection.first * POSITION_BYTES, (selection.first + selection.count) * POSITION_BYTES
    while at < end:
        wanted = min(end, at + _BLOCK * POSITION_BYTES)
        data = b""
        while len(data) < wanted - at:
            try:
                part = reading(staging.output_path, storage.read_range, staging.positions, at + len(data), wanted)
            except FileNotFoundError:
                part = b""
            if not part:
                raise StagingDamaged(f"{staging.positions} is gone or cut short; run the job again with --fresh.")
            data += part
        yield positions_of(data)
        at = wanted
