"""Who calls: nobody is asked on loopback; or a static token; or a token of an OpenID provider."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from batchpredict.service.access.interface import Caller, Forbidden, Unauthenticated
from batchpredict.service.access.oidc import OidcTokens, looks_like_jwt
from batchpredict.service.access.policies import includes
from batchpredict.service.access.tokens import owner_of
from batchpredict.service.members import EVERYBODY
from batchpredict.service.settings import Settings

_SCHEME = "bearer"


@dataclass(frozen=True)
class Authentication:
    """Finds the caller of a request. Used from many threads."""

    settings: Settings
    oidc: OidcTokens | None = None

    def caller(self, headers: Mapping[str, str], query: Mapping[str, str] | None = None) -> Caller:
        """See `interface.Access`."""
        if self.settings.open:
            _refuse_foreign_pages(headers)
            return Caller(EVERYBODY, administrator=True)
        token = _token(headers, query or {})
        groups: tuple[str, ...] = ()
        member = owner_of(token, self.settings.tokens)
        if member is None:
            if self.oidc is None or not looks_like_jwt(token):
                raise Unauthenticated("The token is not known here.")
            member, groups = self.oidc.who(token)
        caller = Caller(member, groups=groups)
        return Caller(member, includes(self.settings.admins, caller), groups)


def _token(headers: Mapping[str, str], query: Mapping[str, str]) -> str:
    header = headers.get("authorization", "")
    if header:
        scheme, _, token = header.partition(" ")
        if scheme.lower() != _SCHEME:
            raise Unauthenticated("The Authorization header must be of the form 'Bearer TOKEN'.")
    else:
        token = query.get("access_token", "")
    if not token.strip():
        raise Unauthenticated("The request needs a token: Authorization: Bearer TOKEN.")
    return token.strip()


def _refuse_foreign_pages(headers: Mapping[str, str]) -> None:
    """Nobody is asked who they are, so a page of somebody else's in a browser of this machine could call as well.

    One that calls 127.0.0.1 is known by its Origin. One whose own name has come to mean 127.0.0.1 since it was
    loaded is known by the Host, which is that name; a name without a dot, or an address, cannot be somebody else's.
    """
    host = headers.get("host", "")
    name = _hostname(host)
    if "." in name.rstrip(".") and not _is_address(name) and not name.endswith(".localhost"):
        raise Forbidden(
            "This service asks nobody who they are, so it answers on this machine only, "
            f"and not to the name '{name}': configure [[access.tokens]] or [access.oidc]."
        )
    origin = headers.get("origin")
    if origin is not None and origin.lower() not in (f"http://{host}".lower(), f"https://{host}".lower()):
        raise Forbidden("This service asks nobody who they are, so it does not answer to pages of other servers.")


def _hostname(host: str) -> str:
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return "not.a.name"


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
