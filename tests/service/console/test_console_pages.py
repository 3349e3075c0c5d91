"""What pages show of jobs and models."""

from __future__ import annotations

import html
import re
from datetime import timedelta

import pytest
from service.console_support import ANN, PROJECT, World

from batchpredict.service.access import sha256_of
from batchpredict.service.queue.lifecycle import Cancel, Release
from batchpredict.service.store import StoredModel, StoredVersion

JOBS = f"/console/projects/{PROJECT}/jobs"
MODELS = f"/console/projects/{PROJECT}/models"

HOSTILE = "</script><script>alert(1)</script>\"'&{{7777*7777}}\u202e\x00\ud800"


def names(text: str) -> list[str]:
    """The jobs of a list, in its order."""
    return re.findall(r'<a id="job-([^"]+)"', text)


def shown(text: str) -> str:
    """What a reader sees of a page: no tags, no doubled blanks."""
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", " ", text)))


def open_page(shop: World, path: str, **query: str) -> str:
    answer = shop.client(ANN).get(path, params=query or None)
    assert answer.status_code == 200, answer.text
    return answer.text


# Lists --------------------------------------------------------------------------------------------------------


def test_jobs_are_listed_newest_first_a_page_at_a_time(shop):
    for number in range(60):
        shop.job(f"job_{number}")
    seen: list[str] = []
    path = JOBS
    for _ in range(3):
        text = open_page(shop, path)
        seen += names(text)
        # A job that is created while somebody reads moves nothing.
        shop.job(f"late_{len(seen)}")
        older = re.search(r'<a rel="next" href="([^"]+)"', text)
        path = JOBS + html.unescape(older[1]) if older else ""
    assert path == ""
    assert seen == [f"job_{number}" for number in reversed(range(60))]


def test_a_page_token_is_the_one_of_the_api(shop):
    from batchpredict.service.rest import paging

    for number in range(26):
        shop.job(f"job_{number}")
    text = open_page(shop, JOBS, filter="jobId:job*")
    token = re.search(r"pageToken=([\w-]+)", text)
    assert token
    assert isinstance(paging.position(token[1], f"projects/{PROJECT}/jobs", "jobId:job*"), int)


def test_a_page_token_of_another_filter_is_refused(shop):
    for number in range(26):
        shop.job(f"job_{number}")
    token = re.search(r"pageToken=([\w-]+)", open_page(shop, JOBS))
    assert token
    answer = shop.client(ANN).get(JOBS, params={"pageToken": token[1], "filter": "jobId:x*"})
    assert answer.status_code == 400
    assert "another filter" in answer.text


def test_the_filter_is_the_one_of_the_api_and_tabs_narrow_it(shop):
    for name in ("rain_1", "rain_2", "sun_1"):
        shop.job(name)
    shop.end("rain_1", shop.run("rain_1"), error="no rain")
    shop.end("sun_1", shop.run("sun_1"), error="no sun")
    assert names(open_page(shop, JOBS, filter="jobId:rain*")) == ["rain_2", "rain_1"]
    assert names(open_page(shop, JOBS, filter="jobId:rain*", state="failed")) == ["rain_1"]
    assert names(open_page(shop, JOBS, state="failed")) == ["sun_1", "rain_1"]
    assert names(open_page(shop, JOBS, filter="jobId:rain* OR jobId:sun*", state="queued")) == ["rain_2"]


def test_a_wrong_filter_is_said_at_its_box_which_keeps_it(shop):
    shop.job("rain_1")
    for state in ("", "failed"):
        answer = shop.client(ANN).get(JOBS, params={"filter": 'jobId="', "state": state})
        assert answer.status_code == 400
        assert 'value="jobId=&#34;"' in answer.text
        assert "not valid at character 7" in answer.text
        assert 'aria-invalid="true"' in answer.text
        assert names(answer.text) == []


def test_tabs_keep_the_filter(shop):
    text = open_page(shop, JOBS, filter="jobId:rain* AND labels.a=b")
    assert 'href="?filter=jobId%3Arain%2A+AND+labels.a%3Db&amp;state=failed"' in text


