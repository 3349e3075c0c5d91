"""Tokens of an OpenID provider: which are believed, and what happens when its keys change or cannot be had."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import RSAAlgorithm
from service.access_support import (
    AUDIENCE,
    NOW,
    Provider,
    SigningKey,
    ec_key,
    ed_key,
    provider,
    rsa_key,
    unsigned,
)

from batchpredict.service.access.interface import IdentityUnavailable, Unauthenticated
from batchpredict.service.access.jwks import COOLDOWN, FRESH, MAX_BYTES, RETRY, STALE, ProviderKeys, keys_in
from batchpredict.service.access.oidc import LEEWAY, MAX_LENGTH, OidcTokens
from batchpredict.service.settings import Oidc

RSA = rsa_key("r1")
EC = ec_key("e1")
OTHER = rsa_key("r1")


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def issuer() -> Iterator[Provider]:
    with provider(RSA, EC) as served:
        yield served


def tokens(issuer: Provider, clock: Clock | None = None, **changes: Any) -> OidcTokens:
    oidc = replace(issuer.oidc, **changes)
    keys = ProviderKeys(oidc.issuer, oidc.jwks, clock=clock or Clock())
    return OidcTokens(oidc, keys, clock=lambda: NOW)


def refused(checks: OidcTokens, token: str) -> str:
    with pytest.raises(Unauthenticated) as caught:
        checks.who(token)
    return str(caught.value)


@pytest.mark.parametrize("key", [RSA, EC, ed_key("d1"), rsa_key("p1", "PS256")], ids=lambda key: key.algorithm)
def test_a_good_token_names_its_caller(key: SigningKey):
    with provider(key) as issuer:
        assert tokens(issuer).who(issuer.token(key)) == ("user:ann@x.org", ())


def test_the_keys_may_be_at_a_place_of_their_own(issuer):
    assert tokens(issuer, jwks=f"{issuer.url}/keys").who(issuer.token(RSA))
    assert issuer.fetched == ["/keys"]


def test_a_caller_is_named_by_the_claim_that_is_configured(issuer):
    assert tokens(issuer, claim="sub").who(issuer.token(RSA))[0] == "user:17"


def test_a_service_account_of_google_is_told_from_a_person(issuer):
    token = issuer.token(RSA, email="ci@p.iam.gserviceaccount.com")
    assert tokens(issuer).who(token)[0] == "serviceAccount:ci@p.iam.gserviceaccount.com"


def test_groups_are_those_of_the_claim_that_is_configured(issuer):
    token = issuer.token(RSA, groups=["ops@x.org", "a b", 7, "dev"])
    assert tokens(issuer, groups="groups").who(token)[1] == ("group:ops@x.org", "group:dev")
    assert tokens(issuer).who(token)[1] == ()


CLAIMS = [
    ({"exp": NOW - LEEWAY}, "has expired"),
    ({"exp": None}, "no claim 'exp'"),
    ({"exp": "soon"}, "claim 'exp' of the token is no time"),
    ({"exp": True}, "claim 'exp' of the token is no time"),
    ({"exp": float("inf")}, "claim 'exp' of the token is no time"),
    ({"nbf": NOW + LEEWAY + 1}, "not valid yet"),
    ({"iat": NOW + LEEWAY + 1}, "not valid yet"),
    ({"aud": "another"}, "another audience"),
    ({"aud": ["another", "third"]}, "another audience"),
    ({"aud": None}, "no claim 'aud'"),
    ({"aud": AUDIENCE.upper()}, "another audience"),
    ({"iss": "https://evil.example"}, "another issuer"),
    ({"iss": None}, "no claim 'iss'"),
    ({"email": None}, "no claim 'email'"),
    ({"email": ""}, "no claim 'email'"),
    ({"email": ["ann@x.org"]}, "no claim 'email'"),
    ({"email": "ann@x.org\n"}, "cannot be the name of a caller"),
    ({"email": "an\u212a@x.org"}, "cannot be the name of a caller"),
    ({"email_verified": False}, "not verified"),
    ({"email_verified": None}, "not verified"),
    ({"email_verified": "false"}, "not verified"),
]


@pytest.mark.parametrize(("claims", "sentence"), CLAIMS, ids=[str(case[0]) for case in CLAIMS])
def test_a_token_with_a_wrong_claim_is_refused(issuer, claims, sentence):
    assert sentence in refused(tokens(issuer), issuer.token(RSA, **claims))


def test_clocks_may_differ_by_the_leeway(issuer):
    checks = tokens(issuer)
    assert checks.who(issuer.token(RSA, exp=NOW - LEEWAY + 1))
    assert checks.who(issuer.token(RSA, nbf=NOW + LEEWAY, iat=NOW + LEEWAY))


def test_one_of_several_audiences_is_enough(issuer):
    assert tokens(issuer).who(issuer.token(RSA, aud=["another", AUDIENCE]))


def claims_of(issuer: Provider) -> dict[str, Any]:
    return {"iss": issuer.url, "aud": AUDIENCE, "exp": NOW + 3600, "email": "eve@x.org"}


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "", None, ["RS256"], 7])
def test_a_token_without_a_signature_is_refused(issuer, algorithm):
    token = unsigned(claims_of(issuer), {"alg": algorithm, "kid": "r1", "typ": "JWT"})
    assert refused(tokens(issuer), token)


@pytest.mark.parametrize("secret", ["pem", "jwk", "kid"])
def test_a_public_key_is_no_shared_secret(issuer, secret):
    """HS256 with what everybody can read as the key: the classic confusion."""
    key = {"pem": RSA.pem, "jwk": json.dumps(RSA.jwk).encode(), "kid": b"r1"}[secret]
    bare = unsigned(claims_of(issuer), {"alg": "HS256", "kid": "r1", "typ": "JWT"}).rpartition(".")[0]
    mac = hmac.new(key, bare.encode(), hashlib.sha256).digest()
    token = f"{bare}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"
    assert refused(tokens(issuer), token) == "The token is not signed with a key of its provider."


def test_a_symmetric_key_that_a_provider_publishes_is_no_key(issuer):
    issuer.keys.append(
        {"kty": "oct", "k": base64.urlsafe_b64encode(b"k" * 32).decode(), "kid": "o1", "alg": "HS256"}
    )
    bare = unsigned(claims_of(issuer), {"alg": "HS256", "kid": "o1"}).rpartition(".")[0]
    mac = hmac.new(b"k" * 32, bare.encode(), hashlib.sha256).digest()
    assert refused(tokens(issuer), f"{bare}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}")


def test_a_key_of_the_same_name_that_is_somebody_elses(issuer):
    assert refused(tokens(issuer), issuer.token(OTHER)) == "The signature of the token is wrong."


def test_a_key_that_the_token_brings_along_is_not_looked_at(issuer):
    evil = rsa_key("evil")
    brought = {"jwk": evil.jwk, "jku": f"{issuer.url}/evil", "x5u": f"{issuer.url}/evil"}
    assert refused(tokens(issuer), issuer.token(evil, headers=brought))
    assert refused(tokens(issuer), issuer.token(replace(evil, name="r1"), headers=brought))
    assert not any("evil" in path for path in issuer.fetched)


def test_an_algorithm_that_is_not_the_keys_is_refused(issuer):
    assert refused(tokens(issuer), issuer.token(replace(RSA, algorithm="RS512")))
    assert refused(tokens(issuer), issuer.token(replace(RSA, name="e1")))


def test_a_token_that_was_changed_is_refused(issuer):
    header, _, signature = issuer.token(RSA).split(".")
    changed = unsigned({**claims_of(issuer), "email": "root@x.org"}, {}).split(".")[1]
    assert refused(tokens(issuer), f"{header}.{changed}.{signature}") == "The signature of the token is wrong."


def test_extensions_that_must_be_understood_are_refused(issuer):
    assert refused(tokens(issuer), issuer.token(RSA, headers={"crit": ["exp"], "exp": 1}))


@pytest.mark.parametrize(
    "given", [{"use": "enc"}, {"d": "AQAB"}, {"kty": "XYZ"}, {"n": "!"}, {"alg": "HS256"}, {"n": None}]
)
def test_keys_that_are_not_for_signatures_are_passed_over(given):
    assert keys_in({"keys": [{**RSA.jwk, **given}, "text", None, EC.jwk]}) == keys_in({"keys": [EC.jwk]}) != []


def test_a_private_key_that_was_published_is_passed_over():
    published = json.loads(RSAAlgorithm.to_jwk(RSA.private))
    assert keys_in({"keys": [{**RSA.jwk, **published}]}) == []


def test_a_key_that_is_too_short_is_passed_over():
    assert keys_in({"keys": [rsa_key("short", bits=1024).jwk]}) == []


@pytest.mark.parametrize("document", [None, [], {}, {"keys": None}, {"keys": {}}, "x"])
def test_what_is_no_set_of_keys_has_none(document):
    assert keys_in(document) == []


def test_keys_are_fetched_once_and_kept(issuer):
    checks = tokens(issuer)
    for _ in range(3):
        checks.who(issuer.token(RSA))
    assert issuer.fetched == ["/.well-known/openid-configuration", "/keys"]


def test_a_rotated_key_is_found_when_a_token_names_it(issuer, clock):
    checks = tokens(issuer, clock)
    checks.who(issuer.token(RSA))
    new = rsa_key("r2")
    issuer.keys = [new.jwk]
    clock.now += COOLDOWN
    assert checks.who(issuer.token(new))
    assert refused(checks, issuer.token(RSA))


def test_a_withdrawn_key_is_believed_no_longer_than_keys_are_fresh(issuer, clock):
    checks = tokens(issuer, clock)
    checks.who(issuer.token(RSA))
    issuer.keys = [EC.jwk]
    clock.now += FRESH - 1
    assert checks.who(issuer.token(RSA))
    clock.now += 1
    assert refused(checks, issuer.token(RSA))


def test_invented_key_names_do_not_make_us_ask_again_and_again(issuer, clock):
    checks = tokens(issuer, clock)
    for number in range(20):
        assert refused(checks, issuer.token(replace(OTHER, name=f"invented{number}")))
    assert issuer.fetched.count("/keys") == 1
    clock.now += COOLDOWN
    refused(checks, issuer.token(replace(OTHER, name="invented")))
    assert issuer.fetched.count("/keys") == 2


def test_a_provider_that_is_down_from_the_start_is_not_the_callers_fault(issuer, clock):
    checks = tokens(issuer, clock)
    issuer.status = 500
    with pytest.raises(IdentityUnavailable, match="answers with status 500"):
        checks.who(issuer.token(RSA))
    issuer.status = 200
    with pytest.raises(IdentityUnavailable):
        checks.who(issuer.token(RSA))
    assert len(issuer.fetched) == 1
    clock.now += RETRY
    assert checks.who(issuer.token(RSA))


def test_known_keys_serve_while_a_provider_is_down_but_not_for_ever(issuer, clock):
    checks = tokens(issuer, clock)
    checks.who(issuer.token(RSA))
    issuer.status = 500
    clock.now += STALE - 1
    assert checks.who(issuer.token(RSA))
    clock.now += RETRY
    with pytest.raises(IdentityUnavailable):
        checks.who(issuer.token(RSA))


@pytest.mark.parametrize(
    ("status", "body", "sentence"),
    [
        (302, None, "answers with status 302"),
        (200, b"x", "Expecting value"),
        (200, b'{"issuer": "https://evil.example"}', "not the configuration of this issuer"),
        (200, b" " * (MAX_BYTES + 1), "sends too much"),
        (200, b"[" * 100_000, "recursion"),
    ],
    ids=["redirect", "no JSON", "another issuer", "too long", "too deep"],
)
def test_what_is_no_configuration_is_said(issuer, status, body, sentence):
    issuer.status, issuer.body = status, body
    with pytest.raises(IdentityUnavailable, match=sentence):
        tokens(issuer).who(issuer.token(RSA))
    assert "/elsewhere" not in issuer.fetched


def test_keys_are_not_fetched_from_a_place_where_others_listen_in():
    def get(url: str) -> bytes:
        assert url == "https://x.org/.well-known/openid-configuration"
        return json.dumps({"issuer": "https://x.org", "jwks_uri": "http://x.org/keys"}).encode()

    keys = ProviderKeys("https://x.org", get=get, clock=Clock())
    with pytest.raises(IdentityUnavailable, match="jwks_uri begins with https://"):
        keys.named("r1")


@pytest.mark.parametrize(
    "text", ["", ".", "..", "a.b.c", "eyJ.eyJ.x", "a" * (MAX_LENGTH + 1), "é.é.é", "\ud800.a.b"]
)
def test_what_is_no_token_is_refused(issuer, text):
    assert refused(tokens(issuer), text)


def test_a_header_that_is_nested_too_deeply_is_no_token(issuer):
    header = base64.urlsafe_b64encode(b"[" * 11_000).decode().rstrip("=")
    assert refused(tokens(issuer), f"{header}.e30.")


KEYS = ProviderKeys(
    "https://x.org", "https://x.org/keys", lambda _: json.dumps({"keys": [RSA.jwk, EC.jwk]}).encode()
)
CHECKS = OidcTokens(Oidc("https://x.org", AUDIENCE), KEYS, clock=lambda: NOW)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
HEADERS = st.fixed_dictionaries(
    {"alg": st.sampled_from(["RS256", "ES256", "none", "HS256"]) | JSON},
    optional={"kid": st.sampled_from(["r1", "e1"]) | JSON, "crit": JSON, "b64": JSON, "typ": JSON},
)


@given(HEADERS, st.dictionaries(st.sampled_from(["iss", "aud", "exp", "email"]), JSON), st.binary(max_size=80))
def test_no_token_without_a_private_key_is_believed(header, claims, signature):
    with pytest.raises(Unauthenticated):
        CHECKS.who(unsigned(claims, header, signature))


@given(st.text(max_size=80))
def test_any_text_is_refused_and_nothing_worse(text):
    with pytest.raises(Unauthenticated):
        CHECKS.who(text)
