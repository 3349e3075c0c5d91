"""Who gets in, what they see, and which forms are taken."""

from __future__ import annotations

import asyncio
import re
from http.cookies import SimpleCookie

import httpx
import pytest
from fastapi import FastAPI
from service.console_support import ANN, BOB, EVE, PROJECT, World, form_token, origin

from batchpredict.job import State
from batchpredict.service.console.entrance import local_target

JOBS = f"/console/projects/{PROJECT}/jobs"
WATCHES = f"/console/projects/{PROJECT}/watches"

PAGES = [
    "/console",
    JOBS,
    f"{JOBS}/night",
    f"{JOBS}/night/errors",
    f"{JOBS}/night/log",
    f"{JOBS}/night/cancel",
    f"/console/projects/{PROJECT}/submit",
    f"/console/projects/{PROJECT}/submit?from=night",
    f"/console/projects/{PROJECT}/models",
    WATCHES,
    f"{WATCHES}/nightly",
    f"{WATCHES}/nightly/delete",
]


def cookies_of(answer: httpx.Response) -> SimpleCookie:
    found = SimpleCookie()
    for header in answer.headers.get_list("set-cookie"):
        found.load(header)
    return found


@pytest.mark.parametrize("path", ["/", "/console/"])
def test_the_root_leads_to_the_console(open_shop, path):
    answer = open_shop.client().get(path)
    assert (answer.status_code, answer.headers["location"]) == (303, "/console")


@pytest.mark.parametrize("path", PAGES)
def test_a_page_without_a_token_leads_to_the_sign_in_page_and_back(shop, path):
    shop.job("night")
    shop.watch("nightly")
    answer = shop.client().get(path)
    assert answer.status_code == 303
    signing = shop.client().get(answer.headers["location"])
    assert f'name="next" value="{path.replace("&", "&amp;")}"' in signing.text


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_there_for_a_token_in_the_header(shop, path):
    shop.job("night")
    shop.watch("nightly")
    assert shop.client(ANN).get(path).status_code == 200


def test_the_script_is_told_that_nobody_is_signed_in(shop):
    answer = shop.client().get(JOBS, headers={"x-requested-with": "console"})
    assert answer.status_code == 401


def test_a_sign_in_sets_a_cookie_that_no_script_and_no_other_site_gets(shop):
    client = shop.client()
    page = client.get("/console/sign-in")
    fields = {"token": ANN, "next": JOBS, "form_token": form_token(page)}
    answer = client.post("/console/sign-in", data=fields, headers=origin(shop.url))
    assert (answer.status_code, answer.headers["location"]) == (303, JOBS)
    cookie = cookies_of(answer)["batchpredict-token"]
    assert (cookie.value, cookie["httponly"], cookie["samesite"], cookie["path"]) == (
        ANN,
        True,
        "strict",
        "/console",
    )
    assert not cookie["secure"]
    assert client.get(JOBS).status_code == 200


async def over_tls(app: FastAPI) -> httpx.Response:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="https://jobs.example.org") as client:
        page = await client.get("/console/sign-in")
        fields = {"token": ANN, "next": "/console", "form_token": form_token(page)}
        return await client.post("/console/sign-in", data=fields, headers=origin("https://jobs.example.org"))


def test_under_tls_the_cookie_goes_over_tls_only(shop):
    cookie = cookies_of(asyncio.run(over_tls(shop.app)))["__Secure-batchpredict-token"]
    assert (cookie.value, cookie["secure"], cookie["httponly"]) == (ANN, True, True)


@pytest.mark.parametrize("token", ["wrong", "", "x" * 5000, "näh", "a b", "a\r\nset-cookie: x=y"])
def test_a_token_that_nobody_has_is_said_to_be_so_at_its_field(shop, token):
    client = shop.client()
    page = client.get("/console/sign-in")
    fields = {"token": token, "form_token": form_token(page)}
    answer = client.post("/console/sign-in", data=fields, headers=origin(shop.url))
    assert answer.status_code == 401
    assert 'aria-invalid="true"' in answer.text
    assert "token-fault" in answer.text
    assert "batchpredict-token" not in cookies_of(answer)


