"""Members of IAM policies: whom a binding gives its role to, and as whom a caller is known.

    user:ann@x.org            one person, or the subject of an OpenID provider
    serviceAccount:ci@x.org   one program
    group:team@x.org          whom the provider's claim of groups names so; only where such a claim is configured
    domain:x.org              every user and service account with an e-mail address of this very domain
    allAuthenticatedUsers     everybody who has shown who they are
    allUsers                  everybody

https://cloud.google.com/iam/docs/reference/rest/v1/Policy#Binding
"""

from __future__ import annotations

import re

EVERYBODY = "allUsers"
AUTHENTICATED = "allAuthenticatedUsers"

MAX_LENGTH = 320
"""Characters of a member, prefix and all: e-mail addresses have at most 254 (RFC 5321), subjects of OpenID 255."""

_PREFIXES = ("user", "serviceAccount", "group", "domain")
_PRINTABLE = re.compile(r"[!-~]+")
_DOMAIN = re.compile(
    r"(?=.{1,253}\Z)([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
)
# ASCII alone: str.lower() makes letters out of other signs (the Kelvin sign becomes "k").
_LOWER = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")


def member_fault(text: str) -> str | None:
    """What is wrong with a member; None if nothing is."""
    if text in (EVERYBODY, AUTHENTICATED):
        return None
    prefix, colon, name = text.partition(":")
    if not colon or prefix not in _PREFIXES:
        kinds = ", ".join(f"{known}:…" for known in _PREFIXES)
        return f"a member is one of {kinds}, {AUTHENTICATED} and {EVERYBODY}."
    if not _PRINTABLE.fullmatch(name) or len(text) > MAX_LENGTH:
        return f"the name behind '{prefix}:' has 1 to {MAX_LENGTH - len(prefix) - 1} visible ASCII characters."
    if prefix == "domain" and not _DOMAIN.fullmatch(name):
        return "the name behind 'domain:' is that of a domain, such as 'example.org'."
    return None


def canonical_member(text: str) -> str:
    """A member by which it is compared: e-mail addresses and domains have no case, subjects of a provider have."""
    prefix, _, name = text.partition(":")
    return f"{prefix}:{name.translate(_LOWER)}" if "@" in name or prefix == "domain" else text


def domain_of(member: str) -> str | None:
    """The domain of a user's or a service account's e-mail address, in lower case; None for whoever has none."""
    prefix, _, name = member.partition(":")
    if prefix not in ("user", "serviceAccount") or "@" not in name:
        return None
    return name.rpartition("@")[2].translate(_LOWER) or None
