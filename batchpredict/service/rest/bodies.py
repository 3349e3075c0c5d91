"""From the bytes of a request to a JSON object that is safe to handle: bounded in every direction, and of text that
any database can keep.

What is wrong is said in the service's words (cmle-behaviour §4.2): `Invalid JSON payload received. …`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import sys
import zlib
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any

import anyio

from batchpredict.errors import Violation
from batchpredict.job import load
from batchpredict.service.rest.errors import Problem, invalid, wrong

MAX_BODY = 4 * 2**20
"""Bytes of a body, also after it was decompressed: 10,000 paths of 400 bytes."""

MAX_ITEMS = 10_000
"""Items of a list or names of an object."""

MAX_TEXT = 64 * 2**10
"""Characters of a text."""

MAX_DEPTH = 50
"""Objects and lists inside each other."""

_WORD = re.compile(r"(?<=[a-z0-9])([A-Z])")


def snake(name: str) -> str:
    """`inputPaths` as `input_paths`."""
    return _WORD.sub(r"_\1", name).lower()


def camel(name: str) -> str:
    """`input_paths` as `inputPaths`."""
    first, *rest = name.split("_")
    return first + "".join(word[:1].upper() + word[1:] for word in rest)


def too_large() -> Problem:
    """As Google's front end says it."""
    return wrong("", f"Request payload size exceeds the limit: {MAX_BODY} bytes.")


@contextlib.asynccontextmanager
async def in_time(seconds: float) -> AsyncIterator[None]:
    """A body is to arrive while the context is open, in so many seconds.

    Raises:
      Problem: it has not.
    """
    try:
        if sys.version_info >= (3, 11):
            # Costs less than anyio's, and each request with a body pays it.
            async with asyncio.timeout(seconds):
                yield
        else:
            with anyio.fail_after(seconds):
                yield
    except TimeoutError:
        raise Problem(400, "INVALID_ARGUMENT", f"The body did not arrive within {seconds:g} seconds.") from None


def decompressed(body: bytes, encoding: str) -> bytes:
    """A body without its Content-Encoding, which may be gzip.

    Raises:
      Problem: another encoding, damaged, or larger than MAX_BODY.
    """
    if encoding in ("", "identity"):
        return body
    if encoding != "gzip":
        raise wrong("", f"Content-Encoding {_shown(encoding)} is not known; send gzip or none.")
    inflate = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        plain = inflate.decompress(body, MAX_BODY + 1)
    except zlib.error:
        raise wrong("", "The body is not what its Content-Encoding says: no gzip.") from None
    if len(plain) > MAX_BODY:
        raise too_large()
    if not inflate.eof or inflate.unused_data:
        raise wrong("", "The body is not what its Content-Encoding says: cut off, or something follows it.")
    return plain


def read(body: bytes, content_type: str, root: str) -> dict[str, Any]:
    """The object in a body; an empty body is an empty object.

    Args:
      content_type: the header, "" if there is none.
      root: how violations name the whole of it: "job"; "" for a message that is only a request.

    Raises:
      Problem, InvalidJob: it is no JSON object, or out of bounds.
    """
    if not body:
        return {}
    kind = content_type.partition(";")[0].strip().lower()
    if kind != "application/json":
        raise wrong("", f"Content-Type {_shown(kind)} is not accepted; send application/json.")
    document = load(body)
    violations = list(_out_of_bounds(document, root, 0))
    if violations:
        raise invalid(violations)
    return document


def _out_of_bounds(value: Any, where: str, depth: int) -> Iterator[Violation]:
    if isinstance(value, str):
        fault = text_fault(value)
        if fault:
            yield Violation(where, fault)
    elif isinstance(value, (dict, list)):
        if depth >= MAX_DEPTH:
            yield Violation(where, f"More than {MAX_DEPTH} objects and lists inside each other.")
        elif len(value) > MAX_ITEMS:
            yield Violation(where, f"Expected at most {MAX_ITEMS} items, got {len(value)}.")
        elif isinstance(value, list):
            for index, item in enumerate(value):
                yield from _out_of_bounds(item, f"{where}[{index}]", depth + 1)
        else:
            for name, item in value.items():
                fault = text_fault(name)
                if fault:
                    yield Violation(where, f"A name in this object: {fault}")
                else:
                    yield from _out_of_bounds(item, f"{where}.{snake(name)}" if where else snake(name), depth + 1)


def text_fault(text: str) -> str:
    """What is wrong with a text whatever it is for; "" if nothing is."""
    if len(text) > MAX_TEXT:
        return f"Expected at most {MAX_TEXT} characters, got {len(text)}."
    if "\0" in text:
        return "A text cannot have a character U+0000."
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            return "Expected text that UTF-8 can write."
    return ""


def fields_of(document: Mapping[str, Any], names: Sequence[str], at: str = "") -> dict[str, Any]:
    """The fields of a message by their names in camelCase, however they were spelled; null is absent.

    Args:
      names: that it may have, in camelCase.
      at: where the message is: "policy.bindings[0]"; "" for the body itself.

    Raises:
      Problem: a field that the message does not have, or one that is given twice.
    """
    found: dict[str, Any] = {}
    violations = []
    place = f" at {_quoted(at)}" if at else ""
    for name, value in document.items():
        known = name if name in names else camel(name)
        if known not in names or (name != known and name != snake(known)):
            text = f"Unknown name {_shown(name)}{place}: Cannot find field."
            violations.append(Violation(at, f"Invalid JSON payload received. {text}"))
        elif known in found:
            text = f"Field {_shown(known)}{place} is given twice, in two spellings. Keep one."
            violations.append(Violation(at, f"Invalid JSON payload received. {text}"))
        elif value is not None:
            found[known] = value
    if violations:
        raise invalid(violations)
    return found


def _quoted(text: str) -> str:
    return f"'{text}'"


def _shown(text: str) -> str:
    return json.dumps(text if len(text) <= 80 else text[:77] + "...", ensure_ascii=False)
