"""Jobs that are created and cancelled by forms: through the methods that the API has."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping

import httpx
import pytest
from service.console_support import ANN, PROJECT, World, form_token, origin

from batchpredict.job import State

SUBMIT = f"/console/projects/{PROJECT}/submit"
JOBS = f"/console/projects/{PROJECT}/jobs"


def good(shop: World) -> dict[str, str]:
    """The fields of the form for a job that can run."""
    return {
        "job_id": "rain_1",
        "model_kind": "uri",
        "model": f"{shop.root}/model",
        "input_paths": f"{shop.root}/in.json\n",
        "data_format": "TEXT",
        "output_path": f"{shop.root}/out",
        "region": "local",
        "signature_name": "",
        "batch_size": "",
        "labels": "",
        "action": "submit",
    }


def send(shop: World, fields: Mapping[str, str], page: str = SUBMIT) -> httpx.Response:
    client = shop.signed_in(ANN)
    token = form_token(client.get(page))
    return client.post(
        SUBMIT, data={**fields, "form_token": token}, headers=origin(shop.url), follow_redirects=False
    )


def fault_at(text: str, name: str) -> str:
    """What is said at a field that is marked as wrong; "" if nothing is."""
    found = re.search(rf'<ul class="fault" id="{name}-fault">(.*?)</ul>', text, re.DOTALL)
    if found is None:
        return ""
    control = re.search(rf'<(?:input|textarea|select) id="{name}"[^>]*>', text)
    assert control
    assert 'aria-invalid="true"' in control[0]
    assert f"{name}-fault" in control[0]
    return html.unescape(re.sub(r"<[^>]*>", "", found[1]))


def test_a_form_creates_a_job_and_leads_to_it(shop):
    fields = {
        **good(shop),
        "batch_size": "16",
        "signature_name": "serving_default",
        "key_field": "id",
        "max_errors": "5%",
        "labels": "team=blue\n\nnight=",
    }
    answer = send(shop, fields)
    assert (answer.status_code, answer.headers["location"]) == (303, f"{JOBS}/rain_1")
    job = shop.store.job(PROJECT, "rain_1")
    assert job.new.document["predictionInput"] == {
        "uri": f"{shop.root}/model",
        "inputPaths": [f"{shop.root}/in.json"],
        "dataFormat": "TEXT",
        "outputPath": f"{shop.root}/out",
        "region": "local",
        "signatureName": "serving_default",
        "batchSize": "16",
        "instanceConfig": {"keyField": "id"},
        "maxErrors": "5%",
    }
    assert dict(job.new.labels) == {"team": "blue", "night": ""}
    assert job.new.creator == "user:ann@x.org"


def test_a_check_creates_nothing(shop):
    answer = send(shop, {**good(shop), "action": "check"})
    assert answer.status_code == 200
    assert "Nothing is wrong with this job" in answer.text
    assert 'value="rain_1"' in answer.text
    assert shop.store.jobs(PROJECT) == ([], None)


@pytest.mark.parametrize("action", ["submit", "check"])
@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("job_id", "1 rain", "should start with a letter"),
        ("job_id", "", "should start with a letter"),
        ("model", "", "This field is required."),
        ("model", "ROOT/nothing", "nothing"),
        ("input_paths", "ROOT/none-*.json", "matches no file"),
        ("input_paths", "/etc/passwd", "/etc/passwd"),
        ("output_path", "/etc", "/etc"),
        ("output_path", "", "required"),
        ("batch_size", "many", "many"),
        ("signature_name", "no_such", "no_such"),
        ("labels", "what is this", "key=value"),
        ("labels", "Team=Blue", "Team"),
        ("max_errors", "a few", "number of records"),
    ],
)
def test_what_is_wrong_is_said_at_its_field(shop, action, field, value, said):
    fields = {**good(shop), field: value.replace("ROOT", shop.root), "action": action}
    answer = send(shop, fields)
    assert answer.status_code == 400
    assert said in fault_at(answer.text, field)
    assert 'role="alert"' in answer.text
    assert shop.store.jobs(PROJECT) == ([], None)


def test_a_form_keeps_what_was_typed(shop):
    fields = {**good(shop), "job_id": 'a "b"', "input_paths": "one\n<two>", "max_errors": "5%"}
    text = send(shop, fields).text
    assert 'value="a &#34;b&#34;"' in text
    assert "\none\n&lt;two&gt;</textarea>" in text
    assert "<details open>" in text


def test_an_id_that_is_taken_is_said_at_its_field(shop):
    shop.job("rain_1")
    answer = send(shop, good(shop))
    assert answer.status_code == 400
    assert "already exists" in fault_at(answer.text, "job_id")


def test_several_faults_are_said_at_once(shop):
    text = send(
        shop, {**good(shop), "output_path": "/etc", "input_paths": f"/root\n{shop.root}/in.json\n/bin"}
    ).text
    assert fault_at(text, "output_path")
    assert "input_paths[0]" in fault_at(text, "input_paths")
    assert "input_paths[2]" in fault_at(text, "input_paths")


@pytest.mark.parametrize(
    ("kind", "typed", "wire", "name"),
    [
        ("modelName", "census", "modelName", "projects/shop/models/census"),
        ("versionName", "census/v1", "versionName", "projects/shop/models/census/versions/v1"),
        ("versionName", "projects/other/models/m/versions/v", "versionName", "projects/other/models/m/versions/v"),
    ],
)
def test_a_model_that_is_not_there_is_said_at_its_field_by_its_full_name(shop, kind, typed, wire, name):
    answer = send(shop, {**good(shop), "model_kind": kind, "model": typed})
    assert answer.status_code == 400
    assert fault_at(answer.text, "model")
    from batchpredict.service.console.drafts import draft

    document = draft({**good(shop), "model_kind": kind, "model": typed}, PROJECT)
    assert document["predictionInput"][wire] == name


@pytest.mark.parametrize("field", ["job_id", "model", "input_paths", "output_path", "signature_name", "key_field"])
def test_text_that_no_database_takes_is_refused_as_in_the_api(shop, field):
    answer = send(shop, {**good(shop), field: "a\0b"})
    assert answer.status_code == 400
    assert "U+0000" in fault_at(answer.text, field)


def test_a_job_of_ten_thousand_paths_is_taken_and_more_are_refused(shop):
    paths = "\n".join([f"{shop.root}/in.json"] * 10_001)
    answer = send(shop, {**good(shop), "input_paths": paths})
    assert answer.status_code == 400
    assert "at most 10000 items" in fault_at(answer.text, "input_paths")


# Again --------------------------------------------------------------------------------------------------------


def test_a_job_is_submitted_again_with_the_same_input_under_a_new_id(shop):
    asked = {"batchSize": 16, "max_errors": "7", "region": "mars"}
    shop.job("rain_1", asked=asked, labels={"team": "blue"})
    page = f"{SUBMIT}?from=rain_1"
    text = shop.client(ANN).get(page).text
    typed = re.search(r'<textarea id="input"[^>]*>\n(.*?)</textarea>', text, re.DOTALL)
    assert typed
    assert 'name="job_id" value="rain_2"' in text
    fields = {"job_id": "rain_2", "input": html.unescape(typed[1]), "labels": "team=blue", "from": "rain_1"}
    answer = send(shop, fields, page)
    assert answer.status_code == 303, answer.text
    first, second = shop.store.job(PROJECT, "rain_1"), shop.store.job(PROJECT, "rain_2")
    assert second.new.document["predictionInput"] == first.new.document["predictionInput"]
    assert second.new.labels == first.new.labels


def test_an_input_that_is_no_json_is_said_with_its_line(shop):
    shop.job("rain_1")
    fields = {"job_id": "rain_2", "input": '{\n "uri": nothing}', "from": "rain_1"}
    answer = send(shop, fields, f"{SUBMIT}?from=rain_1")
    assert answer.status_code == 400
    assert "line 2" in fault_at(answer.text, "input")


NO_JOBS = [
    "",
    "[]",
    "3",
    "null",
    "NaN",
    "[" * 100_000,
    '{"a":' * 900 + "1" + "}" * 900,
    '{"a": "\\ud800"}',
    '{"a": Infinity}',
    '{"a": 1e999}',
]


@pytest.mark.parametrize("text", NO_JOBS)
def test_an_input_that_is_no_object_is_refused(shop, text):
    shop.job("rain_1")
    answer = send(shop, {"job_id": "rain_2", "input": text, "from": "rain_1"}, f"{SUBMIT}?from=rain_1")
    assert answer.status_code == 400
    assert fault_at(answer.text, "input")


def test_faults_of_an_input_in_json_are_said_at_it_with_their_fields(shop):
    shop.job("rain_1")
    asked = shop.store.job(PROJECT, "rain_1").new.document["predictionInput"]
    text = json.dumps({**asked, "batchSize": "many", "outputPath": ""})
    answer = send(shop, {"job_id": "rain_2", "input": text, "from": "rain_1"}, f"{SUBMIT}?from=rain_1")
    said = fault_at(answer.text, "input")
    assert "batch_size" in said
    assert "output_path" in said


def test_a_job_that_one_may_not_see_cannot_be_copied(shop):
    shop.job("rain_1", project="other")
    assert shop.client(ANN).get(f"{SUBMIT}?from=rain_1").status_code == 404


# Cancel -------------------------------------------------------------------------------------------------------


def cancel(shop: World) -> httpx.Response:
    client = shop.signed_in(ANN)
    token = form_token(client.get(f"{JOBS}/rain_1/cancel"))
    fields = {"form_token": token}
    return client.post(f"{JOBS}/rain_1/cancel", data=fields, headers=origin(shop.url), follow_redirects=False)


def test_a_running_job_is_cancelled(shop):
    shop.job("rain_1")
    shop.run("rain_1")
    answer = cancel(shop)
    assert (answer.status_code, answer.headers["location"]) == (303, f"{JOBS}/rain_1")
    standing = shop.store.job(PROJECT, "rain_1").standing
    assert standing.state is State.CANCELLING
    assert "user:ann@x.org" in standing.message


def test_a_job_that_has_ended_meanwhile_is_said_to_have(shop):
    shop.job("rain_1")
    shop.end("rain_1", shop.run("rain_1"))
    answer = cancel(shop)
    assert answer.status_code == 400
    assert "SUCCEEDED already" in answer.text
    assert "Cancel the job" not in answer.text
