"""Doing again what a store has failed to do. Clients have patience of their own below this."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

_Result = TypeVar("_Result")

_ATTEMPTS = 4
# Seconds before the second attempt, doubled for each further one.
_PAUSE = 0.5


def again(
    step: Callable[[], _Result],
    *,
    when: Callable[[OSError], bool] = lambda _: True,
    attempts: int = _ATTEMPTS,
    sleep: Callable[[float], None] = time.sleep,
) -> _Result:
    """What `step` returns, tried again after an OSError that `when` says passes; the last one is raised."""
    for attempt in range(1, attempts):
        try:
            return step()
        except OSError as error:
            if not when(error):
                raise
        sleep(_PAUSE * 2 ** (attempt - 1) * random.uniform(0.5, 1))
    return step()
