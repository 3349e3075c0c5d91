"""Types of columns that mean the same in SQLite and in PostgreSQL: times, JSON as it came, text that fits."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any

from sqlalchemy import BigInteger, Dialect, Integer, String, Text
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import TypeDecorator

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND = timedelta(microseconds=1)

# SQLite numbers rows itself only where the type is spelt INTEGER.
Number = BigInteger().with_variant(Integer(), "sqlite")

# By code point, as SQLite compares: a prefix is then a range, in any locale of the cluster.
Name = String().with_variant(String(collation="C"), "postgresql")


def to_micros(moment: datetime) -> int:
    """Microseconds since 1970, exactly."""
    return (moment - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    return _EPOCH + timedelta(microseconds=micros)


class Instant(TypeDecorator[datetime]):
    """A moment as microseconds since 1970: one order and one precision in every database, whatever its zone."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        del dialect
        return None if value is None else to_micros(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        del dialect
        return None if value is None else from_micros(value)


# `json.dumps` would make one for each call.
_encode = json.JSONEncoder(separators=(",", ":")).encode


def json_size(value: Any) -> int:
    """Bytes of a value in a column of type `Json`."""
    return len(_encode(value))


class Json(TypeDecorator[Any]):
    """JSON as text, and not as the database's own type: keys keep their order, integers all their digits."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        del dialect
        return None if value is None else _encode(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        del dialect
        return None if value is None else json.loads(value)


class Sentence(TypeDecorator[str]):
    """Text from anywhere: a NUL, which PostgreSQL refuses, and half a surrogate pair, are replaced."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        return postgresql.TEXT(collation="C") if dialect.name == "postgresql" else Text()

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        del dialect
        return None if value is None else storable(value)


def storable(text: str) -> str:
    """`text` with what no database takes replaced by U+FFFD."""
    return text.replace("\0", "\ufffd").encode("utf-16", "surrogatepass").decode("utf-16", "replace")
