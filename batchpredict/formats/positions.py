"""Places of records that are wanted out of a file, as they are kept: 32 bytes each, in the order of the file.

A job may want millions of them. They are kept in one file for the whole job, of which each segment's selection
names a stretch, and are read by the block.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

POSITION = np.dtype([("offset", "<i8"), ("index", "<i8"), ("records", "<i8"), ("before", "<i8")])
"""A place.

offset: byte of the file at which the record begins, in the uncompressed stream where the file is compressed; of a
  row of a columnar file, that of its row group.
index: of the record in its file.
records: how many records stand there: more than one in a stretch that was lost at once.
before: results of an earlier job that its own is put behind, of those that its split keeps.
"""

POSITION_BYTES = POSITION.itemsize

Positions: TypeAlias = "np.ndarray[Any, np.dtype[np.void]]"
"""Some places, of dtype POSITION."""


def positions_of(data: bytes) -> Positions:
    """Places that were written as bytes. Raises ValueError if they are no whole number."""
    return np.frombuffer(data, POSITION)
