"""Jobs over HTTP: what is sent, what comes back, and what may be changed."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from service.rest_support import JOBS, error_of, violations

from batchpredict.job import to_datetime


@pytest.fixture
def client(world):
    with world.client() as made:
        yield made


def create(client, body, **query):
    response = client.post(JOBS, json=body, params=query)
    assert response.status_code == 200, response.text
    return response.json()


class TestCreate:
    @pytest.mark.parametrize("version", ["v1", "v1beta1"])
    def test_location_names_what_was_created(self, client, world, version):
        path = f"/{version}/projects/shop/jobs"
        response = client.post(path, json=world.job(f"located_{version}"))
        assert response.headers["location"] == f"{path}/located_{version}"
        assert client.get(response.headers["location"]).json()["jobId"] == f"located_{version}"

    def test_the_input_comes_back_to_the_letter(self, client, world):
        sent = (
            f'{{"jobId": "letter", "prediction_input": {{"data_format": "TEXT", "inputPaths": ["{world.inputs}"], '
            f'"outputPath": "{world.folder}/letter", "region": "r", "uri": "{world.model}",'
            ' "batchSize": 9007199254740993, "max_worker_count": "7", "signatureName": null}}'
        )
        response = client.post(JOBS, content=sent, headers={"content-type": "application/json"})
        assert response.status_code == 200, response.text
        expected = json.loads(sent)["prediction_input"]
        for answer in (response.json(), client.get(f"{JOBS}/letter").json()):
            assert answer["predictionInput"] == expected
            assert list(answer["predictionInput"]) == list(expected)
            assert "prediction_input" not in answer

    def test_a_null_is_an_absent_field(self, client, world):
        body = {**world.job("null"), "trainingInput": None, "labels": None, "etag": None, "webhook": None}
        assert {"trainingInput", "labels", "webhook"}.isdisjoint(create(client, body))

    def test_what_only_the_service_writes_is_ignored(self, client, world):
        body = {
            **world.job("forged"),
            "state": "SUCCEEDED",
            "createTime": 3,
            "error_message": [],
            "jobPosition": "9",
        }
        job = create(client, body)
        assert job["state"] == "QUEUED"
        to_datetime(job["createTime"])
        assert "errorMessage" not in job

    def test_validate_only_creates_nothing(self, client, world):
        body = world.job("only", labels={"a": "b"})
        assert create(client, body, validateOnly="true") == body
        assert client.get(f"{JOBS}/only").status_code == 404
        assert create(client, body, validate_only="false")["state"] == "QUEUED"
        assert client.post(JOBS, json=body, params={"validateOnly": "true"}).status_code == 409

    def test_validate_only_finds_what_create_would(self, client, world):
        body = world.job("found", inputPaths=[f"{world.folder}/nothing-*"])
        for query in ({}, {"validateOnly": "true"}):
            error = error_of(client.post(JOBS, json=body, params=query))
            assert [field for field, _ in violations(error)] == ["prediction_input.input_paths[0]"]

    def test_of_two_creates_that_race_for_an_id_one_is_a_409(self, world):
        clients = 8
        start = threading.Barrier(clients)

        def race(number: int) -> list[int]:
            codes = []
            with world.client() as client:
                for turn in range(5):
                    start.wait()
                    codes.append(
                        client.post(JOBS, json=world.job(f"race_{turn}", batchSize=number + 1)).status_code
                    )
            return codes

        with ThreadPoolExecutor(clients) as pool:
            codes = list(pool.map(race, range(clients)))
        for turn in range(5):
            assert sorted(one[turn] for one in codes) == [200] + [409] * (clients - 1)

    def test_a_webhook_is_echoed_and_kept_out_of_the_input(self, client, world):
        job = create(client, {**world.job("told"), "webhook": "https://hooks.example.org/x"})
        assert job["webhook"] == "https://hooks.example.org/x"
        assert world.store.job("shop", "told").new.webhook == "https://hooks.example.org/x"
        error = error_of(client.post(JOBS, json={**world.job("told_2"), "webhook": 7}))
        assert violations(error) == [("job.webhook", "Expected a string.")]


class TestGet:
    def test_a_queued_job_has_its_position(self, client, world):
        create(client, {**world.job("first")}).get("jobPosition")
        create(client, world.job("second"))
        first, second = (client.get(f"{JOBS}/{name}").json()["jobPosition"] for name in ("first", "second"))
        assert int(second) == int(first) + 1
        world.run("second")
        assert "jobPosition" not in client.get(f"{JOBS}/second").json()

    def test_a_running_job_has_its_counts(self, client, world):
        create(client, world.job("runs"))
        generation = world.run("runs")
        none = {"outputPath": f"{world.folder}/runs", "predictionCount": "0", "errorCount": "0", "nodeHours": 0}
        job = client.get(f"{JOBS}/runs").json()
        assert (job["state"], job["predictionOutput"]) == ("RUNNING", none)
        assert job["startTime"] >= job["createTime"]
        output = {**none, "predictionCount": "40", "errorCount": "2", "nodeHours": 0.01}
        world.end("runs", generation, output)
        job = client.get(f"{JOBS}/runs").json()
        assert (job["state"], job["predictionOutput"]) == ("SUCCEEDED", output)
        assert job["endTime"] >= job["startTime"]

    def test_fields_are_those_that_were_asked_for(self, client, world):
        create(client, world.job("masked", labels={"a": "b"}))
        assert client.get(f"{JOBS}/masked", params={"fields": "jobId,labels/a"}).json() == {
            "jobId": "masked",
            "labels": {"a": "b"},
        }
        page = client.get(JOBS, params={"filter": "jobId=masked", "fields": "jobs(jobId,predictionInput/region)"})
        assert page.json() == {"jobs": [{"jobId": "masked", "predictionInput": {"region": "us-central1"}}]}

    def test_pretty_print_is_for_people(self, client, world):
        create(client, world.job("pretty"))
        compact = client.get(f"{JOBS}/pretty")
        pretty = client.get(f"{JOBS}/pretty?prettyPrint=true")
        assert pretty.json() == compact.json()
        assert len(compact.text.splitlines()) == 1
        assert pretty.text.startswith('{\n  "jobId": "pretty"')

    def test_large_answers_are_compressed_for_who_takes_gzip(self, client, world):
        for number in range(5):
            create(client, world.job(f"many_{number}"))
        plain = client.get(f"{JOBS}?filter=jobId:many_*", headers={"accept-encoding": "identity"})
        packed = client.get(f"{JOBS}?filter=jobId:many_*", headers={"accept-encoding": "gzip, deflate"})
        refused = client.get(f"{JOBS}?filter=jobId:many_*", headers={"accept-encoding": "gzip;q=0"})
        assert "content-encoding" not in plain.headers
        assert "content-encoding" not in refused.headers
        assert packed.headers["content-encoding"] == "gzip"
        assert int(packed.headers["content-length"]) < int(plain.headers["content-length"])
        assert packed.json() == plain.json()
        assert plain.headers["vary"] == "Accept-Encoding"

    def test_head_is_get_without_the_body(self, client, world):
        create(client, world.job("headed"))
        response = client.head(f"{JOBS}/headed")
        assert (response.status_code, response.content) == (200, b"")
        assert client.head(f"{JOBS}/nothing").status_code == 404


class TestPatch:
    def test_labels_are_replaced_and_the_etag_changes(self, client, world):
        before = create(client, world.job("relabelled", labels={"a": "1", "b": "2"}))
        body = {"labels": {"c": "3"}}
        after = client.patch(f"{JOBS}/relabelled", params={"updateMask": "labels"}, json=body).json()
        assert after["labels"] == {"c": "3"}
        assert after["etag"] != before["etag"]
        assert {**after, "labels": 0, "etag": 0, "jobPosition": 0} == {
            **before,
            "labels": 0,
            "etag": 0,
            "jobPosition": 0,
        }

    def test_labels_that_the_mask_names_and_the_body_lacks_are_cleared(self, client, world):
        create(client, world.job("cleared", labels={"a": "1"}))
        after = client.patch(f"{JOBS}/cleared", params={"update_mask": "labels"}, json={})
        assert "labels" not in after.json()

    def test_an_empty_etag_is_an_absent_one(self, client, world):
        create(client, world.job("unset"))
        answer = client.patch(
            f"{JOBS}/unset", params={"updateMask": "labels"}, json={"labels": {"a": "2"}, "etag": ""}
        )
        assert (answer.status_code, answer.json()["labels"]) == (200, {"a": "2"})

    def test_a_stale_etag_is_a_409_and_changes_nothing(self, client, world):
        first = create(client, world.job("stale", labels={"a": "1"}))["etag"]
        path, mask = f"{JOBS}/stale", {"updateMask": "labels,etag"}
        second = client.patch(path, params=mask, json={"labels": {"a": "2"}, "etag": first}).json()
        error = error_of(client.patch(path, params=mask, json={"labels": {"a": "3"}, "etag": first}))
        assert (error["code"], error["status"]) == (409, "ABORTED")
        assert client.get(path).json()["labels"] == {"a": "2"}
        assert client.patch(path, params=mask, json={"labels": {}, "etag": second["etag"]}).status_code == 200

    @pytest.mark.parametrize(
        ("mask", "body", "field"),
        [
            ("state", {"state": "CANCELLED"}, "update_mask"),
            ("predictionInput.region", {}, "update_mask"),
            ("", {"jobId": "x"}, "update_mask"),
            ("labels,etag", {"labels": {}}, "job.etag"),
            ("labels", {"labels": {"A": "b"}}, "job.labels"),
            ("labels", {"labels": ["a"]}, "job.labels"),
            ("labels", {"colour": "red"}, "job"),
        ],
    )
    def test_nothing_else_can_be_changed(self, client, world, mask, body, field):
        client.post(JOBS, json=world.job("fixed", labels={"a": "1"}))
        error = error_of(client.patch(f"{JOBS}/fixed", params={"updateMask": mask}, json=body))
        assert [one for one, _ in violations(error)] == [field]
        assert client.get(f"{JOBS}/fixed").json()["labels"] == {"a": "1"}


class TestCancel:
    @pytest.mark.parametrize("body", [None, b"", b"{}", b'{"name": "projects/shop/jobs/x"}'])
    def test_it_needs_no_body(self, client, world, body):
        name = f"cancelled_{len(body) if body is not None else 'none'}"
        create(client, world.job(name))
        headers = {"content-type": "application/json"} if body else {}
        response = client.post(f"{JOBS}/{name}:cancel", content=body, headers=headers)
        assert (response.status_code, response.json()) == (200, {})
        assert client.get(f"{JOBS}/{name}").json()["state"] == "CANCELLED"

    def test_a_running_job_is_cancelling_and_says_why(self, client, world):
        create(client, world.job("busy"))
        world.run("busy")
        for _ in range(2):
            assert client.post(f"{JOBS}/busy:cancel").json() == {}
            job = client.get(f"{JOBS}/busy").json()
            assert (job["state"], job["errorMessage"]) == ("CANCELLING", "The job was cancelled by a request.")

    def test_a_job_that_has_ended_is_left_alone(self, client, world):
        create(client, world.job("over"))
        world.end("over", world.run("over"), error="broken")
        error = error_of(client.post(f"{JOBS}/over:cancel"))
        assert (error["code"], error["status"]) == (400, "FAILED_PRECONDITION")
        assert "FAILED already" in error["message"]
        assert client.get(f"{JOBS}/over").json()["errorMessage"] == "broken"

    def test_a_field_that_the_message_does_not_have(self, client):
        error = error_of(client.post(f"{JOBS}/x:cancel", json={"force": True}))
        assert error["code"] in (400, 404)
