"""Pages of list calls: how many items, and the token that leads to the next page.

A token holds where the next page begins and a digest of what was listed. So it is refused with another filter or
parent, instead of leading somewhere that nobody meant. It is opaque, not secret: it opens nothing that the list
itself does not show.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct

from batchpredict.service.rest.errors import wrong

DEFAULT_SIZE = 20  # cmle-behaviour §4.1
MAX_SIZE = 100

_FORM = struct.Struct(">q8s")


def size(given: int | None) -> int:
    """Items of a page. More than MAX_SIZE is MAX_SIZE, and 0 the default, as the service had it.

    Raises:
      Problem: it is negative.
    """
    if given is not None and given < 0:
        raise wrong("page_size", f"Expected 0 to {MAX_SIZE}, got {given}.")
    return min(given or DEFAULT_SIZE, MAX_SIZE)


def token(position: int | None, collection: str, filter: str) -> str:
    """The nextPageToken; "" if there is no next page.

    Args:
      position: where the next page begins, as the store counts.
      collection: what is listed: "projects/p/jobs".
      filter: as it was given.
    """
    if position is None:
        return ""
    packed = _FORM.pack(position, _digest(position, collection, filter))
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def position(token: str, collection: str, filter: str) -> int | None:
    """Where the page of a token begins; None for the first page.

    Raises:
      Problem: it is no token, or one of another list.
    """
    if not token:
        return None
    try:
        found, digest = _FORM.unpack(
            base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        )
    except (binascii.Error, struct.error, ValueError):
        raise wrong("page_token", "This is no page token that the service gave.") from None
    if digest != _digest(found, collection, filter):
        raise wrong("page_token", "This page token belongs to a list with another filter or parent.")
    return int(found)


def _digest(position: int, collection: str, filter: str) -> bytes:
    return hashlib.blake2b(f"{position}\n{collection}\n{filter}".encode(), digest_size=8).digest()