def test_a_list_says_how_far_a_job_is(shop):
    shop.job("rain_1")
    progress = {"done": 30, "total": 40}
    shop.run("rain_1", output={"predictionCount": "1234567", "errorCount": "2"}, progress=progress)
    text = open_page(shop, JOBS)
    assert '<progress max="100" value="75" aria-label="Progress of rain_1">' in text
    assert "RUNNING 75 % 75 % 1,234,567 2" in shown(text)


def test_the_script_gets_the_rows_alone(shop):
    shop.job("rain_1")
    answer = shop.client(ANN).get(JOBS, headers={"x-requested-with": "console"})
    assert names(answer.text) == ["rain_1"]
    assert "<html" not in answer.text


def test_jobs_of_other_projects_are_not_listed(shop):
    shop.job("rain_1")
    shop.job("secret_1", project="other")
    assert names(open_page(shop, JOBS)) == ["rain_1"]


def test_a_project_is_opened_by_its_name(shop):
    answer = shop.client(ANN).get("/console", params={"project": "example.com:a-1"})
    assert (answer.status_code, answer.headers["location"]) == (
        303,
        "/console/projects/example.com%3Aa-1/jobs",
    )
    answer = shop.client(ANN).get("/console", params={"project": "../x"})
    assert answer.status_code == 400
    assert 'value="../x"' in answer.text


# One job ------------------------------------------------------------------------------------------------------


def test_a_job_shows_its_counts_rate_workers_and_who_holds_it(shop):
    shop.job("rain_1", labels={"team": "blue"})
    output = {"predictionCount": "9007199254740993", "errorCount": "1", "nodeHours": 2.5}
    shop.run("rain_1", output=output, progress={"done": 1, "total": 2}, log=["loading the model"])
    text = shown(open_page(shop, f"{JOBS}/rain_1"))
    for part in ("RUNNING", "50 %", "Predictions 9,007,199,254,740,993", "Errors 1", "Workers 2", "Node hours 2.5"):
        assert part in text
    for part in ("Held by worker-1", "Attempts 1", "team = blue", "by user:ann@x.org", "loading the model"):
        assert part in text


def test_a_queued_job_shows_its_place(shop):
    shop.job("rain_1")
    shop.job("rain_2")
    text = shown(open_page(shop, f"{JOBS}/rain_2"))
    assert "place 2 in the queue" in text
    # How many processes it gets is known when it gets them.
    assert "Workers –" in text


def test_where_nobody_signs_in_a_job_is_not_said_to_be_somebodys(open_shop):
    open_shop.job("rain_1", creator="allUsers")
    answer = open_shop.client().get(f"{JOBS}/rain_1")
    assert answer.status_code == 200
    assert " by " not in shown(answer.text[answer.text.index("About") :])


def test_every_state_that_a_job_was_in_is_shown_with_why(shop):
    shop.job("rain_1")
    generation = shop.run("rain_1")
    shop.store.tell(PROJECT, "rain_1", Release(generation))
    shop.store.cancel(PROJECT, "rain_1", Cancel("Ann has changed her mind."))
    text = open_page(shop, f"{JOBS}/rain_1")
    history = text[text.index('<table class="history"') :]
    history = history[: history.index("</table>")]
    assert re.findall(r'class="state \w+">(\w+)<', history) == [
        "QUEUED",
        "PREPARING",
        "RUNNING",
        "QUEUED",
        "CANCELLED",
    ]
    assert "Ann has changed her mind." in shown(history)


def test_a_job_that_is_over_asks_for_nothing_more(shop):
    shop.job("rain_1")
    shop.end("rain_1", shop.run("rain_1"), error="It rains.")
    text = open_page(shop, f"{JOBS}/rain_1")
    assert "data-live" not in text
    assert "data-log" not in text
    assert "Cancel job" not in text
    assert "Submit again" in text
    live = shop.client(ANN).get(f"{JOBS}/rain_1", headers={"x-requested-with": "console"}).text
    assert "data-over" in live


