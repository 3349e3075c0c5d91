"""Watches over HTTP: what is asked for, what comes back, and what is wrong with it."""

from __future__ import annotations

import os
import shutil
from datetime import timedelta
from typing import Any

import pytest
from service.rest_support import PROJECT, World, error_of, violations

from batchpredict.service.store import RUNNING, SET_ASIDE, EpochReport, Note, StoredEpoch

WATCHES = f"/v1/projects/{PROJECT}/watches"


@pytest.fixture
def client(world):
    with world.client() as made:
        yield made


def test_it_comes_back_to_the_letter(client, world: World):
    sent = world.watch(
        "letter", every="60s", settle="1.5s", maxFiles="10", changed="IGNORE", tries=3, labels={"a": "b"}
    )
    response = client.post(WATCHES, json=sent)
    assert response.status_code == 200
    assert response.headers["location"] == f"{WATCHES}/letter"
    answer = response.json()
    assert {name: answer.pop(name) for name in sent} == sent
    assert answer.pop("createTime")
    assert answer == {"name": f"projects/{PROJECT}/watches/letter", "state": "ACTIVE", "epochs": "0"}
    assert client.get(f"{WATCHES}/letter").json()["tries"] == 3
    assert client.get(f"/v1beta1/projects/{PROJECT}/watches/letter").json()["every"] == "60s"
    taken = error_of(client.post(WATCHES, json=sent))
    assert (taken["code"], violations(taken)) == (
        409, [("watch.watch_id", "A watch with this id already exists.")]
    )  # fmt: skip


def test_a_spelling_is_as_free_as_that_of_jobs(client, world: World):
    sent = world.watch("spelled")
    asked = {"watch_id": "spelled", "prediction_input": sent["predictionInput"], "max_files": 5, "every": None}
    answer = client.post(WATCHES, json=asked).json()
    assert (answer["watchId"], answer["maxFiles"], "every" in answer) == ("spelled", 5, False)


def test_files_may_be_yet_to_come_and_validate_only_creates_nothing(client, world: World):
    asked = {**world.asked("later"), "inputPaths": [f"{world.folder}/later-*/**/*.json"]}
    response = client.post(f"{WATCHES}?validateOnly=true", json={"watchId": "later", "predictionInput": asked})
    assert response.json() == {"watchId": "later", "predictionInput": asked}
    assert client.get(f"{WATCHES}/later").status_code == 404
    assert client.post(WATCHES, json={"watchId": "later", "predictionInput": asked}).status_code == 200


