"""The fields of JSON objects as the texts that they came as.

A field that goes past the model is not decoded: numbers of any length and form, escapes, white space and
{"b64": …} stay what they were. Only what a line of JSON cannot hold changes: a line break between two values of a
record becomes a space, and the bare words NaN and Infinity, which the service read, become strings.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

import msgspec

_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode

# Numbers are not converted: only where a value ends is asked for.
_scan = json.JSONDecoder(parse_int=str, parse_float=str).raw_decode
_SPACE = re.compile(r"[ \t\n\r]*")
_WORD = re.compile(r'"(?:[^"\\]|\\.)*"|(-?Infinity|NaN)')
_TO_SPACE = bytes.maketrans(b"\n\r", b"  ")


def same_fields(payloads: Sequence[bytes]) -> list[dict[str, msgspec.Raw]] | None:
    """The texts of the fields of many objects, if all have the same fields in the same order.

    None if they do not, if one is no sound JSON object of one line, or if it takes a look at each to tell.
    """
    joined = b"\n".join(payloads)
    if b"\r" in joined or joined.count(b"\n") != len(payloads) - 1:
        return None
    try:
        # What it does not look into, the decoder does not check to be UTF-8. All else it checks.
        joined.decode("utf-8")
        fields = [_decode(payload) for payload in payloads]
    except (UnicodeDecodeError, msgspec.DecodeError, RecursionError):
        return None
    names = list(fields[0]) if fields else []
    return fields if all(list(one) == names for one in fields) else None


def field_texts(payload: bytes) -> Mapping[str, bytes | msgspec.Raw]:
    """The text of each field of an object, in its order; of two fields of a name, the last.

    Args:
      payload: JSON that `json.loads` takes.

    Raises:
      ValueError: it is no object, or nested too deeply.
    """
    if b"\n" in payload or b"\r" in payload:
        # In sound JSON a control character is white space.
        payload = payload.translate(_TO_SPACE)
    try:
        return _decode(payload)
    except (msgspec.DecodeError, RecursionError):
        pass
    try:
        return {name: text.encode() for name, text in _scanned(payload.decode(json.detect_encoding(payload)))}
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _scanned(text: str) -> list[tuple[str, str]]:
    at = _behind_space(text, 0)
    if text[at : at + 1] != "{":
        raise ValueError("not an object")
    fields: list[tuple[str, str]] = []
    at = _behind_space(text, at + 1)
    while text[at : at + 1] != "}":
        name, at = _scan(text, at)
        at = _behind_space(text, _behind_space(text, at) + 1)
        _, end = _scan(text, at)
        fields.append((name, _WORD.sub(_quoted, text[at:end])))
        at = _behind_space(text, end)
        if text[at : at + 1] == ",":
            at = _behind_space(text, at + 1)
    return fields


def _behind_space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    assert match is not None
    return match.end()


def _quoted(match: re.Match[str]) -> str:
    return match[0] if match[1] is None else f'"{match[1]}"'
