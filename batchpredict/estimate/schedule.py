"""How long a job takes and what it costs, from what its splits take. Pure functions."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence

# With so many splits it does not matter any more which worker gets the last one.
_MANY = 20_000


def makespan(seconds: Sequence[float], workers: int) -> float:
    """Seconds until all splits are done, which are handed out in order to whoever is free."""
    if workers >= len(seconds):
        return max(seconds, default=0.0)
    if len(seconds) > _MANY:
        return sum(seconds) / workers + max(seconds) / 2
    free = [0.0] * workers
    for one in seconds:
        heapq.heapreplace(free, free[0] + one)
    return max(free)


def split_seconds(sizes: Iterable[int], seconds_per_byte: float, commit_seconds: float) -> list[float]:
    """What a worker needs for each split, by the bytes of each."""
    return [size * seconds_per_byte + commit_seconds for size in sizes]