def test_after_signing_out_the_pages_are_closed(shop):
    client = shop.signed_in(ANN)
    page = client.get(JOBS)
    assert "user:ann@x.org" in page.text
    answer = client.post("/console/sign-out", data={"form_token": form_token(page)}, headers=origin(shop.url))
    assert answer.url.path == "/console/sign-in"
    assert client.get(JOBS).url.path == "/console/sign-in"


@pytest.mark.parametrize(
    "target",
    [
        "//evil.org",
        "https://evil.org",
        "/console/../v1",
        "/\\evil.org",
        "/consoles",
        "/console/sign-in",
        "",
        "/console\n",
    ],
)
def test_a_sign_in_goes_on_to_pages_of_the_console_only(target):
    assert local_target(target) == "/console"


def test_a_sign_in_goes_on_to_the_page_that_was_asked_for():
    assert local_target(f"{JOBS}?filter=a%3Db") == f"{JOBS}?filter=a%3Db"


# What they see ------------------------------------------------------------------------------------------------


def test_who_looks_on_sees_jobs_and_no_way_to_change_them(shop):
    shop.job("night")
    page = shop.client(BOB).get(f"{JOBS}/night")
    assert page.status_code == 200
    assert "Cancel job" not in page.text
    assert "Submit again" not in page.text
    assert shop.client(BOB).get(f"{JOBS}/night/cancel").status_code == 403
    assert shop.client(BOB).get(f"/console/projects/{PROJECT}/submit").status_code == 403


@pytest.mark.parametrize("path", ["", "/errors", "/log", "/cancel"])
def test_a_job_that_one_may_not_see_looks_as_one_that_is_not_there(shop, path):
    shop.job("night")
    eve = shop.client(EVE)
    hidden, missing = eve.get(f"{JOBS}/night{path}"), eve.get(f"{JOBS}/nothing{path}")
    assert hidden.status_code == missing.status_code == 404
    assert hidden.text == missing.text
    assert shop.client(ANN).get(f"{JOBS}/nothing{path}").status_code == 404


def test_a_project_that_one_may_not_list_is_refused(shop):
    shop.job("night")
    assert shop.client(EVE).get(JOBS).status_code == 403
    assert shop.client(EVE).get(f"/console/projects/{PROJECT}/models").status_code == 403
    assert f"/projects/{PROJECT}/jobs" not in shop.client(EVE).get("/console").text
    assert f"/projects/{PROJECT}/jobs" in shop.client(BOB).get("/console").text


def test_the_creator_of_a_job_may_see_and_cancel_it(shop):
    shop.job("mine", creator="user:eve@x.org")
    page = shop.client(EVE).get(f"{JOBS}/mine")
    assert page.status_code == 200
    assert "Cancel job" in page.text


def test_the_api_does_not_get_the_cookie(shop):
    client = shop.signed_in(ANN)
    assert {cookie.path for cookie in client.cookies.jar} == {"/console"}


# Forms --------------------------------------------------------------------------------------------------------


def cancel(shop: World, client: httpx.Client, token: str, **headers: str) -> httpx.Response:
    answer = client.post(
        f"{JOBS}/night/cancel", data={"form_token": token}, headers=headers, follow_redirects=False
    )
    cancelled = shop.store.job(PROJECT, "night").standing.state is State.CANCELLED
    assert cancelled == (answer.status_code == 303)
    return answer


@pytest.fixture
def night(shop: World) -> World:
    shop.job("night")
    return shop


def test_a_form_of_our_own_page_is_taken(night):
    client = night.signed_in(ANN)
    token = form_token(client.get(f"{JOBS}/night/cancel"))
    assert cancel(night, client, token, origin=night.url).status_code == 303


