"""What a value of each Arrow type is to a model and in a result: the table of types, and their conversion.

| Arrow type | Python value, and so the model's | as JSON, where it is carried or shown |
|---|---|---|
| null | None | null |
| bool, bool8 | bool | true, false |
| integers, floats | int, float | number; "NaN", "Infinity", "-Infinity" |
| decimals | Decimal: a number to the model | number with all its digits |
| strings | str; `InvalidText` if it is not UTF-8, which a model does not get | string; {"b64": …} |
| binaries | bytes | string if it is UTF-8, else {"b64": …} |
| dates | str | "2017-03-04" |
| times | str | "12:30:00", with 3, 6 or 9 digits of a second where they are not zero |
| timestamps | str | "2017-03-04T12:30:00.000000001"; with a time zone in UTC, "…Z" |
| durations | str | "-3.500s" |
| intervals | list | [months, days, nanoseconds] |
| lists, list views, fixed-size lists | list | array |
| structs | dict; of two fields of a name the last | object |
| maps | list of [key, value] | array of arrays |
| unions, dictionaries, run-end encoded | the value that is meant | as that |
| uuid | str | "00112233-4455-6677-8899-aabbccddeeff" |
| other extension types | the value that is stored | as that |

Times are written as protobuf's JSON has them (RFC 3339). pyarrow's own conversion is not used for what it refuses
to give: nanoseconds, time zones that this machine does not know, years of more than four digits, invalid text.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from typing import Any

import pyarrow as pa

from batchpredict.models import InvalidText, json_text

_UNITS = {"s": 0, "ms": 3, "us": 6, "ns": 9}
_DAY = 86_400
_ERA_DAYS = 146_097  # of 400 years of the Gregorian calendar


def to_python(array: Any) -> list[Any]:
    """The values of an Arrow array, a row each, as the table above has them. Never raises for what is in it."""
    if isinstance(array.type, pa.BaseExtensionType):
        return _extensions(array)
    return _TABLE.get(array.type.id, _others)(array)


def to_json(array: Any) -> list[bytes]:
    """The values of an Arrow array as JSON texts, a row each."""
    return [json_text(value) for value in to_python(array)]


def row_json(table: Any, row: int) -> bytes:
    """A row of a record batch as the text of a JSON object, with all its columns in their order."""
    lone = table.slice(row, 1)
    fields = zip(names_of(table), lone.columns, strict=True)
    return b"{" + b",".join(json_text(name) + b":" + to_json(column)[0] for name, column in fields) + b"}"


def names_of(table: Any) -> list[str]:
    """The names of a record batch's columns, in order."""
    return [str(name) for name in table.schema.names]


def temporal_kind(kind: Any) -> str | None:
    """What a value of a type of dates and times is called; None for any other type."""
    types = pa.types
    if types.is_timestamp(kind):
        return "a timestamp"
    if types.is_date(kind):
        return "a date"
    if types.is_time(kind):
        return "a time"
    if types.is_duration(kind):
        return "a duration"
    return None


def _plain(array: Any) -> list[Any]:
    values: list[Any] = array.to_pylist()
    return values


def _halves(array: Any) -> list[Any]:
    return [None if value is None else float(value) for value in array.to_pylist()]


def _strings(array: Any) -> list[Any]:
    try:
        return _plain(array)
    except UnicodeDecodeError:
        return [_text(scalar.as_buffer().to_pybytes()) if scalar.is_valid else None for scalar in array]


def _text(data: bytes) -> str | InvalidText:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return InvalidText(data)


def _counted(array: Any, width: int) -> list[int | None]:
    """What dates and times are stored as: counts of their unit."""
    counts: list[int | None] = array.view(pa.int32() if width == 32 else pa.int64()).to_pylist()
    return counts


def _each(counts: Iterable[int | None], form: Callable[[int], str]) -> list[Any]:
    return [None if count is None else form(count) for count in counts]


def _days(array: Any) -> list[Any]:
    return _each(_counted(array, 32), _date)


