"""Pages for everybody: by screen reader and keyboard, in the dark, on a telephone, without script, while live."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import support
from service.console.training_jobs import output, progress, replica, training, trial
from service.console_support import ANN, PROJECT, World

from batchpredict.service.queue.leading import Pause
from batchpredict.service.queue.lifecycle import Advance
from batchpredict.service.store import StoredModel, StoredVersion
from batchpredict.service.store.watching import RUNNING, SET_ASIDE, Note, StoredEpoch

expect = pytest.importorskip("playwright.sync_api").expect

pytestmark = pytest.mark.browser

JOBS = f"/console/projects/{PROJECT}/jobs"
WATCHES = f"/console/projects/{PROJECT}/watches"
MODELS = f"/console/projects/{PROJECT}/models"
SUBMIT = f"/console/projects/{PROJECT}/submit"

with open(os.path.join(os.path.dirname(__file__), "accessible.js"), encoding="utf-8") as script:
    FAULTS = script.read()

LONG_NAME = "a_very_long_name_of_a_job_" * 4

PAGES = {
    "projects": "/console",
    "sign-in": "/console/sign-in",
    "jobs": JOBS,
    "no-jobs": f"{JOBS}?filter=jobId%3Dnone",
    "wrong-filter": f"{JOBS}?filter=jobId%3D",
    "running": f"{JOBS}/running_1",
    "failed": f"{JOBS}/failed_1",
    "succeeded": f"{JOBS}/succeeded_1",
    "long-name": f"{JOBS}/{LONG_NAME}",
    "errors": f"{JOBS}/succeeded_1/errors",
    "log": f"{JOBS}/running_1/log",
    "cluster": f"{JOBS}/cluster_1",
    "search": f"{JOBS}/search_1",
    "task-log": f"{JOBS}/cluster_1/log?task=worker-replica-1",
    "cancel": f"{JOBS}/running_1/cancel",
    "submit": SUBMIT,
    "again": f"{SUBMIT}?from=failed_1",
    "again-training": f"{SUBMIT}?from=search_1",
    "models": MODELS,
    "model": f"{MODELS}/census",
    "watches": WATCHES,
    "watch": f"{WATCHES}/nightly",
    "no-epochs": f"{WATCHES}/{LONG_NAME[:100]}",
    "delete-watch": f"{WATCHES}/nightly/delete",
    "epoch-job": f"{JOBS}/nightly_epoch_00000007",
    "not-found": "/console/nothing",
}


def watch(shop: World) -> None:
    """A watch with epochs and troubles, and a new one that is paused."""
    shop.watch(LONG_NAME[:100], document={"maxFiles": 5})
    shop.store.tell_watch(PROJECT, LONG_NAME[:100], Pause())
    shop.watch("nightly", labels={"team": "blue"}, asked={"inputPaths": [f"/in/{'x' * 80}/*.json"] * 9})
    shop.job("nightly_epoch_00000007", labels={"watch": "nightly"})
    uri = f"{shop.root}/model"
    now = shop.store.now()
    shop.lead(
        "nightly",
        StoredEpoch(7, RUNNING, 12, 1 << 40, uri, "nightly_epoch_00000007", begun=now),
        StoredEpoch(6, SET_ASIDE, 1, 10, uri, "nightly_epoch_00000006_5", 5, "It could not be read: " + "x" * 200),
        last=7,
        notes=[Note(now, "WARNING", "A file has changed: " + "x" * 200), Note(now, "INFO", "epoch 7 begins")],
    )


def train(shop: World) -> None:
    """A cluster of the largest tier, and a search of as many trials as are shown."""
    training(shop, "cluster_1")
    replicas = [replica(f"worker-replica-{number}", restarts=number % 2) for number in range(31)]
    shop.run("cluster_1", output={"consumedMLUnits": 1234.5}, progress=progress(replicas))
    training(shop, "search_1", search=True)
    values = [
        {"rate": str(10 ** -(number % 4)), "units": str(number), "activation": "tanh"} for number in range(500)
    ]
    trials = [trial(number, number**9 / 7, values[number]) for number in range(500)]
    running = progress([replica("trial-501/master-replica-0")], done=500, total=1000)
    shop.run("search_1", output=output(*trials), progress=running)


@pytest.fixture(scope="module")
def filled(tmp_path_factory) -> Any:
    """A project with something on every page."""
    from service.console_support import world

    with world(str(tmp_path_factory.mktemp("shop"))) as shop:
        for name in (
            LONG_NAME,
            "running_1",
            "failed_1",
            "succeeded_1",
            *(f"queued_{number}" for number in range(30)),
        ):
            shop.job(name, labels={"team": "blue", "purpose": "night" * 10})
        output = {"predictionCount": "1234567", "errorCount": "12", "nodeHours": 3.25}
        shop.run("running_1", output=output, progress={"done": 1, "total": 3}, log=["x" * 300] * 40)
        shop.end("failed_1", shop.run("failed_1", output=output), error="It could not be read: " + "x" * 200)
        lines = support.write(
            f"{shop.root}/lines.json", [f'{{"x": "{"many" * number}"}}' for number in range(1, 40)]
        )
        document = support.job(f"{shop.root}/model", lines, f"{shop.root}/succeeded_1")
        done = support.score_in_process(document).to_wire()
        progress = {"staging": support.planned(document)[1].root}
        shop.end("succeeded_1", shop.run("succeeded_1"), output=done, progress=progress)
        train(shop)
        watch(shop)
        now = shop.store.now()
        model = StoredModel(PROJECT, "census", {"description": "Who earns"}, {"a": "b"}, "user:ann@x.org", now, "")
        shop.store.create_model(model)
        tensors = {"x" * 80: {"dtype": "float32", "shape": [None, 2]}}
        details = {"signatures": {"serving_default": {"inputs": tensors, "outputs": tensors, "exampleLine": "[0]"}}}
        for name, state in (("v1", "READY"), ("v2", "FAILED"), ("v3", "CREATING")):
            version = StoredVersion(PROJECT, "census", name, {}, {}, now, "", state, details=details)
            shop.store.create_version(replace(version, message="There is none." if state == "FAILED" else ""))
        yield shop


def opened(browser: Any, shop: World, path: str, **options: Any) -> Any:
    """A page in a context of its own, signed in by the header."""
    headers = {} if "sign-in" in path else {"authorization": f"Bearer {ANN}"}
    page = browser.new_context(base_url=shop.url, extra_http_headers=headers, **options).new_page()
    page.goto(path)
    return page


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
@pytest.mark.parametrize("name", list(PAGES))
def test_a_page_has_names_headings_contrast_and_room(browser, filled, name, width, scheme):
    page = opened(browser, filled, PAGES[name], viewport={"width": width, "height": 700}, color_scheme=scheme)
    try:
        assert page.evaluate(FAULTS) == []
    finally:
        page.context.close()


def test_the_checks_find_faults(browser, filled):
    page = opened(browser, filled, JOBS)
    try:
        page.evaluate(
            "document.body.insertAdjacentHTML('beforeend', '<h3>x</h3><input><table><tr><th>a</th></tr></table>"
            "<p class=pale>pale</p>'); document.querySelector('.pale').style.color = '#999'"
        )
        found = " ".join(page.evaluate(FAULTS))
    finally:
        page.context.close()
    for fault in ("leaves out a level", "no label", "no caption", "without scope", "contrast of"):
        assert fault in found


def test_the_first_key_leads_past_the_header(browser, filled):
    page = opened(browser, filled, JOBS)
    try:
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.locator("main")).to_be_focused()
    finally:
        page.context.close()


@pytest.mark.parametrize("name", list(PAGES))
def test_every_page_is_whole_without_script(browser, filled, name):
    page = opened(browser, filled, PAGES[name], java_script_enabled=False)
    try:
        expect(page.get_by_role("heading", level=1)).to_have_count(1)
        expect(page.get_by_role("button", name="Pause updates")).to_have_count(0)
    finally:
        page.context.close()


# What is live -------------------------------------------------------------------------------------------------


@pytest.fixture
def live(browser, shop) -> Any:
    """The page of a job that runs, and the generation of its lease."""
    shop.job("rain_1")
    generation = shop.run(
        "rain_1", output={"predictionCount": "10"}, progress={"done": 1, "total": 10}, log=["one"]
    )
    context = browser.new_context(base_url=shop.url, extra_http_headers={"authorization": f"Bearer {ANN}"})
    context.add_init_script(
        "Object.defineProperty(document, 'hidden', { get: () => window.away === true });"
        "window.turn = (away) => { window.away = away; document.dispatchEvent(new Event('visibilitychange')); };"
    )
    page = context.new_page()
    page.goto(f"{JOBS}/rain_1")
    yield page, generation
    context.close()


def asked(page: Any, seconds: float) -> int:
    """Requests of a page within some seconds."""
    count: list[str] = []
    listen: Callable[[Any], None] = lambda request: count.append(request.url)  # noqa: E731
    page.on("request", listen)
    page.wait_for_timeout(seconds * 1000)
    page.remove_listener("request", listen)
    return len(count)


def advance(shop: World, generation: int, done: int) -> None:
    output = {"predictionCount": str(done * 10), "errorCount": "0"}
    shop.store.tell(PROJECT, "rain_1", Advance(generation), output, {"done": done, "total": 10})


def test_counts_progress_and_log_grow_by_themselves(shop, live):
    page, generation = live
    expect(page.locator("#job-progress")).to_contain_text("10 %")
    advance(shop, generation, 7)
    shop.say("rain_1", generation, "two", "<b>three</b>")
    expect(page.locator("#job-progress")).to_contain_text("70 %")
    expect(page.locator("#job-figures")).to_contain_text("Predictions70")
    expect(page.get_by_role("status")).to_have_text("The job is running, 70 percent done.")
    expect(page.locator(".log tbody tr")).to_have_count(3)
    expect(page.locator(".log tbody tr").last).to_contain_text("<b>three</b>")
    assert page.get_by_role("log").get_attribute("aria-live") == "polite"


def test_the_rate_is_that_of_the_last_seconds(shop, live):
    page, generation = live
    before = page.locator("[data-rate]").inner_text()
    for done in (2, 4, 6):
        page.wait_for_timeout(2000)
        advance(shop, generation, done)
    expect(page.locator("[data-rate]")).not_to_have_text(before)
    assert re.fullmatch(r"[\d.]+", page.locator("[data-rate]").inner_text())


def test_the_focus_stays_where_it_is_while_parts_are_replaced(shop, live):
    page, generation = live
    page.locator("#job-cancel").focus()
    advance(shop, generation, 5)
    expect(page.locator("#job-progress")).to_contain_text("50 %")
    expect(page.locator("#job-cancel")).to_be_focused()
    shop.end("rain_1", generation, output={"predictionCount": "100"})
    expect(page.locator("#job-top .state")).to_have_text("SUCCEEDED")
    # The link is gone; the focus is not lost to the top of the page.
    expect(page.locator("main")).to_be_focused()


def test_nothing_is_asked_while_nobody_looks(live):
    page, _ = live
    assert asked(page, 5) > 1
    page.evaluate("turn(true)")
    page.wait_for_timeout(500)
    assert asked(page, 5) == 0
    page.evaluate("turn(false)")
    assert asked(page, 5) > 1


def test_updates_can_be_paused(shop, live):
    page, generation = live
    button = page.get_by_role("button", name="Pause updates")
    button.click()
    expect(button).to_have_attribute("aria-pressed", "true")
    page.wait_for_timeout(500)
    assert asked(page, 5) == 0
    advance(shop, generation, 9)
    button.click()
    expect(page.locator("#job-progress")).to_contain_text("90 %")


def test_nothing_is_asked_after_the_job_is_over(shop, live):
    page, generation = live
    shop.say("rain_1", generation, "the last line")
    shop.end("rain_1", generation, error="It was too much.")
    expect(page.locator("#job-message")).to_have_text("It was too much.")
    expect(page.locator(".log tbody tr").last).to_contain_text("the last line")
    expect(page.get_by_role("button", name="Pause updates")).to_have_count(0)
    assert asked(page, 5) == 0


def test_trials_and_charts_grow_by_themselves_and_keep_the_place_of_the_reader(browser, shop):
    training(shop, "search_1", search=True)
    values = {"rate": "0.01", "units": "32", "activation": "tanh"}
    trials = [trial(number, number / 7, values) for number in range(1, 60)]
    generation = shop.run("search_1", output=output(*trials[1:]), progress=progress([], done=58, total=60))
    page = opened(browser, shop, f"{JOBS}/search_1", viewport={"width": 900, "height": 700})
    try:
        table = page.locator("#job-trials")
        expect(table.get_by_role("row")).to_have_count(59)
        table.evaluate("one => { one.scrollTop = 300; one.focus(); }")
        told = output(*trials), progress([replica("trial-60/master-replica-0")], done=59, total=60)
        shop.store.tell(PROJECT, "search_1", Advance(generation), *told)
        expect(table.get_by_role("row")).to_have_count(60, timeout=20_000)
        expect(table).to_be_focused()
        assert table.evaluate("one => one.scrollTop") == 300
        expect(page.get_by_role("img", name="Best so far")).to_have_accessible_name(re.compile("of 59 trials"))
        expect(page.locator("#job-replicas")).to_contain_text("60")
        shop.end("search_1", generation)
        expect(page.get_by_role("button", name="Pause updates")).to_have_count(0, timeout=20_000)
    finally:
        page.context.close()


def test_the_log_of_a_replica_grows_by_its_own_lines(browser, shop):
    training(shop, "sun_1")
    generation = shop.run("sun_1")
    page = opened(browser, shop, f"{JOBS}/sun_1/log?task=worker-replica-1")
    try:
        for number in range(4):
            line = (shop.store.now(), "INFO", f"worker-replica-{number % 2}", f"line {number}")
            shop.store.append_log(PROJECT, "sun_1", generation, [line])
        expect(page.locator("tbody tr")).to_have_count(2, timeout=20_000)
        expect(page.locator("tbody tr .text")).to_have_text(["line 1", "line 3"])
    finally:
        page.context.close()


def test_a_page_outlives_a_server_that_fails_for_a_while(shop, live):
    page, generation = live
    page.context.route("**/jobs/rain_1", lambda route: route.abort())
    page.wait_for_timeout(3000)
    page.context.unroute("**/jobs/rain_1")
    advance(shop, generation, 8)
    expect(page.locator("#job-progress")).to_contain_text("80 %", timeout=30_000)
