"""Who calls: nobody is asked on loopback, or a token says it."""

from __future__ import annotations

import hashlib

import pytest
from service.access_support import NOW, provider, rsa_key

from batchpredict.service.access import Caller, Forbidden, Unauthenticated, new_token, sha256_of
from batchpredict.service.access.authentication import Authentication
from batchpredict.service.access.jwks import ProviderKeys
from batchpredict.service.access.oidc import OidcTokens
from batchpredict.service.settings import Settings, Token

# Of the form that `new_token` gives, and the same in each run: they are in the names of tests.
ANN = "bp_" + "a7-Q_" * 8 + "aaa"
CI = "bp_" + "c3-Z_" * 8 + "ccc"
SETTINGS = Settings(
    tokens=(Token("user:ann@x.org", sha256_of(ANN)), Token("serviceAccount:ci@x.org", sha256_of(CI))),
    admins=("user:Ann@X.org",),
)
OPEN = Authentication(Settings())


def refused(headers: dict[str, str], query: dict[str, str] | None = None) -> str:
    with pytest.raises(Unauthenticated) as caught:
        Authentication(SETTINGS).caller(headers, query)
    return str(caught.value)


def test_tokens_are_long_random_and_known_by_their_hash():
    assert len({new_token() for _ in range(100)}) == 100
    assert len(new_token()) == len(ANN)
    assert len(ANN) >= 43
    assert ANN.startswith("bp_")
    assert sha256_of(ANN) == hashlib.sha256(ANN.encode()).hexdigest()


def test_a_static_token_names_its_owner():
    assert Authentication(SETTINGS).caller({"authorization": f"Bearer {CI}"}) == Caller("serviceAccount:ci@x.org")


@pytest.mark.parametrize("header", ["bearer {}", "BEARER {}", "Bearer  {}", "Bearer {} "])
def test_the_scheme_has_no_case(header):
    assert Authentication(SETTINGS).caller({"authorization": header.format(CI)})


def test_an_administrator_is_known_without_regard_to_case():
    assert Authentication(SETTINGS).caller({"authorization": f"Bearer {ANN}"}).administrator


def test_the_query_parameter_is_read_where_there_is_no_header():
    caller = Authentication(SETTINGS).caller({}, {"access_token": CI})
    assert caller.member == "serviceAccount:ci@x.org"
    assert refused({"authorization": "Bearer wrong"}, {"access_token": CI})


@pytest.mark.parametrize(
    ("header", "sentence"),
    [
        (None, "needs a token"),
        ("", "needs a token"),
        ("Bearer ", "needs a token"),
        ("Bearer", "needs a token"),
        (f"Basic {CI}", "of the form 'Bearer TOKEN'"),
        (CI, "of the form 'Bearer TOKEN'"),
        ("Bearer wrong", "not known"),
        (f"Bearer {CI[:-1]}", "not known"),
        (f"Bearer {CI} {CI}", "not known"),
        (f"Bearer {sha256_of(CI)}", "not known"),
        ("Bearer a.b.c", "not known"),
        ("Bearer \udcff\ud800", "not known"),
    ],
)
def test_other_headers_are_refused(header, sentence):
    said = refused({} if header is None else {"authorization": header})
    assert sentence in said
    assert CI not in said


def test_tokens_of_a_provider_and_static_ones_go_together():
    key = rsa_key("k")
    with provider(key) as issuer:
        settings = Settings(tokens=SETTINGS.tokens, oidc=issuer.oidc, admins=("domain:x.org",))
        keys = ProviderKeys(issuer.url)
        both = Authentication(settings, OidcTokens(issuer.oidc, keys, clock=lambda: NOW))
        assert both.caller({"authorization": f"Bearer {CI}"}).member == "serviceAccount:ci@x.org"
        assert not issuer.fetched
        token = issuer.token(key, email="bob@x.org")
        assert both.caller({"authorization": f"Bearer {token}"}) == Caller("user:bob@x.org", administrator=True)
        with pytest.raises(Unauthenticated):
            both.caller({"authorization": "Bearer wrong"})


def test_a_group_of_the_provider_may_be_administrators():
    key = rsa_key("k")
    with provider(key) as issuer:
        settings = Settings(oidc=issuer.oidc, admins=("group:ops",))
        tokens = OidcTokens(
            type(issuer.oidc)(issuer.url, "batchpredict", groups="groups"),
            ProviderKeys(issuer.url),
            clock=lambda: NOW,
        )
        both = Authentication(settings, tokens)
        member = both.caller({"authorization": f"Bearer {issuer.token(key, groups=['ops'])}"})
        assert member == Caller("user:ann@x.org", administrator=True, groups=("group:ops",))
        assert not both.caller({"authorization": f"Bearer {issuer.token(key, groups=['dev'])}"}).administrator


def test_on_loopback_nobody_is_asked():
    assert OPEN.caller({}) == Caller("allUsers", administrator=True)
    assert OPEN.caller({"authorization": "Bearer whatever"}) == Caller("allUsers", administrator=True)


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1:8080", "localhost", "LOCALHOST:1", "[::1]:8080", "console.localhost:8080", "api:8080", "10.0.0.1"],
)
def test_names_that_nobody_elses_page_can_have(host):
    assert OPEN.caller({"host": host})
    assert OPEN.caller({"host": host, "origin": f"http://{host}"})


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "evil.example.", "[x"]
)
def test_a_page_whose_name_has_come_to_mean_this_machine_is_refused(host):
    with pytest.raises(Forbidden, match="answers on this machine only"):
        OPEN.caller({"host": host})


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "null", "http://127.0.0.1:9999", "http://localhost:8080", "", "file://", "http://[x"],
)
def test_a_page_of_another_server_is_refused(origin):
    with pytest.raises(Forbidden, match="pages of other servers"):
        OPEN.caller({"host": "127.0.0.1:8080", "origin": origin})


def test_who_shows_a_token_may_come_from_anywhere():
    headers = {"authorization": f"Bearer {CI}", "host": "jobs.example.org", "origin": "https://pages.example.org"}
    assert Authentication(SETTINGS).caller(headers)
