"""How numbers and times are written for people."""

from __future__ import annotations

import math
from datetime import datetime, timedelta, timezone

_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


def grouped(number: float) -> str:
    """A number with its thousands apart: 1,234,567. Fractions keep three digits."""
    if isinstance(number, int) or number == math.floor(number):
        return f"{int(number):,}"
    return f"{number:,.0f}" if abs(number) >= 100 else f"{number:,.3g}"


def duration(span: timedelta) -> str:
    """A span of time in its two largest units: "2 d 3 h", "45 s"; less than a second is "0 s"."""
    seconds = max(int(span.total_seconds()), 0)
    parts: list[str] = []
    for unit, size in _UNITS:
        count, seconds = divmod(seconds, size)
        if count or parts:
            parts.append(f"{count} {unit}")
    return " ".join(part for part in parts[:2] if not part.startswith("0 ")) or "0 s"


def instant(moment: datetime) -> str:
    """A time in UTC to the second: "2017-12-13 01:21:04 UTC"."""
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")


def iso(moment: datetime) -> str:
    """A time as HTML's `datetime` attribute has it."""
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