def _millisecond_days(array: Any) -> list[Any]:
    return _each(_counted(array, 64), lambda count: _date(count // (_DAY * 1000)))


def _times(array: Any) -> list[Any]:
    digits = _UNITS[array.type.unit]
    return _each(_counted(array, array.type.bit_width), lambda count: _clock(count, digits))


def _timestamps(array: Any) -> list[Any]:
    digits = _UNITS[array.type.unit]
    zone = "" if array.type.tz is None else "Z"

    def form(count: int) -> str:
        days, rest = divmod(count, _DAY * 10**digits)
        return f"{_date(days)}T{_clock(rest, digits)}{zone}"

    return _each(_counted(array, 64), form)


def _durations(array: Any) -> list[Any]:
    digits = _UNITS[array.type.unit]

    def form(count: int) -> str:
        seconds, rest = divmod(abs(count), 10**digits)
        return f"{'-' if count < 0 else ''}{seconds}{_fraction(rest, digits)}s"

    return _each(_counted(array, 64), form)


def _date(days: int) -> str:
    """The date so many days after 1970-01-01, by H. Hinnant's `civil_from_days`; ISO 8601 for any year."""
    era, day = divmod(days + 719_468, _ERA_DAYS)
    year = (day - day // 1_460 + day // 36_524 - day // 146_096) // 365
    day -= 365 * year + year // 4 - year // 100
    month = (5 * day + 2) // 153
    day -= (153 * month + 2) // 5 - 1
    month = month + 3 if month < 10 else month - 9
    year += 400 * era + (month <= 2)
    written = f"{year:04d}" if 0 <= year <= 9999 else f"{year:+05d}"
    return f"{written}-{month:02d}-{day:02d}"


def _clock(count: int, digits: int) -> str:
    seconds, rest = divmod(count, 10**digits)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{_fraction(rest, digits)}"


def _fraction(rest: int, digits: int) -> str:
    """A fraction of a second with none, 3, 6 or 9 digits, as many as it takes."""
    if not rest:
        return ""
    text = f"{rest:0{digits}d}"
    while text.endswith("000"):
        text = text[:-3]
    return f".{text}"


def _lists(array: Any) -> list[Any]:
    values = to_python(array.flatten())
    at = 0
    rows: list[Any] = []
    for length in array.value_lengths().to_pylist():
        if length is None:
            rows.append(None)
        else:
            rows.append(values[at : at + length])
            at += length
    return rows


def _fixed_size_lists(array: Any) -> list[Any]:
    length = array.type.list_size
    values = to_python(array.values.slice(array.offset * length, len(array) * length))
    valid = array.is_valid().to_pylist()
    return [values[row * length : (row + 1) * length] if valid[row] else None for row in range(len(array))]


def _maps(array: Any) -> list[Any]:
    offsets = array.offsets.to_pylist()
    keys, items = (
        to_python(child.slice(offsets[0], offsets[-1] - offsets[0])) if len(array) else []
        for child in (array.keys, array.items)
    )
    valid = array.is_valid().to_pylist()
    rows: list[Any] = []
    for row in range(len(array)):
        begin, end = offsets[row] - offsets[0], offsets[row + 1] - offsets[0]
        pairs = zip(keys[begin:end], items[begin:end], strict=True)
        rows.append([list(pair) for pair in pairs] if valid[row] else None)
    return rows


def _structs(array: Any) -> list[Any]:
    names = [array.type.field(number).name for number in range(array.type.num_fields)]
    columns = [to_python(child) for child in array.flatten()]
    valid = array.is_valid().to_pylist()
    return [
        {name: column[row] for name, column in zip(names, columns, strict=True)} if valid[row] else None
        for row in range(len(array))
    ]


def _dictionaries(array: Any) -> list[Any]:
    values = to_python(array.dictionary)
    return [None if index is None else values[index] for index in array.indices.to_pylist()]


def _by_scalar(array: Any) -> list[Any]:
    """Types of which each value is one of another type."""
    return [_of_scalar(scalar) for scalar in array]


def _of_scalar(scalar: Any) -> Any:
    inner = scalar.value if scalar.is_valid else None
    if inner is None or not inner.is_valid:
        return None
    return to_python(pa.array([inner], inner.type))[0]


def _extensions(array: Any) -> list[Any]:
    name = getattr(array.type, "extension_name", "")
    values = to_python(array.storage)
    if name == "arrow.uuid":
        return [None if value is None else str(uuid.UUID(bytes=value)) for value in values]
    if name == "arrow.bool8":
        return [None if value is None else bool(value) for value in values]
    return values


def _others(array: Any) -> list[Any]:
    """A type that this table does not know yet: as pyarrow shows it."""
    return [str(scalar) if scalar.is_valid else None for scalar in array]


def _intervals(array: Any) -> list[Any]:
    return [None if value is None else list(value) for value in array.to_pylist()]


# By the names that pyarrow has for the ids of types; a pyarrow before 18 lacks the narrow decimals.
_CONVERSIONS: dict[Callable[[Any], list[Any]], str] = {
    _plain: "NA BOOL INT8 INT16 INT32 INT64 UINT8 UINT16 UINT32 UINT64 FLOAT DOUBLE DECIMAL32 DECIMAL64 DECIMAL128 "
    "DECIMAL256 BINARY LARGE_BINARY BINARY_VIEW FIXED_SIZE_BINARY",
    _halves: "HALF_FLOAT",
    _strings: "STRING LARGE_STRING STRING_VIEW",
    _days: "DATE32",
    _millisecond_days: "DATE64",
    _times: "TIME32 TIME64",
    _timestamps: "TIMESTAMP",
    _durations: "DURATION",
    _intervals: "INTERVAL_MONTH_DAY_NANO",
    _lists: "LIST LARGE_LIST LIST_VIEW LARGE_LIST_VIEW",
    _fixed_size_lists: "FIXED_SIZE_LIST",
    _maps: "MAP",
    _structs: "STRUCT",
    _dictionaries: "DICTIONARY",
    _by_scalar: "SPARSE_UNION DENSE_UNION RUN_END_ENCODED",
}
_TABLE = {
    getattr(pa.lib, f"Type_{name}"): convert
    for convert, names in _CONVERSIONS.items()
    for name in names.split()
    if hasattr(pa.lib, f"Type_{name}")
}
