"""The clock of leases on one machine."""

from __future__ import annotations

import time


def clock() -> float:
    """Seconds since the computer started, the same for all its processes; also those that it slept."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()