def test_what_is_live_is_a_part_of_the_page(shop):
    shop.job("rain_1")
    live = shop.client(ANN).get(f"{JOBS}/rain_1", headers={"x-requested-with": "console"}).text
    assert live.lstrip().startswith('<p class="unseen" id="job-said" role="status">')
    assert "data-over" not in live
    assert "<html" not in live


def test_the_log_is_shown_from_its_end_and_read_from_its_beginning(shop):
    shop.job("rain_1")
    generation = shop.run("rain_1")
    shop.say("rain_1", generation, *(f"line {number}." for number in range(1, 1201)))
    tail = open_page(shop, f"{JOBS}/rain_1")
    assert "line 1200." in tail
    assert "line 1000." not in tail
    seen: list[str] = []
    path = f"{JOBS}/rain_1/log"
    while path:
        text = open_page(shop, path)
        seen += re.findall(r"line (\d+)\.", text)
        later = re.search(r'<a rel="next" href="([^"]+)"', text)
        path = f"{JOBS}/rain_1/log{later[1]}" if later else ""
    assert [int(number) for number in seen] == list(range(1, 1201))


def test_the_script_gets_the_lines_that_it_does_not_have(shop):
    shop.job("rain_1")
    generation = shop.run("rain_1", log=["one", "two"])
    client = shop.client(ANN)
    client.headers["x-requested-with"] = "console"
    first = client.get(f"{JOBS}/rain_1/log", params={"after": "1"}).text
    assert re.findall(r'data-number="(\d+)"', first) == ["2"]
    shop.say("rain_1", generation, "three")
    assert re.findall(r'data-number="(\d+)"', client.get(f"{JOBS}/rain_1/log?after=2").text) == ["3"]
    assert client.get(f"{JOBS}/rain_1/log?after=3").text.strip() == ""
    assert client.get(f"{JOBS}/rain_1/log?after=-1;x").status_code == 200


# Models -------------------------------------------------------------------------------------------------------


@pytest.fixture
def census(shop: World) -> World:
    now = shop.store.now()
    model = StoredModel(
        PROJECT, "census", {"description": "Who earns what"}, {"team": "blue"}, "user:ann@x.org", now, ""
    )
    shop.store.create_model(model)
    signature = {
        "inputs": {"x": {"dtype": "float32", "shape": [None, 2]}},
        "outputs": {"y": {"dtype": "string", "shape": None}},
        "exampleLine": "[0.0,0.0]",
    }
    lines = {
        "inputs": {"line": {"dtype": "string", "shape": [None]}},
        "exampleLine": "the line itself is the value of the only input",
    }
    details = {"signatures": {"serving_default": signature, "lines": lines}, "defaultSignature": "serving_default"}
    for version, state in (("v1", "READY"), ("v2", "FAILED")):
        shop.store.create_version(
            StoredVersion(
                PROJECT, "census", version, {"deploymentUri": "gs://b/m"}, {}, now, "", state, details=details
            )
        )
    return shop


def test_models_are_listed_with_their_default_version(census):
    assert "census v1 Who earns what" in shown(open_page(census, MODELS))


def test_a_model_shows_its_versions_with_their_signatures(census):
    text = shown(open_page(census, f"{MODELS}/census"))
    assert "v1 default READY" in text
    assert "v2 FAILED" in text
    assert "Signature serving_default default" in text
    assert "Inputs x float32 (?, 2)" in text
    assert "Outputs y string unknown" in text
    assert "gs://b/m" in text
    assert "A line that it takes: [0.0,0.0]" in text
    assert "Signature lines" in text
    assert text.count("A line of text is the value of its only input, as it stands.") == 2


def test_a_version_leads_to_a_form_for_a_job_with_it(census):
    text = open_page(census, f"{MODELS}/census")
    address = re.search(r'href="(/console/projects/shop/submit\?versionName=[^"]+)"', text)
    assert address
    form = open_page(census, address[1])
    assert 'value="projects/shop/models/census/versions/v1"' in form
    assert '<option value="versionName" selected>' in form


