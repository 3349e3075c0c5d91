"""Where the records of a group stood that were picked out of their files."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from batchpredict.formats import PickedRows, PickedRun, Positions, Segment
from batchpredict.scoring.instances import Instances


def positions_of(group: Instances) -> Positions:
    """The place of each row of a group whose records were picked, in their order."""
    found = []
    for origin in group.origins:
        assert isinstance(origin.run, PickedRun | PickedRows), "all of its records were wanted"
        found.append(origin.run.positions[np.asarray(origin.rows)])
    return np.concatenate(found)


def beside(group: Instances, segments: Sequence[Segment], names: Collection[str]) -> dict[str, list[Any]]:
    """Columns that say where the record of each row is.

    Args:
      group: rows whose records were picked.
      segments: of the attempt.
      names: of the columns; none, or of these: "source", and the fields of a position.
    """
    if not names:
        return {}
    positions = positions_of(group)
    sources = [segments[origin.segment].path for origin in group.origins for _ in origin.rows]
    return {name: sources if name == "source" else positions[name].tolist() for name in names}
