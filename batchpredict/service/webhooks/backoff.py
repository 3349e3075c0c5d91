"""When a delivery that failed is tried again. Pure."""

from __future__ import annotations

from datetime import timedelta

FIRST = 5.0
FACTOR = 4.0
LONGEST = 3600.0
ATTEMPTS = 30
"""Five seconds, then longer and longer up to an hour: a receiver that is down for a day misses nothing."""


def next_wait(attempts: int, draw: float, asked: float | None = None) -> timedelta | None:
    """How long to wait before the next attempt.

    Args:
      attempts: made so far, with the one that just failed; at least 1.
      draw: a random number from 0 to 1, so that what failed together does not come back together.
      asked: seconds that the receiver asked for (Retry-After).

    Returns:
      None to give up.
    """
    if attempts >= ATTEMPTS:
        return None
    # No power beyond what matters: it would not fit into a float some day.
    wait = min(FIRST * FACTOR ** min(attempts - 1, 10), LONGEST)
    wait *= 0.75 + draw / 2
    return timedelta(seconds=max(wait, min(asked or 0.0, LONGEST)))