# Text of others -----------------------------------------------------------------------------------------------


def harmless(text: str) -> None:
    # What is in a box turns nothing outside of it around, and is sent as it came.
    text = re.sub(r'value="[^"]*"|<textarea.*?</textarea>', "", text, flags=re.DOTALL)
    assert "<script>" not in text
    assert "</script><script" not in text
    assert "\u202e" not in text
    assert "\x00" not in text
    assert "60481729" not in re.sub(r"[0-9a-f]{12,}", "", shown(text))


def test_whatever_a_job_holds_is_shown_and_does_nothing(shop):
    hostile = HOSTILE.replace("\x00", "").replace("\ud800", "")
    shop.job(
        "rain_1", asked={"uri": hostile, "outputPath": hostile}, labels={"a": hostile}, creator=f"user:{hostile}"
    )
    generation = shop.run("rain_1", log=[hostile])
    shop.end("rain_1", generation, error=hostile)
    for path in ("", "/errors", "/log", "/cancel"):
        text = open_page(shop, f"{JOBS}/rain_1{path}")
        harmless(text)
    assert "&lt;/script&gt;&lt;script&gt;alert(1)" in open_page(shop, f"{JOBS}/rain_1")
    harmless(open_page(shop, f"/console/projects/{PROJECT}/submit", **{"from": "rain_1"}))
    harmless(open_page(shop, JOBS))


def test_what_is_typed_comes_back_as_text(shop):
    typed = [{name: HOSTILE[:-1]} for name in ("filter", "state", "pageToken")]
    for query in [*typed, {"filter": "jobId=a\0b"}]:
        harmless(shop.client(ANN).get(JOBS, params=query or None).text)
    harmless(shop.client(ANN).get("/console", params={"project": HOSTILE[:-1]}).text)
    harmless(shop.client(ANN).get("/console/sign-in", params={"next": HOSTILE[:-1]}).text)


def test_whatever_a_model_holds_is_shown_and_does_nothing(shop):
    hostile = HOSTILE.replace("\x00", "").replace("\ud800", "")
    now = shop.store.now()
    shop.store.create_model(StoredModel(PROJECT, "m", {"description": hostile}, {"a": hostile}, hostile, now, ""))
    details = {"signatures": {hostile: {"inputs": {hostile: {"dtype": hostile, "shape": [hostile]}}}, "odd": 3}}
    shop.store.create_version(
        StoredVersion(PROJECT, "m", "v1", {"deploymentUri": hostile}, {}, now, "", "READY", details=details)
    )
    harmless(open_page(shop, MODELS))
    harmless(open_page(shop, f"{MODELS}/m"))


@pytest.mark.parametrize("path", ["a%2F..", "%00", "..", "a'b", "a%20b", "x" * 500, "%F0%9F%98%80"])
def test_names_that_nobody_can_have_are_not_found(shop, path):
    for place in (f"{JOBS}/{path}", f"{JOBS}/{path}/errors", f"{MODELS}/{path}", f"/console/projects/x/{path}"):
        assert shop.client(ANN).get(place).status_code == 404


def test_a_token_is_on_no_page(shop):
    shop.job("rain_1")
    client = shop.signed_in(ANN)
    for path in ("/console", JOBS, f"{JOBS}/rain_1", "/console/sign-in"):
        text = client.get(path).text
        assert ANN not in text
        assert sha256_of(ANN) not in text


def test_a_job_that_waits_after_a_loss_says_until_when(shop):
    from batchpredict.service.queue.lifecycle import Lose

    shop.job("rain_1")
    shop.store.tell(PROJECT, "rain_1", Lose(shop.run("rain_1"), "its process was killed"))
    text = shown(open_page(shop, f"{JOBS}/rain_1"))
    assert "Attempts 1; the last one was lost" in text
    job = shop.store.job(PROJECT, "rain_1")
    assert job.standing.not_before
    assert job.standing.not_before - job.standing.changed <= timedelta(seconds=1)
