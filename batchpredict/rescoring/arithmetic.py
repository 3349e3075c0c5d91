"""Where results of records that failed belong among those of the records that did not.

Results stand in the order of their records, and what failed left none. So the result of a record is put behind as
many others as there are records before it in its split, less those of them that failed.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.int64]


def kept_before(ordinals: Numbers, records: Numbers, failed_before: int = 0) -> Numbers:
    """How many results stand before the place of each error.

    Args:
      ordinals: of each error, how many records of its split lie before it; ascending.
      records: how many records failed there: those of a stretch that was lost at once follow each other.
      failed_before: records of the split that failed before the first of these.

    Returns:
      A number for each error; never fewer than for the one before it.
    """
    result: Numbers = ordinals - failed_before - (np.cumsum(records) - records)
    return result