def test_a_browser_that_says_the_site_is_believed_about_it(night):
    client = night.signed_in(ANN)
    token = form_token(client.get(f"{JOBS}/night/cancel"))
    for site in ("cross-site", "same-site", "none"):
        assert cancel(night, client, token, **{"sec-fetch-site": site, "origin": night.url}).status_code == 403
    assert cancel(night, client, token, **{"sec-fetch-site": "same-origin"}).status_code == 303


@pytest.mark.parametrize(
    "sent_from", ["http://evil.org", "null", "", "http://127.0.0.1", "http://127.0.0.1.evil.org"]
)
def test_a_form_of_another_origin_is_refused(night, sent_from):
    client = night.signed_in(ANN)
    token = form_token(client.get(f"{JOBS}/night/cancel"))
    headers = {"origin": sent_from} if sent_from else {}
    assert cancel(night, client, token, **headers).status_code == 403


def test_a_form_without_the_token_of_its_page_is_refused(night):
    client = night.signed_in(ANN)
    client.get(f"{JOBS}/night/cancel")
    for token in ("", "0" * 64, "é"):
        assert cancel(night, client, token, origin=night.url).status_code == 403


def test_the_token_of_another_session_is_refused(night):
    client, other = night.signed_in(ANN), night.signed_in(ANN)
    token = form_token(other.get(f"{JOBS}/night/cancel"))
    assert cancel(night, client, token, origin=night.url).status_code == 403


def test_the_token_of_another_person_is_refused_with_the_same_key(night):
    client = night.signed_in(BOB)
    token = form_token(client.get(JOBS))
    client.cookies.set("batchpredict-token", ANN, path="/console", domain="127.0.0.1")
    assert cancel(night, client, token, origin=night.url).status_code == 403


def test_a_body_that_is_no_form_is_refused(night):
    client = night.signed_in(ANN)
    answer = client.post(f"{JOBS}/night/cancel", json={"form_token": "x"}, headers=origin(night.url))
    assert answer.status_code == 403


def test_a_form_of_any_size_does_not_fill_the_memory(night):
    client = night.signed_in(ANN)
    headers = {**origin(night.url), "content-type": "application/x-www-form-urlencoded"}
    answer = client.post(f"{JOBS}/night/cancel", content=b"a=" + b"x" * (13 << 20), headers=headers)
    assert answer.status_code == 403
    answer = client.post(f"{JOBS}/night/cancel", content=b"&".join([b"a=b"] * 1000), headers=headers)
    assert answer.status_code == 403


def test_who_may_not_cancel_cannot_with_a_form_of_his_own(night):
    client = night.signed_in(BOB)
    token = form_token(client.get(JOBS))
    assert cancel(night, client, token, origin=night.url).status_code == 403


def test_where_nobody_is_asked_other_names_of_this_machine_are_refused(open_shop):
    answer = open_shop.client().get(JOBS, headers={"host": "evil.example.org"})
    assert answer.status_code == 403


# Headers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [*PAGES, "/", "/console/sign-in", "/console/nothing"])
def test_private_pages_are_kept_by_nobody_and_run_no_script_but_ours(shop, path):
    shop.job("night")
    shop.watch("nightly")
    answer = shop.client(ANN).get(path)
    assert answer.headers["cache-control"] == "no-store"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert not re.search(r"<script(?! src=)|<style| style=| on[a-z]+=", answer.text)


def test_files_of_the_console_are_kept_under_names_that_change_with_them(open_shop):
    page = open_shop.client().get(f"{open_shop.url}/console").text
    addresses = re.findall(r'(?:src|href)="(/console/static/[^"]+)"', page)
    assert len(addresses) == 3
    for address in addresses:
        answer = open_shop.client().get(address)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
    assert open_shop.client().get(f"{open_shop.url}/console/static/0/../pages.py").status_code == 404
    assert open_shop.client().get(f"{open_shop.url}/console/static/0/console.js").status_code == 404
