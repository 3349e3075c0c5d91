"""Values of stored documents, which trainers and clients have written: what is not of its type reads as absent."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from batchpredict.job import to_datetime


def count(value: Any) -> int | None:
    found = number(value)
    return None if found is None else int(found)


def number(value: Any) -> float | None:
    """A number of an output, where 64-bit ones are text."""
    found = real(value)
    if found is None or not abs(found) < 2**63:
        return None
    return int(value) if found.is_integer() and not isinstance(value, str) else _exact(value, found)


def real(value: Any) -> float | None:
    """A finite number of any size, or its text."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def _exact(value: float | str, found: float) -> float:
    """Text of an integer has all its digits; a float of 2^53 and more does not."""
    return int(value) if isinstance(value, str) and value.strip().lstrip("+-").isdecimal() else found


def text(source: Mapping[str, Any], *names: str) -> str:
    """The first of some fields that is a text and not empty; "" if none is."""
    for name in names:
        value = source.get(name)
        if isinstance(value, str) and value:
            return value
    return ""


def mapping(source: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    """The first of some fields that is set, if it is an object; an empty one otherwise."""
    found = next((source[name] for name in names if source.get(name)), None)
    return found if isinstance(found, Mapping) else {}


def mappings(source: Mapping[str, Any], *names: str) -> list[Mapping[str, Any]]:
    """The objects of the first of some fields that is set, if it is a list."""
    found = next((source[name] for name in names if source.get(name)), None)
    if not isinstance(found, Sequence) or isinstance(found, str):
        return []
    return [one for one in found if isinstance(one, Mapping)]


def moment(value: Any) -> datetime | None:
    """A time of an output; None for what is none."""
    try:
        return to_datetime(value) if isinstance(value, str) else None
    except ValueError:
        return None