@pytest.mark.parametrize(
    ("changes", "field", "text"),
    [
        ({"watchId": "1"}, "watch.watch_id", "A name should start with a letter"),
        ({"watchId": "x" * 101}, "watch.watch_id", "at most 100 characters"),
        ({"watchId": None}, "watch.watch_id", "required"),
        ({"predictionInput": None}, "prediction_input", "required"),
        ({"every": "0s"}, "watch.every", 'Expected a pause of "1s" or more'),
        ({"every": "30"}, "watch.every", "Expected a duration in seconds"),
        ({"every": 30}, "watch.every", "Expected a duration in seconds"),
        ({"settle": "-1s"}, "watch.settle", "Expected"),
        ({"maxFiles": 0}, "watch.max_files", "Expected at least 1"),
        ({"maxBytes": "many"}, "watch.max_bytes", "Expected an integer"),
        ({"tries": "0"}, "watch.tries", "Expected at least 1"),
        ({"changed": "PERHAPS"}, "watch.changed", "Expected one of RESCORE, IGNORE, FAIL"),
        ({"newestVersion": "yes"}, "watch.newest_version", "Expected true or false"),
        ({"colour": "red"}, "watch", 'Unknown name "colour"'),
        ({"labels": {"watch": "x"}}, "watch.labels", "by which the jobs of a watch are found"),
        ({"labels": {"Team": "x"}}, "watch.labels", "lower-case"),
        ({"webhook": 1}, "watch.webhook", "Expected a string"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_watch_names_its_field(client, world: World, changes, field, text):
    sent: dict[str, Any] = {**world.watch("wrong"), **changes}
    error = error_of(client.post(WATCHES, json=sent))
    assert error["code"] == 400
    assert [(name, text in said) for name, said in violations(error)] == [(field, True)], error


@pytest.mark.parametrize(
    ("changes", "field", "text"),
    [
        ({"uri": "/nowhere"}, "prediction_input.uri", "is not below a folder that jobs may use"),
        ({"uri": "{folder}/none"}, "prediction_input.uri", ""),
        ({"inputPaths": ["/etc/*"]}, "prediction_input.input_paths[0]", "is not below a folder"),
        ({"outputPath": "/etc/out"}, "prediction_input.output_path", "is not below a folder"),
        ({"inputPaths": ["{folder}/other/*"], "outputPath": "{folder}/in.json"}, "prediction_input.output_path",
         "is not a folder"),
        ({"inputPaths": ["{folder}/own-out/*.json"], "outputPath": "{folder}/own-out"},
         "prediction_input.input_paths", "lies in the folder of output_path"),
        ({"signatureName": "none"}, "prediction_input.signature_name", "none"),
        ({"batchSize": 0}, "prediction_input.batch_size", "Expected at least 1"),
        ({"uri": None, "modelName": "projects/shop/models/none"}, "prediction_input.model_name", "was not found"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_its_jobs_names_their_field(client, world: World, changes, field, text):
    asked = {**world.asked("bad"), **changes}
    asked = {
        name: [one.format(folder=world.folder) for one in value] if isinstance(value, list)
        else value.format(folder=world.folder) if isinstance(value, str) else value
        for name, value in asked.items()
    }  # fmt: skip
    error = error_of(client.post(WATCHES, json={"watchId": "bad", "predictionInput": asked}))
    assert error["code"] in (400, 404)
    assert [(name, text in said) for name, said in violations(error)] == [(field, True)], error


def test_a_folder_of_versions_has_to_have_one_that_lies_below_the_roots(client, world: World, tmp_path):
    base = f"{world.folder}/versions"
    os.makedirs(f"{base}/readme")
    sent = {
        "watchId": "versions",
        "predictionInput": {**world.asked("versions"), "uri": base},
        "newestVersion": True,
    }
    error = error_of(client.post(WATCHES, json=sent))
    assert violations(error)[0][0] == "prediction_input.uri"
    assert "holds no version" in violations(error)[0][1]
    os.symlink(world.model, f"{base}/7")
    assert client.post(WATCHES, json=sent).json()["newestVersion"] is True
    shutil.copytree(world.model, f"{tmp_path}/elsewhere")
    os.symlink(f"{tmp_path}/elsewhere", f"{base}/8")
    error = error_of(client.post(WATCHES, json={**sent, "watchId": "led_out"}))
    assert violations(error)[0][0] == "prediction_input.uri"
    assert '/versions/8" is not below a folder that jobs may use' in violations(error)[0][1]


def test_a_folder_with_the_results_of_a_job_is_not_shared_with_it(client, world: World):
    folder = f"{world.folder}/results"
    os.makedirs(folder)
    open(f"{folder}/_SUCCESS", "w").close()
    sent = {"watchId": "mixed", "predictionInput": {**world.asked("mixed"), "outputPath": folder}}
    ((field, text),) = violations(error_of(client.post(WATCHES, json=sent)))
    assert field == "prediction_input.output_path"
    assert text.endswith("holds the results of a job. Choose a folder of its own.")


def test_lists_are_paged_newest_first(client, world: World):
    for number in range(3):
        client.post(WATCHES, json=world.watch(f"page{number}"))
    first = client.get(WATCHES, params={"pageSize": 2}).json()
    second = client.get(WATCHES, params={"pageSize": 100, "pageToken": first["nextPageToken"]}).json()
    names = [one["watchId"] for one in (*first["watches"], *second["watches"])]
    assert names[:3] == ["page2", "page1", "page0"]
    assert len(set(names)) == len(names)
    assert error_of(client.get(WATCHES, params={"pageToken": "x"}))["code"] == 400


def test_what_the_leader_says_is_shown(client, world: World):
    client.post(WATCHES, json=world.watch("shown"))
    store = world.store
    (led,) = [one for one in store.lead("w", timedelta(minutes=5), 100) if one.watch_id == "shown"]
    generation = led.leading.generation
    aside = StoredEpoch(1, SET_ASIDE, 2, 10, "/m", failures=5, message="Too many errors.")
    epochs = [aside, StoredEpoch(2, RUNNING, 1, 5, "/m")]
    note = Note(store.now(), "WARNING", "epoch 1 is set aside")
    store.report_epochs(led.number, generation, EpochReport(2, epochs), [note])
    store.report_epoch_job(led.number, generation, 2, "shown_epoch_00000002")
    watch = client.get(f"{WATCHES}/shown").json()
    assert watch["leader"] == "w"
    assert (watch["epochs"], watch["setAsideEpochs"]) == ("2", "1")
    assert [(one["severity"], one["message"]) for one in watch["notes"]] == [("WARNING", "epoch 1 is set aside")]
    second, first = client.get(f"{WATCHES}/shown/epochs").json()["epochs"]
    assert second.pop("createTime")
    assert second == {
        "epoch": "2", "state": "RUNNING", "files": "1", "bytes": "5", "model": "/m",
        "job": f"projects/{PROJECT}/jobs/shown_epoch_00000002",
    }  # fmt: skip
    assert (first["state"], first["failures"], first["errorMessage"]) == ("SET_ASIDE", "5", "Too many errors.")
    assert "endTime" in first
    page = client.get(f"{WATCHES}/shown/epochs", params={"pageSize": 1}).json()
    rest = client.get(f"{WATCHES}/shown/epochs", params={"pageSize": 1, "pageToken": page["nextPageToken"]}).json()
    assert [one["epoch"] for one in (*page["epochs"], *rest["epochs"])] == ["2", "1"]
    assert client.post(f"{WATCHES}/shown:retry", json={"name": "as some clients send it"}).status_code == 200


def test_it_is_paused_resumed_and_deleted(client, world: World):
    client.post(WATCHES, json=world.watch("moved"))
    assert client.post(f"{WATCHES}/moved:pause").json()["state"] == "PAUSED"
    assert client.post(f"{WATCHES}/moved:pause").json()["state"] == "PAUSED"
    assert client.post(f"{WATCHES}/moved:resume").json()["state"] == "ACTIVE"
    error = error_of(client.post(f"{WATCHES}/moved:retry"))
    assert (error["code"], error["status"]) == (400, "FAILED_PRECONDITION")
    assert client.delete(f"{WATCHES}/moved").json() == {}
    for verb, path in (("GET", ""), ("DELETE", ""), ("POST", ":pause"), ("GET", "/epochs")):
        error = error_of(client.request(verb, f"{WATCHES}/moved{path}"))
        assert error["code"] == 404
        assert error["message"].endswith('The watch resource: "moved" was not found.')
    assert error_of(client.get(f"{WATCHES}/1/epochs"))["code"] == 404
