"""Static tokens: made once, shown once, known here by their SHA-256 only."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Sequence

from batchpredict.service.settings import Token

PREFIX = "bp_"
"""What every token of ours begins with, so that scanners for leaked secrets can find one."""


def new_token() -> str:
    """A token of 256 random bits: no hash of it can be searched, so one without salt is enough."""
    return PREFIX + secrets.token_urlsafe(32)


def sha256_of(token: str) -> str:
    """What is configured of a token: its SHA-256 in hexadecimal."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def owner_of(token: str, known: Sequence[Token]) -> str | None:
    """Whose a token is; None for one that is not known. Takes as long for one as for the other."""
    digest = sha256_of(token)
    owner = None
    for each in known:
        if hmac.compare_digest(digest, each.sha256):
            owner = each.member
    return owner
