"""Field masks: `updateMask`, which names what a patch changes, and `fields`, which names what an answer shall have.

The syntax of `fields` is that of Google's partial responses: names with commas between; `a/b` and `a(b,c)` for
fields inside a field; `*` for all. Of a list it is meant of each item.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from batchpredict.service.rest.bodies import snake
from batchpredict.service.rest.errors import wrong

Mask = Mapping[str, "Mask | None"]
"""What is asked for of each field: a mask of its own, or None for all of it."""

MAX_MASK = 2_000
"""Characters: more than the longest that names every field."""

_TOKEN = re.compile(r"[A-Za-z0-9_@$.-]+|\*|[,/()]")


def parse(text: str) -> Mask:
    """A `fields` parameter.

    Raises:
      Problem: it is no mask.
    """
    if len(text) > MAX_MASK:
        raise wrong("fields", f"Expected at most {MAX_MASK} characters.")
    tokens = _TOKEN.findall(text)
    if "".join(tokens) != re.sub(r"\s", "", text):
        raise _bad(text)
    mask, rest = _list(tokens, text, 0)
    if rest:
        raise _bad(text)
    return mask


def _bad(text: str) -> Exception:
    return wrong("fields", f"Invalid field selection {text[:80]}")


def _list(tokens: list[str], text: str, depth: int) -> tuple[dict[str, Mask | None], list[str]]:
    """Names up to a closing parenthesis or the end."""
    mask: dict[str, Mask | None] = {}
    while True:
        tokens = _one(tokens, text, depth, mask)
        if not tokens or tokens[0] == ")":
            return mask, tokens
        if tokens[0] != ",":
            raise _bad(text)
        tokens = tokens[1:]


def _one(tokens: list[str], text: str, depth: int, mask: dict[str, Mask | None]) -> list[str]:
    if not tokens or tokens[0] in ",/()" or depth > 20:
        raise _bad(text)
    name, tokens = tokens[0], tokens[1:]
    inner: dict[str, Mask | None] | None = None
    if tokens[:1] == ["/"]:
        inner = {}
        tokens = _one(tokens[1:], text, depth + 1, inner)
    elif tokens[:1] == ["("]:
        inner, tokens = _list(tokens[1:], text, depth + 1)
        if tokens[:1] != [")"]:
            raise _bad(text)
        tokens = tokens[1:]
    _add(mask, name, inner)
    return tokens


def _add(mask: dict[str, Mask | None], name: str, inner: Mask | None) -> None:
    """`a/b,a/c` asks for both, and `a,a/b` for all of a."""
    before = mask.get(name, {})
    if inner is None or before is None:
        mask[name] = None
        return
    merged = dict(before)
    for key, value in inner.items():
        _add(merged, key, value)
    mask[name] = merged


def apply(mask: Mask, value: Any) -> Any:
    """What of a JSON value the mask asks for. A field that is not there is left out."""
    if isinstance(value, list):
        return [apply(mask, item) for item in value]
    if not isinstance(value, dict):
        return value
    found = {}
    for name, item in value.items():
        if name in mask or "*" in mask:
            inner = mask[name] if name in mask else mask["*"]
            found[name] = item if inner is None else apply(inner, item)
    return found


def paths(update_mask: str) -> tuple[str, ...]:
    """The paths of an `updateMask`, in snake_case, each once; none if it is empty."""
    return tuple(dict.fromkeys(snake(path.strip()) for path in update_mask.split(",") if path.strip()))
