"""The public keys of an OpenID provider, fetched when they are needed and kept while they are good.

Keys are fetched again when they are older than FRESH, and when a token names a key that is not among them:
providers rotate. Whoever sends tokens with invented key names makes us ask no more than once every COOLDOWN. While
the provider cannot be reached, which is tried again every RETRY, old keys serve until they are older than STALE; a
key that it has withdrawn is gone after FRESH as long as it answers. All in seconds.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from batchpredict.service.access.interface import IdentityUnavailable
from batchpredict.service.options import web_address

FRESH = 600.0
STALE = 24 * 3600.0
COOLDOWN = 30.0
RETRY = 5.0
MAX_KEYS = 100
MAX_BYTES = 1 << 20
TIMEOUT = 5.0

Get = Callable[[str], bytes]
"""Fetches a URL; raises OSError for whatever goes wrong."""

# Which algorithms go with a key: no token chooses how its own signature is to be read (RFC 8725, 3.1). Symmetric
# ones are not among them: what is public can be no shared secret.
_RSA = frozenset(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"))
_CURVES = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}
_MIN_RSA_BITS = 2048


@dataclass(frozen=True)
class Key:
    """A public key.

    Attributes:
      name: its `kid`; "" for none.
      algorithms: with which it may have signed.
      key: as PyJWT takes it.
    """

    name: str
    algorithms: frozenset[str]
    key: Any


def keys_in(document: Any) -> list[Key]:
    """The keys of a JWK Set (RFC 7517) with which signatures can be checked; others are passed over."""
    listed = document.get("keys") if isinstance(document, Mapping) else None
    found = [_key(each) for each in (listed if isinstance(listed, list) else [])[:MAX_KEYS]]
    return [key for key in found if key is not None]


def _key(given: Any) -> Key | None:
    import jwt

    if not isinstance(given, Mapping) or given.get("use", "sig") != "sig":
        return None
    kind = given.get("kty")
    if kind == "RSA":
        algorithms = _RSA
    elif kind == "EC" and given.get("crv") in _CURVES:
        algorithms = frozenset((_CURVES[given["crv"]],))
    elif kind == "OKP" and given.get("crv") == "Ed25519":
        algorithms = frozenset(("EdDSA",))
    else:
        return None
    if given.get("alg") is not None:
        algorithms &= {given["alg"]}
    # A private key that somebody published by mistake signs for whoever read it.
    if not algorithms or "d" in given:
        return None
    try:
        key = jwt.PyJWK(dict(given), algorithm=min(algorithms)).key
    except (jwt.PyJWTError, ValueError, TypeError):
        return None
    if kind == "RSA" and key.key_size < _MIN_RSA_BITS:
        return None
    return Key(str(given.get("kid") or ""), algorithms, key)


class ProviderKeys:
    """The keys of one provider. Used from many threads; one of them fetches, the others go on with what there is.

    Args:
      issuer: its name; its configuration is found below it.
      url: of the keys; "" to find it there.
      get: how to fetch.
      clock: seconds that only rise.
    """

    def __init__(
        self, issuer: str, url: str = "", get: Get | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._issuer = issuer
        self._url = url
        self._get = get or fetch
        self._clock = clock
        self._lock = threading.Lock()
        self._keys: Sequence[Key] = ()
        self._fetched = -STALE
        self._tried = -STALE
        self._failure = ""

    def named(self, name: str) -> list[Key]:
        """The keys that may have signed a token which names one; all of them where it names none.

        Raises:
          IdentityUnavailable: there are none, and they cannot be fetched.
        """
        found, age = self._matching(name), self._clock() - self._fetched
        if age < FRESH and found:
            return found
        self._refresh(wait=age >= STALE or not found)
        if self._clock() - self._fetched >= STALE:
            reason = self._failure or "somebody else is at it"
            raise IdentityUnavailable(f"The keys of {self._issuer} cannot be fetched: {reason}. Try again.")
        return self._matching(name)

    def _matching(self, name: str) -> list[Key]:
        return [key for key in self._keys if not name or key.name == name]

    def _refresh(self, *, wait: bool) -> None:
        """Fetch, unless that was tried just now. `wait`: for another thread that is at it."""
        if not self._lock.acquire(timeout=TIMEOUT if wait else 0):
            return
        try:
            if self._clock() - self._tried < (RETRY if self._failure else COOLDOWN):
                return
            try:
                self._keys, self._failure = self._fetch(), ""
                self._fetched = self._clock()
            except (OSError, ValueError, RecursionError) as error:
                self._failure = str(error)
            self._tried = self._clock()
        finally:
            self._lock.release()

    def _fetch(self) -> list[Key]:
        """Raises OSError, ValueError."""
        url = self._url
        if not url:
            place = f"{self._issuer.rstrip('/')}/.well-known/openid-configuration"
            configuration = json.loads(self._get(place))
            if not isinstance(configuration, dict) or configuration.get("issuer") != self._issuer:
                raise ValueError(f"{place} is not the configuration of this issuer")
            try:
                url = web_address(configuration.get("jwks_uri", ""))
            except ValueError as error:
                raise ValueError(f"{place}: jwks_uri {error}") from error
        keys = keys_in(json.loads(self._get(url)))
        if not keys:
            raise ValueError(f"{url} has no key that signatures can be checked with")
        return keys


def fetch(url: str) -> bytes:
    """The body of a page, at most MAX_BYTES of it, within TIMEOUT of silence and twice that in all."""
    import httpx

    started = time.monotonic()
    body = bytearray()
    try:
        with httpx.stream("GET", url, timeout=TIMEOUT, follow_redirects=False) as response:
            if response.status_code != 200:
                raise OSError(f"{url} answers with status {response.status_code}")
            for piece in response.iter_bytes():
                body += piece
                if len(body) > MAX_BYTES or time.monotonic() - started > 2 * TIMEOUT:
                    raise OSError(f"{url} sends too much, or too slowly")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise OSError(f"{url} cannot be reached: {error}") from error
    return bytes(body)
