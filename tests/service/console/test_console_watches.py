"""Pages about watches: what they show, to whom, and what their buttons do."""

from __future__ import annotations

import html
import re
from datetime import timedelta

import httpx
import pytest
from service.console.test_console_pages import HOSTILE, shown
from service.console_support import ANN, BOB, EVE, PROJECT, World, form_token, origin

from batchpredict.service.queue.leading import Pause, Refuse, WatchState
from batchpredict.service.store import Missing
from batchpredict.service.store.watching import RUNNING, SET_ASIDE, Note, StoredEpoch

WATCHES = f"/console/projects/{PROJECT}/watches"
JOBS = f"/console/projects/{PROJECT}/jobs"


def open_page(shop: World, path: str, token: str = ANN, **headers: str) -> str:
    answer = shop.client(token).get(path, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.text


def state(shop: World) -> WatchState:
    return shop.store.watch(PROJECT, "nightly").leading.state


def set_aside(number: int = 6) -> StoredEpoch:
    return StoredEpoch(number, SET_ASIDE, 3, 4096, "/models/7", f"nightly_epoch_{number:08d}_5", 5, "It rains.")


# What they show -----------------------------------------------------------------------------------------------


def test_watches_are_listed_newest_first_a_page_at_a_time(shop):
    for number in range(30):
        shop.watch(f"w{number}")
    shop.watch("secret", project="other")
    text = open_page(shop, WATCHES)
    older = re.search(r'<a rel="next" href="([^"]+)"', text)
    assert older
    seen = re.findall(r'<a id="watch-([^"]+)"', text + open_page(shop, WATCHES + html.unescape(older[1])))
    assert seen == [f"w{number}" for number in reversed(range(30))]


def test_a_list_shows_what_a_watch_looks_at_and_its_last_trouble(shop):
    shop.watch("nightly", asked={"inputPaths": ["/in/a*", "/in/b*", "/in/c*", "/in/d*"]})
    now = shop.store.now()
    notes = [Note(now, "WARNING", "/in/a1 has changed."), Note(now, "INFO", "epoch 7 begins")]
    generation = shop.lead("nightly", set_aside(), last=1207, notes=notes)
    text = shown(open_page(shop, WATCHES))
    assert "nightly ACTIVE /in/a* /in/b* and 2 more 1,207 1 /in/a1 has changed." in text
    # What has stopped it comes before what it has said.
    shop.store.tell_watch(PROJECT, "nightly", Refuse(generation, "There is no model."))
    assert "PAUSED /in/a* /in/b* and 2 more 1,207 1 There is no model." in shown(open_page(shop, WATCHES))


def test_a_watch_shows_its_settings_notes_and_epochs_with_their_jobs(shop):
    document = {"every": "120s", "maxFiles": "1000", "newestVersion": True}
    shop.watch("nightly", document=document, labels={"team": "blue"})
    begun = shop.store.now() - timedelta(minutes=3)
    running = StoredEpoch(7, RUNNING, 12, 4096, "/models/8", "nightly_epoch_00000007", begun=begun)
    shop.lead("nightly", set_aside(), running, last=7, notes=[Note(begun, "WARNING", "/in/a1 has changed.")])
    page = open_page(shop, f"{WATCHES}/nightly")
    text = shown(page)
    for part in (
        "led by worker-1",
        "Epochs 7",
        "Set aside 1",
        "Looks for files every 120s",
        "when it has not changed for 10s",
        "at most 1,000 files, and 5 tries",
        "the newest version in this folder",
        "WARNING /in/a1 has changed.",
        "by user:ann@x.org",
        "team = blue",
        "6 SET_ASIDE nightly_epoch_00000006_5 3 4,096 5 ",
        "It rains.",
        "/arriving/*.json",
    ):
        assert part in text, part
    assert f'href="{JOBS}/nightly_epoch_00000007"' in page
    assert re.findall(r'<th scope="row">(\d+)</th>', page)[:2] == ["7", "6"]


def test_epochs_come_a_page_at_a_time(shop):
    shop.watch("nightly")
    shop.lead("nightly", *(set_aside(number) for number in range(1, 41)), last=40)
    seen: list[str] = []
    path = f"{WATCHES}/nightly"
    for _ in range(2):
        text = open_page(shop, path)
        seen += re.findall(r'<a id="epoch-(\d+)-job"', text)
        older = re.search(r'<a rel="next" href="([^"]+)"', text)
        path = f"{WATCHES}/nightly" + (html.unescape(older[1]) if older else "")
    assert not older
    assert seen == [str(number) for number in reversed(range(1, 41))]


def test_the_script_gets_what_changes_alone(shop):
    shop.watch("nightly")
    for path, part in ((WATCHES, 'id="watch-table"'), (f"{WATCHES}/nightly", 'id="watch-top"')):
        text = open_page(shop, path, **{"x-requested-with": "console"})
        assert part in text
        assert "<html" not in text
        assert "data-live" in open_page(shop, path)


def test_text_of_others_is_text(shop):
    text = HOSTILE.replace("\x00", "").replace("\ud800", "")
    shop.watch("nightly", asked={"inputPaths": [text], "uri": text}, labels={"team": text})
    epoch = StoredEpoch(1, SET_ASIDE, 1, 1, text, "j", 1, text)
    shop.lead("nightly", epoch, notes=[Note(shop.store.now(), "X", text)])
    for path in (WATCHES, f"{WATCHES}/nightly"):
        page = open_page(shop, path)
        assert "<script>alert" not in page
        assert "60481729" not in page
        assert "\u202e" not in page


def test_the_navigation_leads_to_the_watches(shop):
    assert f'<a href="{WATCHES}">Watches</a>' in open_page(shop, JOBS)
    assert f'<a href="{WATCHES}" aria-current="page">Watches</a>' in open_page(shop, WATCHES)


@pytest.mark.parametrize(
    ("job", "label", "linked"),
    [
        ("Nightly_epoch_00000007", "nightly", True),
        ("Nightly_epoch_00000007_2", "nightly", True),
        ("Nightly_epoch_00000007", "", False),
        ("Nightly_epoch_00000007", "other", False),
        ("Gone_epoch_00000007", "gone", False),
        ("Nightly", "nightly", False),
    ],
)
def test_the_job_of_an_epoch_leads_to_its_watch(shop, job, label, linked):
    shop.watch("Nightly")
    shop.job(job, labels={"watch": label} if label else {})
    assert (f'href="{WATCHES}/Nightly"' in open_page(shop, f"{JOBS}/{job}")) == linked


def test_a_watch_that_one_may_not_see_is_not_linked(shop):
    shop.watch("nightly")
    shop.job("nightly_epoch_00000007", labels={"watch": "nightly"}, creator="user:eve@x.org")
    assert "job-watch" not in open_page(shop, f"{JOBS}/nightly_epoch_00000007", EVE)


# Who may do what ----------------------------------------------------------------------------------------------


def test_who_looks_on_sees_watches_and_no_way_to_change_them(shop):
    shop.watch("nightly")
    shop.lead("nightly", set_aside(), last=6)
    page = open_page(shop, f"{WATCHES}/nightly", BOB)
    assert "<button id=" not in page
    assert "Delete watch" not in page
    assert shop.client(BOB).get(f"{WATCHES}/nightly/delete").status_code == 403


@pytest.mark.parametrize("path", ["", "/delete"])
def test_a_watch_that_one_may_not_see_looks_as_one_that_is_not_there(shop, path):
    shop.watch("nightly")
    eve = shop.client(EVE)
    hidden, missing = eve.get(f"{WATCHES}/nightly{path}"), eve.get(f"{WATCHES}/nothing{path}")
    assert hidden.status_code == missing.status_code == 404
    assert hidden.text == missing.text
    assert shop.client(ANN).get(f"{WATCHES}/nothing{path}").status_code == 404
    assert eve.get(WATCHES).status_code == 403


def test_the_creator_of_a_watch_may_change_it(shop):
    shop.watch("nightly", creator="user:eve@x.org")
    page = open_page(shop, f"{WATCHES}/nightly", EVE)
    assert '<button id="watch-pause">' in page
    assert "Delete watch" in page


# Forms --------------------------------------------------------------------------------------------------------


def post(shop: World, client: httpx.Client, verb: str, token: str, **headers: str) -> httpx.Response:
    return client.post(
        f"{WATCHES}/nightly/{verb}",
        data={"form_token": token},
        headers=headers or origin(shop.url),
        follow_redirects=False,
    )


def test_a_watch_is_paused_and_goes_on(shop):
    shop.watch("nightly")
    client = shop.signed_in(ANN)
    for verb, after in (("pause", WatchState.PAUSED), ("resume", WatchState.ACTIVE)):
        page = client.get(f"{WATCHES}/nightly")
        assert re.findall(r'<button id="watch-(\w+)">', page.text) == [verb]
        answer = post(shop, client, verb, form_token(page))
        assert (answer.status_code, answer.headers["location"]) == (303, f"{WATCHES}/nightly")
        assert state(shop) is after


def test_what_was_set_aside_is_taken_up(shop):
    shop.watch("nightly")
    client = shop.signed_in(ANN)
    token = form_token(client.get(f"{WATCHES}/nightly"))
    answer = post(shop, client, "retry", token)
    assert answer.status_code == 400
    assert "No epoch of the watch was set aside." in shown(answer.text)
    shop.lead("nightly", set_aside(), last=6)
    page = client.get(f"{WATCHES}/nightly")
    assert '<button id="watch-retry">' in page.text
    assert post(shop, client, "retry", form_token(page)).status_code == 303
    assert shop.store.watch(PROJECT, "nightly").retries == 1


def test_a_watch_is_deleted_after_a_question(shop):
    shop.watch("nightly")
    client = shop.signed_in(ANN)
    page = client.get(f"{WATCHES}/nightly/delete")
    answer = post(shop, client, "delete", form_token(page))
    assert (answer.status_code, answer.headers["location"]) == (303, WATCHES)
    with pytest.raises(Missing):
        shop.store.watch(PROJECT, "nightly")


@pytest.mark.parametrize("verb", ["pause", "resume", "retry", "delete"])
def test_a_form_is_taken_from_our_own_pages_and_who_may_only(shop, verb):
    shop.watch("nightly")
    shop.lead("nightly", set_aside(), last=6)
    if verb == "resume":
        shop.store.tell_watch(PROJECT, "nightly", Pause())
    before = shop.store.watch(PROJECT, "nightly")
    ann, bob, eve = shop.signed_in(ANN), shop.signed_in(BOB), shop.signed_in(EVE)
    token = form_token(ann.get(f"{WATCHES}/nightly"))
    assert post(shop, ann, verb, token, origin="http://evil.org").status_code == 403
    assert post(shop, ann, verb, token, **{"sec-fetch-site": "cross-site"}).status_code == 403
    assert post(shop, ann, verb, "0" * 64).status_code == 403
    assert post(shop, bob, verb, form_token(bob.get(WATCHES))).status_code == 403
    assert post(shop, eve, verb, form_token(eve.get("/console"))).status_code == 404
    assert ann.get(f"{WATCHES}/nightly/pause").status_code == 404
    assert shop.store.watch(PROJECT, "nightly") == before
