"""What commands print: tables for people, JSON and single values for programs."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

_VALUE = re.compile(r"value\(\s*([\w.\-]+(?:\s*,\s*[\w.\-]+)*)\s*\)")


def value_fields(form: str) -> list[str]:
    """The fields of gcloud's format `value(state,endTime)`; none of another format."""
    match = _VALUE.fullmatch(form)
    return [field.strip() for field in match[1].split(",")] if match else []


def print_resource(resource: Any, form: str) -> None:
    """One resource on stdout: as indented JSON, or the values that a format asks for, with tabs between."""
    fields = value_fields(form)
    if fields:
        print("\t".join(_shown(value_at(resource, field)) for field in fields))
    else:
        print_json(resource)


def print_json(value: Any) -> None:
    """One JSON document on stdout, indented."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


def _shown(value: Any) -> str:
    """A value in one line, as gcloud shows it: nothing for what is not there, lists with semicolons between."""
    if value is None:
        return ""
    if isinstance(value, list):
        return ";".join(map(_shown, value))
    if isinstance(value, Mapping):
        return ";".join(f"{key}={_shown(item)}" for key, item in value.items())
    return plain(str(value))


def print_table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns under titles, as gcloud prints them: as wide as they must be, two spaces between."""
    lines = [list(titles), *([plain(cell) for cell in row] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(titles))]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def tell(text: str, *, quiet: bool = False) -> None:
    """A remark on stderr."""
    if not quiet:
        print(plain(text), file=sys.stderr, flush=True)


def plain(text: str) -> str:
    """Text without what would steer a terminal: others may have written it."""
    return "".join(letter if letter.isprintable() or letter in "\t" else "�" for letter in text)


def value_at(resource: Mapping[str, Any], path: str) -> Any:
    """A field within a resource by its path, "predictionInput.region"; None if it is not there."""
    found: Any = resource
    for name in path.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def last_part(name: object) -> str:
    """The id at the end of a full name; "" of none."""
    return str(name or "").rpartition("/")[2]
