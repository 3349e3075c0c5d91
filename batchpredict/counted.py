"""How many of something, in words."""

from __future__ import annotations


def counted(count: int, what: str) -> str:
    """A number with its noun, as "1 file" and "1,200 files" are. `what` is the noun for one, which takes an s."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"
