"""The console in a real browser, against `batchpredict serve` with a real worker: by keyboard, and as it lives."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx
import pytest
import support
from service.console_support import ANN, PROJECT
from training.training_support import Jobs, custom, search

from batchpredict.service.access import sha256_of

if TYPE_CHECKING:
    from playwright.sync_api import Page

expect = pytest.importorskip("playwright.sync_api").expect

pytestmark = pytest.mark.browser

JOBS = f"/console/projects/{PROJECT}/jobs"

# A job starts TensorFlow; machines of CI are slow.
LONG = 240_000


@dataclass(frozen=True)
class Service:
    url: str
    root: str

    def submit(self, document: dict[str, object]) -> None:
        """Create a job over the API."""
        headers = {"authorization": f"Bearer {ANN}"}
        answer = httpx.post(f"{self.url}/v1/projects/{PROJECT}/jobs", headers=headers, json=document)
        assert answer.status_code == 200, answer.text

    def api(self, path: str) -> dict[str, object]:
        headers = {"authorization": f"Bearer {ANN}"}
        found: dict[str, object] = httpx.get(f"{self.url}/v1/projects/{PROJECT}/{path}", headers=headers).json()
        return found


@pytest.fixture(scope="module")
def service(tmp_path_factory) -> Iterator[Service]:
    """The command as a user starts it, with a token, two models and inputs in its root."""
    folder = tmp_path_factory.mktemp("service")
    root = str(folder / "data")
    shutil.copytree(support.model("double"), f"{root}/double")
    shutil.copytree(support.model("stateful_free_slow"), f"{root}/slow")
    support.write(f"{root}/lines.json", ['{"x": 1}', '{"x": "<i>many</i>"}', '{"x": 3}'])
    support.write(f"{root}/many.json", [json.dumps({"x": [row + 0.5] * 16}) for row in range(200_000)])
    command = [sys.executable, "-m", "batchpredict", "serve", "--port", "0", "--data", str(folder / "own")]
    access = ["--token", f"user:ann@x.org={sha256_of(ANN)}", "--admin", "user:ann@x.org"]
    process = subprocess.Popen(
        [*command, "--root", root, *access],
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": support.ROOT},
    )
    assert process.stderr is not None
    try:
        line = process.stderr.readline()
        found = re.search(r"http://[\d.:]+", line)
        assert found, line + process.stderr.read()
        yield Service(found[0], root)
    finally:
        process.terminate()
        process.communicate(timeout=60)


@pytest.fixture
def page(browser, service) -> Iterator[Page]:
    context = browser.new_context(base_url=service.url, viewport={"width": 1200, "height": 800})
    made = context.new_page()
    made.set_default_timeout(60_000)
    problems: list[str] = []
    made.on("pageerror", lambda error: problems.append(str(error)))
    made.on("console", lambda said: problems.append(said.text) if "Content Security Policy" in said.text else None)
    yield made
    context.close()
    assert problems == []


def tab_to(page: Page, name: str, kind: str = "") -> None:
    """Go to a control as somebody does who has no mouse, and see that it shows that it is there."""
    wanted = "([name, kind]) => { const at = document.activeElement; return at && at !== document.body"
    wanted += " && (at.labels?.[0]?.innerText ?? at.innerText ?? '').trim().startsWith(name)"
    wanted += " && (!kind || at.tagName === kind); }"
    for _ in range(80):
        if page.evaluate(wanted, [name, kind]):
            outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert outline != "none", f"{name} has the focus and does not show it"
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"Tab does not lead to {name!r}")


def follow(page: Page, name: str) -> None:
    tab_to(page, name)
    with page.expect_navigation():
        page.keyboard.press("Enter")


def sign_in(page: Page) -> None:
    page.goto(JOBS)
    # The field takes the focus by itself, a moment after the page is there.
    expect(page.get_by_label("Token")).to_be_focused()
    page.keyboard.type(ANN)
    with page.expect_navigation():
        page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(f"{JOBS}$"))


def submit(page: Page, service: Service, job_id: str, model: str, inputs: str, **more: str) -> None:
    """Fill the form in by keyboard alone, and send it."""
    follow(page, "New job")
    further = [("Further fields", ""), *more.items()] if more else []
    for name, text in [
        ("Job id", job_id),
        ("Name or folder", f"{service.root}/{model}"),
        ("Input paths", f"{service.root}/{inputs}"),
        ("Output folder", f"{service.root}/{job_id}"),
        *further,
    ]:
        tab_to(page, name)
        if text:
            page.keyboard.type(text)
        else:
            page.keyboard.press("Enter")
    follow(page, "Submit")
    expect(page).to_have_url(re.compile(f"{JOBS}/{job_id}$"))


def test_a_job_is_submitted_watched_to_its_end_and_its_errors_read_by_keyboard_alone(page, service):
    sign_in(page)
    submit(page, service, "rain_1", "double", "lines.json")
    loads: list[str] = []
    page.on("framenavigated", lambda frame: loads.append(frame.url))
    expect(page.locator("#job-top .state")).to_have_text("SUCCEEDED", timeout=LONG)
    expect(page.get_by_role("status").first).to_have_text("The job is succeeded, 1 records failed.")
    expect(page.locator("#job-figures")).to_contain_text("Predictions2")
    assert loads == [], "the page was loaded again"
    expect(page.locator("#job-summary")).to_contain_text("Input mismatch")
    expect(page.locator(".log")).to_contain_text("completed successfully", timeout=LONG)
    # Nothing is live any more, so there is nothing to pause.
    expect(page.get_by_role("button", name="Pause updates")).to_have_count(0, timeout=LONG)
    follow(page, "Every failed record")
    row = page.get_by_role("row").filter(has_text="lines.json")
    expect(row).to_have_count(1)
    expect(row).to_contain_text("line 2, byte 9")
    expect(row).to_contain_text("INVALID_INPUTS")
    expect(row).to_contain_text('{"x": "<i>many</i>"}')
    assert page.locator("i").count() == 0


def test_a_running_job_is_cancelled_by_keyboard_alone(page, service):
    sign_in(page)
    submit(page, service, "storm_1", "slow", "many.json", **{"Signature": "dense", "Batch size": "1"})
    expect(page.locator("#job-top .state")).to_have_text("RUNNING", timeout=LONG)
    follow(page, "Cancel job")
    expect(page.get_by_role("heading", level=1)).to_have_text("Cancel storm_1?")
    follow(page, "Cancel the job")
    expect(page.locator("#job-top .state")).to_have_text("CANCELLED", timeout=LONG)
    expect(page.get_by_role("link", name="Cancel job…")).to_have_count(0)
    expect(page.locator("#job-message")).to_contain_text("user:ann@x.org")
    assert service.api("jobs/storm_1")["state"] == "CANCELLED"


def test_a_job_is_submitted_again_and_its_list_is_live(page, service):
    sign_in(page)
    submit(page, service, "snow_1", "double", "lines.json")
    follow(page, "Submit again")
    expect(page.get_by_label("Job id")).to_have_value("snow_2")
    follow(page, "Submit")
    expect(page).to_have_url(re.compile(f"{JOBS}/snow_2$"))
    page.goto(JOBS)
    row = page.get_by_role("row").filter(has=page.get_by_role("link", name="snow_2"))
    expect(row).to_contain_text("SUCCEEDED", timeout=LONG)
    expect(row).to_contain_text("100 %")
    page.get_by_role("searchbox", name="Filter").fill("jobId:snow* AND state=SUCCEEDED")
    page.keyboard.press("Enter")
    expect(page.get_by_role("row")).to_have_count(3)


def test_a_search_is_watched_to_its_end(page, service):
    params = [
        {"parameterName": "x", "type": "DOUBLE", "minValue": 0.01, "maxValue": 1, "scaleType": "UNIT_LOG_SCALE"},
        {"parameterName": "kind", "type": "CATEGORICAL", "categoricalValues": ["a", "b"]},
    ]
    asked = Jobs(service.root).job("--pause", "0.5", hyperparameters=search(4, params=params))
    service.submit({**asked, "jobId": "search_1"})
    sign_in(page)
    follow(page, "search_1")
    trials = page.locator("#job-trials")
    expect(trials).to_contain_text("No trial has ended yet.")
    # The page grows while the search goes on.
    expect(trials.get_by_role("row").nth(1)).to_contain_text("SUCCEEDED", timeout=LONG)
    expect(page.locator("#job-top .state")).to_have_text("RUNNING")
    expect(page.locator("#job-top .state")).to_have_text("SUCCEEDED", timeout=LONG)
    expect(trials.get_by_role("row")).to_have_count(5, timeout=LONG)
    expect(page.locator("#job-figures")).to_contain_text("Trials done4 of 4")
    found = [float(text) for text in trials.locator("tbody td:nth-child(3)").all_inner_texts()]
    assert found == sorted(found)
    expect(page.locator("#job-figures")).to_contain_text(f"Best so far{found[0]:.6g}")
    for name in ("Best so far", "x", "kind"):
        expect(page.get_by_role("img", name=re.compile(f"^{name} "))).to_be_visible()
    expect(page.get_by_role("button", name="Pause updates")).to_have_count(0, timeout=LONG)
    best = trials.get_by_role("rowheader").first.inner_text()
    with page.expect_navigation():
        trials.get_by_role("link", name=f"Log of trial {best}", exact=True).click()
    tasks = set(page.locator("tbody .task").all_inner_texts())
    assert f"trial-{best}/master-replica-0" in tasks
    assert all(task.startswith(f"trial-{best}/") for task in tasks)
    expect(page.locator("tbody")).to_contain_text("goes on from")


def test_the_replicas_of_a_cluster_are_seen_with_their_restart_and_their_logs(page, service):
    jobs = Jobs(f"{service.root}/cluster")
    asked = jobs.job("--steps", "40", "--pause", "0.2", "--die-once", "worker-0", **custom(workers=1))
    service.submit({**asked, "jobId": "cluster_1"})
    sign_in(page)
    follow(page, "cluster_1")
    replicas = page.locator("#job-replicas tbody tr")
    expect(replicas).to_contain_text(["master-replica-0", "worker-replica-0"], timeout=LONG)
    expect(replicas.first.locator(".state")).to_have_text("running", timeout=LONG)
    expect(page.locator("#job-top .state")).to_have_text("SUCCEEDED", timeout=LONG)
    # Collectives cannot go on without one: all were started again.
    expect(page.locator("#job-figures")).to_contain_text("Restarts2")
    expect(replicas.locator("td:nth-child(3)")).to_have_text(["1", "1"])
    expect(replicas.locator(".state")).to_have_text(["ended", "ended"])
    with page.expect_navigation():
        replicas.nth(1).get_by_role("link").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Log of worker-replica-0")
    assert set(page.locator("tbody .task").all_inner_texts()) == {"worker-replica-0"}


def test_a_fault_of_the_form_is_where_the_focus_goes(page, service):
    sign_in(page)
    page.goto(f"/console/projects/{PROJECT}/submit")
    page.get_by_label("Job id").fill("1_rain")
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_role("alert")).to_be_focused()
    expect(page.get_by_label("Job id")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label("Job id")).to_have_accessible_description(re.compile("should start with a letter"))
    expect(page.get_by_label("Job id")).to_have_value("1_rain")


def test_signing_out_closes_the_pages(page, service):
    sign_in(page)
    follow(page, "Sign out")
    page.goto(JOBS)
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")


def test_a_link_from_another_site_needs_no_second_sign_in(page, service):
    sign_in(page)
    # A page of another site is another name for this server here; its link brings no SameSite=Strict cookie.
    other = service.url.replace("127.0.0.1", "localhost")
    page.goto(f"{other}/console/sign-in")
    page.evaluate(
        "url => { const link = document.createElement('a'); link.href = url; document.body.append(link);"
        " link.click(); }",
        f"{service.url}{JOBS}",
    )
    expect(page.get_by_role("heading", level=1)).to_have_text("Jobs")
    expect(page).to_have_url(f"{service.url}{JOBS}")
