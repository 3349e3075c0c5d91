"""Who sent a token of an OpenID provider: a JWT (RFC 7519), checked as RFC 8725 recommends."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

from batchpredict.service.access.interface import Unauthenticated
from batchpredict.service.access.jwks import ProviderKeys
from batchpredict.service.members import member_fault
from batchpredict.service.settings import Oidc

LEEWAY = 30.0
"""Seconds by which the provider's clock may differ from ours."""

MAX_LENGTH = 16 << 10
"""Characters of a token; those with a hundred groups have about 8,000."""

MAX_GROUPS = 1000

# Google's own service accounts are told from people by their addresses.
_SERVICE_ACCOUNT = ".gserviceaccount.com"


def looks_like_jwt(token: str) -> bool:
    return token.count(".") == 2


class OidcTokens:
    """Checks tokens. Used from many threads."""

    def __init__(self, oidc: Oidc, keys: ProviderKeys, clock: Callable[[], float] = time.time) -> None:
        self._oidc = oidc
        self._keys = keys
        self._clock = clock

    def who(self, token: str) -> tuple[str, tuple[str, ...]]:
        """The member that a token is of, and its groups.

        Raises:
          Unauthenticated: it is no token of this provider for this service, or not now.
          IdentityUnavailable: the provider's keys cannot be had.
        """
        claims = self._claims(token)
        self._check_times(claims)
        name = claims.get(self._oidc.claim)
        if not isinstance(name, str) or not name:
            raise Unauthenticated(f"The token has no claim '{self._oidc.claim}', which says who calls.")
        if self._oidc.claim == "email" and claims.get("email_verified") not in (True, "true"):
            raise Unauthenticated("The e-mail address in the token is not verified by its provider.")
        prefix = "serviceAccount" if "@" in name and name.endswith(_SERVICE_ACCOUNT) else "user"
        member = f"{prefix}:{name}"
        if member_fault(member):
            raise Unauthenticated(f"The claim '{self._oidc.claim}' of the token cannot be the name of a caller.")
        return member, self._groups(claims)

    def _claims(self, token: str) -> Mapping[str, Any]:
        """What a token says, after its signature, issuer and audience were checked."""
        import jwt

        if len(token) > MAX_LENGTH:
            raise Unauthenticated(f"The token has more than {MAX_LENGTH} characters.")
        try:
            header = jwt.get_unverified_header(token)
        except (jwt.PyJWTError, ValueError, RecursionError) as error:
            raise Unauthenticated("The token is not a JWT.") from error
        algorithm, name = str(header.get("alg")), str(header.get("kid") or "")
        candidates = [key for key in self._keys.named(name) if algorithm in key.algorithms]
        if not candidates:
            raise Unauthenticated("The token is not signed with a key of its provider.")
        reason = ""
        for key in candidates:
            try:
                return jwt.decode(
                    token,
                    key.key,
                    algorithms=[algorithm],
                    audience=self._oidc.audience,
                    issuer=self._oidc.issuer,
                    # Times are checked by our own clock.
                    options={
                        "require": ["exp", "iss", "aud"],
                        "verify_exp": False,
                        "verify_nbf": False,
                        "verify_iat": False,
                        "verify_sub": False,
                        "verify_jti": False,
                    },
                )
            except jwt.InvalidIssuerError:
                reason = "The token is of another issuer."
            except jwt.InvalidAudienceError:
                reason = "The token is for another audience."
            except jwt.MissingRequiredClaimError as error:
                reason = f"The token has no claim '{error.claim}'."
            except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
                reason = reason or "The signature of the token is wrong."
        raise Unauthenticated(reason)

    def _check_times(self, claims: Mapping[str, Any]) -> None:
        now = self._clock()
        times = {name: _seconds(claims, name) for name in ("exp", "nbf", "iat")}
        if times["exp"] is None or now >= times["exp"] + LEEWAY:
            raise Unauthenticated("The token has expired.")
        for name in ("nbf", "iat"):
            if (times[name] or 0) > now + LEEWAY:
                raise Unauthenticated("The token is not valid yet.")

    def _groups(self, claims: Mapping[str, Any]) -> tuple[str, ...]:
        listed = claims.get(self._oidc.groups) if self._oidc.groups else None
        names = [listed] if isinstance(listed, str) else listed if isinstance(listed, list) else []
        members = [f"group:{name}" for name in names[:MAX_GROUPS] if isinstance(name, str)]
        return tuple(member for member in members if member_fault(member) is None)


def _seconds(claims: Mapping[str, Any], name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise Unauthenticated(f"The claim '{name}' of the token is no time.")
    return value
