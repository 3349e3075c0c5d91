"""The signature of a webhook, as https://github.com/standard-webhooks/standard-webhooks has it.

    webhook-id: 17
    webhook-timestamp: 1511611200
    webhook-signature: v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=

The signature is the HMAC-SHA256 of `ID.TIMESTAMP.BODY` in base64. There is one for each key, with blanks between,
so that a key can be changed without a moment at which its receivers know none of them.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence

from batchpredict.errors import BatchPredictError, WrongCall

TOLERANCE = 300.0
"""Seconds by which a receiver lets a timestamp differ from its own clock: longer than a request is on its way."""

MIN_KEY = 16
"""Bytes of a key: fewer than 128 bits can be found by trying."""

_PREFIX = "whsec_"


class BadSignature(BatchPredictError):
    """A request that the service has not sent, or not now."""


def read_keys(file: str) -> tuple[bytes, ...]:
    """The keys in a file, one a line, the newest first: any text, or `whsec_` and the key in base64.

    Raises:
      WrongCall: it cannot be read, or a key is too short.
    """
    place = f"--webhook-secret-file: '{file}'"
    try:
        with open(file, "rb") as source:
            lines = [line.strip() for line in source.read().splitlines() if line.strip()]
    except OSError as error:
        raise WrongCall(f"{place} cannot be read: {error.strerror}") from error
    try:
        keys = tuple(_key(line) for line in lines)
    except (binascii.Error, ValueError) as error:
        raise WrongCall(f"{place} has a key that begins with {_PREFIX} and is no base64") from error
    if not keys or min(map(len, keys)) < MIN_KEY:
        raise WrongCall(f"{place} must have keys of at least {MIN_KEY} bytes, one a line")
    return keys


def _key(line: bytes) -> bytes:
    prefix = _PREFIX.encode()
    return base64.b64decode(line[len(prefix) :], validate=True) if line.startswith(prefix) else line


def sign(keys: Sequence[bytes], number: str, timestamp: int, body: bytes) -> str:
    """The value of `webhook-signature`."""
    return " ".join(f"v1,{_mac(key, number, timestamp, body)}" for key in keys)


def verify(key: bytes, headers: Mapping[str, str], body: bytes, now: float, tolerance: float = TOLERANCE) -> None:
    """Check a request as its receiver does.

    Args:
      headers: with names in lower case.
      now: seconds since 1970.

    Raises:
      BadSignature: no signature is that of the key, or the timestamp is not of now.
    """
    try:
        timestamp = int(headers["webhook-timestamp"])
        number, given = headers["webhook-id"], headers["webhook-signature"].split(" ")
    except (KeyError, ValueError) as error:
        raise BadSignature("The request lacks a header of its signature.") from error
    if abs(now - timestamp) > tolerance:
        raise BadSignature("The request is too old, or of the future.")
    expected = f"v1,{_mac(key, number, timestamp, body)}".encode()
    if not any(hmac.compare_digest(expected, each.encode("utf-8", "replace")) for each in given):
        raise BadSignature("The request is signed with another key, or was changed.")


def _mac(key: bytes, number: str, timestamp: int, body: bytes) -> str:
    content = b".".join((number.encode("utf-8", "replace"), str(timestamp).encode(), body))
    return base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
