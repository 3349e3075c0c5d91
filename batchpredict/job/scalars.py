"""The scalars of proto3 JSON, as pydantic types: int64, int32, double, timestamp, duration, text, bool.

Source of the mapping: https://protobuf.dev/programming-guides/json/ . An int64 travels as a decimal string,
because a JSON number is a double in most languages and loses digits past 2**53; readers take either. Our
reader is stricter than protobuf's in one point: an int64 in a string has no exponent and no fraction.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import datetime, timezone
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any

from pydantic import AfterValidator, PlainSerializer, PlainValidator, ValidationError, WrapValidator
from pydantic_core import PydanticCustomError

REQUIRED = "This field is required."

_INTEGER = re.compile(r"-?(0|[1-9][0-9]*)")
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_TIMESTAMP = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})(\.[0-9]{1,9})?Z")
_DURATION = re.compile(r"(-?(?:0|[1-9][0-9]*)(?:\.[0-9]{1,9})?)s")
_NOT_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
# Doubles count every integer up to here; past it a JSON number like 9007199254740993.0 was already rounded.
_EXACT = 2**53


def refuse(description: str) -> PydanticCustomError:
    """An error for pydantic to collect, whose text is `description` to the letter."""
    return PydanticCustomError("refused", "{description}", {"description": description})


def shown(value: Any) -> str:
    """`value` as it would stand in the document, cut to 80 characters, for use in a message."""
    import json

    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        text = repr(value)
    text = text if len(text) <= 80 else text[:77] + "..."
    # A lone surrogate cannot be encoded when the message is sent.
    return text.encode("utf-8", "backslashreplace").decode()


class WireEnum(str, Enum):
    """An enum of the API. Its members are their names on the wire, and print so on every Python."""

    def __str__(self) -> str:
        return str(self.value)


def offering(*names: str) -> WrapValidator:
    """For a field of an enum that takes only some of its members: what is none is answered with those."""

    def read(value: Any, known: Callable[[Any], Any]) -> Any:
        try:
            return known(value)
        except ValidationError as error:
            raise PydanticCustomError("enum", "not a member", {"expected": ", ".join(names)}) from error

    return WrapValidator(read)


def read_integer(value: Any, bits: int = 64) -> int:
    """An integer of `bits` bits from a JSON number or a decimal string; raises PydanticCustomError."""
    if isinstance(value, float) and value.is_integer() and abs(value) <= _EXACT:
        number = int(value)
    elif isinstance(value, int) and not isinstance(value, bool):
        number = value
    # 20 characters hold every int64. Python's int() refuses 4300 digits with an error of its own.
    elif isinstance(value, str) and _INTEGER.fullmatch(value) and len(value) <= 20:
        number = int(value)
    else:
        raise refuse(f"Expected an integer of {bits} bits, got {shown(value)}.")
    if not -(2 ** (bits - 1)) <= number < 2 ** (bits - 1):
        raise refuse(f"Expected an integer of {bits} bits, got {shown(value)}.")
    return number


def read_double(value: Any) -> float:
    """A double from a JSON number or a string, NaN and the infinities by name. An int stays an int."""
    if isinstance(value, str):
        if value in _NOT_FINITE:
            return _NOT_FINITE[value]
        if _NUMBER.fullmatch(value) and len(value) <= 400 and math.isfinite(float(value)):
            return float(value)
    elif isinstance(value, float) or (isinstance(value, int) and not isinstance(value, bool)):
        try:
            float(value)
            return value
        except OverflowError:
            pass
    raise refuse(f"Expected a number, got {shown(value)}.")


def write_double(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def at_least(least: int) -> Callable[[int], int]:
    """A check for numbers that may not be smaller than `least`."""

    def check(value: int) -> int:
        if value < least:
            raise refuse(f"Expected at least {least}, got {value}.")
        return value

    return check


def between(least: int, most: int) -> Callable[[int], int]:
    """A check for numbers from `least` to `most`, both allowed."""

    def check(value: int) -> int:
        if not least <= value <= most:
            raise refuse(f"Expected {least} to {most}, got {value}.")
        return value

    return check


def read_timestamp(value: Any) -> str:
    """An RFC 3339 time in UTC, up to nanoseconds, kept as text: a datetime would drop three digits."""
    match = _TIMESTAMP.fullmatch(value) if isinstance(value, str) else None
    if match:
        try:
            datetime(*(int(group) for group in match.groups()[:6]), tzinfo=timezone.utc)  # type: ignore[misc,arg-type]
            return match.group()
        except ValueError:
            pass
    raise refuse(f'Expected a time like "2014-10-02T15:01:23.045123456Z", got {shown(value)}.')


def to_timestamp(moment: datetime) -> str:
    """`moment`, which must know its zone, as the API writes it: UTC, with 0, 3 or 6 digits of fraction."""
    if moment.tzinfo is None:
        raise ValueError("a time without a zone cannot be written as a Timestamp")
    moment = moment.astimezone(timezone.utc)
    digits = "seconds" if moment.microsecond == 0 else "milliseconds"
    if moment.microsecond % 1000:
        digits = "microseconds"
    return moment.replace(tzinfo=None).isoformat(timespec=digits) + "Z"


def to_datetime(timestamp: str) -> datetime:
    """A Timestamp as a datetime in UTC, cut to microseconds."""
    match = _TIMESTAMP.fullmatch(timestamp)
    if match is None:
        raise ValueError(f"{timestamp!r} is not a Timestamp")
    fraction = (match[7] or ".")[1:7].ljust(6, "0")
    year, month, day, hour, minute, second = (int(group) for group in match.groups()[:6])
    return datetime(year, month, day, hour, minute, second, int(fraction), tzinfo=timezone.utc)


def read_duration(value: Any) -> str:
    """A protobuf Duration: seconds with up to nine digits of fraction and an "s", like "3600s"."""
    if not (isinstance(value, str) and len(value) <= 30 and _DURATION.fullmatch(value)):
        raise refuse(f'Expected a duration in seconds like "3600s", got {shown(value)}.')
    return value


def to_seconds(duration: str) -> Decimal:
    """The seconds of a Duration, exactly."""
    match = _DURATION.fullmatch(duration)
    if match is None:
        raise ValueError(f"{duration!r} is not a Duration")
    return Decimal(match[1])


def _read_bool(value: Any) -> bool:
    if not isinstance(value, bool):
        raise refuse(f"Expected true or false, got {shown(value)}.")
    return value


def _not_blank(value: str) -> str:
    if not value.strip():
        raise refuse(REQUIRED)
    return value


def _trimmed(value: str) -> str:
    if not value.strip():
        raise refuse("An empty item.")
    return value.strip()


# One argument each: pydantic 2.7 passes its ValidationInfo to whatever can take a second.
def _read_int32(value: Any) -> int:
    return read_integer(value, bits=32)


def _read_int64(value: Any) -> int:
    return read_integer(value, bits=64)


def _same(value: Any) -> Any:
    return value


def write_text(value: Any) -> str:
    return str(value)


# Functions of our own and not `str`: pydantic 2.7 asks for a signature, which a builtin type has not.
_AS_TEXT = PlainSerializer(write_text, return_type=str, when_used="json")
_AS_NUMBER = PlainSerializer(_same, return_type=int, when_used="json")

Int64 = Annotated[int, PlainValidator(_read_int64), _AS_TEXT]
Positive64 = Annotated[int, PlainValidator(_read_int64), AfterValidator(at_least(1)), _AS_TEXT]
Count64 = Annotated[int, PlainValidator(_read_int64), AfterValidator(at_least(0)), _AS_TEXT]
Int32 = Annotated[int, PlainValidator(_read_int32), _AS_NUMBER]
Positive32 = Annotated[int, PlainValidator(_read_int32), AfterValidator(at_least(1)), _AS_NUMBER]
Count32 = Annotated[int, PlainValidator(_read_int32), AfterValidator(at_least(0)), _AS_NUMBER]
Double = Annotated[
    float, PlainValidator(read_double), PlainSerializer(write_double, return_type=Any, when_used="json")
]
Bool = Annotated[bool, PlainValidator(_read_bool), PlainSerializer(_same, return_type=bool, when_used="json")]
Timestamp = Annotated[str, PlainValidator(read_timestamp), _AS_TEXT]
Duration = Annotated[str, PlainValidator(read_duration), _AS_TEXT]
# A required text: proto3 cannot tell an empty one from an absent one, so neither do we.
NonBlank = Annotated[str, AfterValidator(_not_blank)]
# An item of a list of paths: the service trimmed blanks, and an empty item is a slip of the pen.
Item = Annotated[str, AfterValidator(_trimmed)]
