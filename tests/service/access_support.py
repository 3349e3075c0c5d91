"""An OpenID provider on this machine, with keys of its own."""

from __future__ import annotations

import base64
import contextlib
import json
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from batchpredict.service.settings import Oidc

AUDIENCE = "batchpredict"
NOW = 1_800_000_000.0


@dataclass(frozen=True)
class SigningKey:
    """A private key, its name and the algorithm that it signs with."""

    name: str
    algorithm: str
    private: Any

    @property
    def jwk(self) -> dict[str, Any]:
        kinds: dict[str, Any] = {"R": RSAAlgorithm, "P": RSAAlgorithm, "E": ECAlgorithm}
        kind = OKPAlgorithm if self.algorithm == "EdDSA" else kinds[self.algorithm[0]]
        public = json.loads(kind.to_jwk(self.private.public_key()))
        return {**public, "kid": self.name, "use": "sig", "alg": self.algorithm}

    @property
    def pem(self) -> bytes:
        """The public key as everybody may have it."""
        return bytes(
            self.private.public_key().public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        )


def rsa_key(name: str, algorithm: str = "RS256", bits: int = 2048) -> SigningKey:
    return SigningKey(name, algorithm, rsa.generate_private_key(public_exponent=65537, key_size=bits))


def ec_key(name: str) -> SigningKey:
    return SigningKey(name, "ES256", ec.generate_private_key(ec.SECP256R1()))


def ed_key(name: str) -> SigningKey:
    return SigningKey(name, "EdDSA", ed25519.Ed25519PrivateKey.generate())


@dataclass
class Provider:
    """What the provider publishes, and which pages were fetched."""

    url: str
    keys: list[dict[str, Any]] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)
    status: int = 200
    body: bytes | None = None

    @property
    def oidc(self) -> Oidc:
        return Oidc(self.url, AUDIENCE)

    def token(self, key: SigningKey, *, headers: dict[str, Any] | None = None, **claims: Any) -> str:
        """A token of ann's that is good for an hour, unless claims say otherwise; None leaves one out."""
        told = {
            "iss": self.url,
            "aud": AUDIENCE,
            "exp": NOW + 3600,
            "iat": NOW,
            "sub": "17",
            "email": "ann@x.org",
            "email_verified": True,
            **claims,
        }
        told = {name: value for name, value in told.items() if value is not None}
        return jwt.encode(told, key.private, key.algorithm, headers={"kid": key.name, **(headers or {})})


def unsigned(claims: dict[str, Any], header: dict[str, Any], signature: bytes = b"") -> str:
    """A token put together by hand."""
    parts: Sequence[bytes] = (json.dumps(header).encode(), json.dumps(claims).encode(), signature)
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


@contextlib.contextmanager
def provider(*keys: SigningKey) -> Iterator[Provider]:
    """A provider that answers until the end."""

    class Pages(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.fetched.append(self.path)
            document: dict[str, Any] = {"keys": served.keys}
            if self.path.endswith("openid-configuration"):
                document = {"issuer": served.url, "jwks_uri": f"{served.url}/keys"}
            body = json.dumps(document).encode() if served.body is None else served.body
            self.send_response(served.status)
            self.send_header("location", f"{served.url}/elsewhere")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Pages) as server:
        served = Provider(f"http://127.0.0.1:{server.server_address[1]}", [key.jwk for key in keys])
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield served
        finally:
            server.shutdown()
            thread.join()
