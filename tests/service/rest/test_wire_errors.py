"""Whatever is wrong with a request, the answer has the one shape of errors, and says where and what."""

from __future__ import annotations

import gzip
import json

import pytest
from service import rest_support
from service.rest_support import JOBS, PROJECT, error_of, violations

from batchpredict.service.rest.bodies import MAX_BODY, MAX_ITEMS, MAX_TEXT


@pytest.fixture
def client(world):
    with world.client() as made:
        yield made


def post(client, content: bytes | str, content_type: str = "application/json", **headers: str):
    return client.post(JOBS, content=content, headers={"content-type": content_type, **headers})


class TestBodies:
    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("{", "line 1 column 2"),
            ('{"jobId": "a",\n "jobId": "b"}', 'The name "jobId" appears twice'),
            ("[1]", "Expected an object, got [1]."),
            ('"text"', "Expected an object"),
            ("null", "Expected an object, got null."),
            ('{"a": NaN}', "NaN is not JSON."),
            ('{"a": 1e999}', "too large for a double"),
            ("[" * 100_000, "Nested too deeply."),
            (b'{"a": "\xff"}', "Not UTF-8 at line 1 column 8."),
        ],
    )
    def test_text_that_is_no_json_object_is_told_where(self, client, text, said):
        error = error_of(post(client, text))
        assert (error["code"], error["status"]) == (400, "INVALID_ARGUMENT")
        [(field, description)] = violations(error)
        assert field == ""
        assert description.startswith("Invalid JSON payload received. ")
        assert said in description

    @pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
    def test_a_content_type_that_is_not_json(self, client, kind):
        error = error_of(post(client, "{}", kind))
        assert error["code"] == 400
        assert error["message"].endswith("is not accepted; send application/json.")

    @pytest.mark.parametrize("kind", ["application/json", "application/json; charset=UTF-8", "Application/JSON"])
    def test_json_by_any_spelling(self, client, world, kind):
        body = json.dumps(world.job(f"spelled_{len(kind)}_{kind[0]}"))
        assert post(client, body, kind).status_code == 200

    def test_a_body_that_is_too_large(self, client):
        error = error_of(post(client, b" " * (MAX_BODY + 1)))
        assert error["message"] == f"Request payload size exceeds the limit: {MAX_BODY} bytes."

    def test_a_body_that_is_too_large_and_comes_in_chunks(self, client):
        chunks = (b" " * 65536 for _ in range(MAX_BODY // 65536 + 1))
        response = client.post(JOBS, content=chunks, headers={"content-type": "application/json"})
        assert "exceeds the limit" in error_of(response)["message"]

    def test_gzip_is_taken_and_bounded_by_what_it_holds(self, client, world):
        body = json.dumps(world.job("zipped")).encode()
        headers = {"content-encoding": "gzip"}
        assert post(client, gzip.compress(body), **headers).status_code == 200
        bomb = gzip.compress(b" " * (MAX_BODY + 1))
        assert "exceeds the limit" in error_of(post(client, bomb, **headers))["message"]
        assert "no gzip" in error_of(post(client, body, **headers))["message"]
        assert "cut off" in error_of(post(client, gzip.compress(body)[:-3], **headers))["message"]
        assert "not known" in error_of(post(client, body, **{"content-encoding": "br"}))["message"]

    def test_lists_and_texts_are_bounded(self, client, world):
        many = world.job("bounded", inputPaths=["a"] * (MAX_ITEMS + 1))
        assert violations(error_of(client.post(JOBS, json=many))) == [
            ("job.prediction_input.input_paths", f"Expected at most {MAX_ITEMS} items, got {MAX_ITEMS + 1}.")
        ]
        long = world.job("bounded", region="r" * (MAX_TEXT + 1))
        assert violations(error_of(client.post(JOBS, json=long))) == [
            ("job.prediction_input.region", f"Expected at most {MAX_TEXT} characters, got {MAX_TEXT + 1}.")
        ]

    @pytest.mark.parametrize("text", ['{"jobId": "a\\u0000"}', '{"jobId": "\\ud800"}', '{"\\u0000": 1}'])
    def test_text_that_a_database_cannot_keep(self, client, text):
        assert error_of(post(client, text))["code"] == 400

    def test_a_get_with_a_body(self, client):
        error = error_of(client.request("GET", JOBS, json={"a": 1}))
        assert error["message"] == "This method takes no body."


class TestJobs:
    def test_an_unknown_field_is_refused_in_the_words_of_the_service(self, client, world):
        error = error_of(client.post(JOBS, json={**world.job("unknown"), "parameter_server_type": "x"}))
        text = "Invalid JSON payload received. Unknown name \"parameter_server_type\" at 'job': Cannot find field."
        assert violations(error) == [("job", text)]
        assert text in error["message"]

    def test_everything_that_is_wrong_is_named_at_once(self, client, world):
        body = world.job("wrong", dataFormat="XML", batchSize="many")
        fields = [field for field, _ in violations(error_of(client.post(JOBS, json=body)))]
        assert fields == ["prediction_input.data_format", "prediction_input.batch_size"]

    @pytest.mark.parametrize("job_id", ["1st", "with-dash", "a/b", "", "ümlaut", "a b"])
    def test_a_bad_id_is_blamed_on_job_id(self, client, world, job_id):
        error = error_of(client.post(JOBS, json=world.job(job_id)))
        text = "A name should start with a letter and contain only letters, numbers and underscores."
        assert error["message"] == f"Field: job_id Error: {text}"
        assert violations(error) == [("job_id", text)]

    def test_an_id_that_is_too_long(self, client, world):
        assert client.post(JOBS, json=world.job("a" * 128)).status_code == 200
        assert "at most 128 characters" in error_of(client.post(JOBS, json=world.job("a" * 129)))["message"]

    def test_labels_that_break_the_rules(self, client, world):
        body = {**world.job("labels"), "labels": {"Team": "blue", "team": "Blue", "ok": "fine-1_2"}}
        fields = violations(error_of(client.post(JOBS, json=body)))
        assert [field for field, _ in fields] == ["job.labels", "job.labels"]
        assert 'The key "Team"' in fields[0][1]
        assert 'The value of "team"' in fields[1][1]

    def test_a_full_queue_is_429_with_a_quota_failure(self, tmp_path):
        with rest_support.world(str(tmp_path), queue_limit=2) as world, world.client() as client:
            for number in range(2):
                assert client.post(JOBS, json=world.job(f"j{number}")).status_code == 200
            error = error_of(client.post(JOBS, json=world.job("j2")))
            assert (error["code"], error["status"]) == (429, "RESOURCE_EXHAUSTED")
            assert error["message"].startswith(f"Quota failure for project {PROJECT}. ")
            [detail] = error["details"]
            assert detail["@type"] == "type.googleapis.com/google.rpc.QuotaFailure"
            assert [one["subject"] for one in detail["violations"]] == [PROJECT]


class TestPaths:
    @pytest.mark.parametrize(
        "path",
        [
            "/v2/projects/p/jobs",
            "/v1/projects/p/jobs/",
            "/v1/projects/p/jobs/j:fly",
            "/v1/projects/p/jobs/j/k",
            "/v1//projects/p/jobs",
            "/v1/projects//jobs",
            "/v1",
            "/v1/projects/p:predict",
        ],
    )
    def test_a_path_that_is_not_served(self, client, path):
        error = error_of(client.get(path))
        assert (error["code"], error["status"]) == (404, "NOT_FOUND")

    @pytest.mark.parametrize(
        ("verb", "path", "allowed"),
        [
            ("PUT", JOBS, "GET, HEAD, POST"),
            ("DELETE", f"{JOBS}/j", "GET, HEAD, PATCH"),
            ("GET", f"{JOBS}/j:cancel", "POST"),
            ("POST", "/healthz", "GET, HEAD"),
        ],
    )
    def test_a_verb_that_a_path_does_not_have(self, client, verb, path, allowed):
        response = client.request(verb, path)
        assert error_of(response)["code"] == 405
        assert response.headers["allow"] == allowed

    @pytest.mark.parametrize(
        "name", ["1st", "a-b", "..", "%2e%2e", "a%2Fb", "a%5Cb", "a%00b", "a" * 129, "%E2%82%AC"]
    )
    def test_a_name_that_nothing_can_have_is_not_found(self, world, name):
        # As bytes: clients normalize dots and slashes away.
        host = world.url.removeprefix("http://")
        request = f"GET {JOBS}/{name} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        answer = rest_support.raw(world.url, request.encode())
        assert answer.startswith(b"HTTP/1.1 404 ")
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["status"] == "NOT_FOUND"

    def test_an_encoded_slash_is_no_way_to_another_resource(self, world):
        host = world.url.removeprefix("http://")
        for path in ("/v1/projects/shop%2Fjobs", "/v1/projects%2fshop/jobs", "/v1/projects/shop/jobs%2Fx"):
            request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
            assert rest_support.raw(world.url, request.encode()).startswith(b"HTTP/1.1 404 "), path


class TestQueries:
    @pytest.mark.parametrize(
        ("query", "said"),
        [
            ("pageSize=x", "Invalid value at 'page_size' (TYPE_INT32), \"x\""),
            ("pageSize=99999999999", "Invalid value at 'page_size' (TYPE_INT32)"),
            ("pageSize=-1", "Field: page_size Error: Expected 0 to 100, got -1."),
            ("page_size=1.5", "Invalid value at 'page_size'"),
            ("pageToken=x", "Field: page_token Error: This is no page token that the service gave."),
            ("filter=state", "Field: filter Error: The filter is not valid at character"),
            ("filter=%00", "U+0000"),
            ("colour=red", 'Unknown name "colour": Cannot bind query parameter.'),
            ("fields=a(b", "Invalid field selection a(b"),
            ("alt=proto", "Field: alt Error:"),
            ("prettyPrint=maybe", "Field: pretty_print Error: Expected true or false"),
        ],
    )
    def test_a_parameter_that_is_wrong(self, client, query, said):
        error = error_of(client.get(f"{JOBS}?{query}"))
        assert error["code"] == 400
        assert said in error["message"]

    def test_global_parameters_are_tolerated(self, client):
        query = (
            "$.xgafv=2&alt=json&key=k&quotaUser=u&uploadType=media&upload_protocol=raw&callback=f&prettyPrint=false"
        )
        response = client.get(f"{JOBS}?{query}&filter=state=FAILED")
        assert (response.status_code, response.json()) == (200, {})


def test_whatever_goes_wrong_inside_says_nothing_of_the_inside(world, client, monkeypatch):
    def broken(*args, **settings):
        raise RuntimeError("the password is swordfish")

    monkeypatch.setattr(world.store, "jobs", broken)
    error = error_of(client.get(JOBS))
    assert (error["code"], error["status"]) == (500, "INTERNAL")
    assert "swordfish" not in error["message"]


def test_a_database_that_does_not_answer_is_503(world, client, monkeypatch):
    from batchpredict.service.store import StoreFailed

    def gone(*args, **settings):
        raise StoreFailed("connection to 10.0.0.1 refused")

    monkeypatch.setattr(world.store, "jobs", gone)
    monkeypatch.setattr(world.store, "ready", gone)
    response = client.get(JOBS)
    assert error_of(response)["status"] == "UNAVAILABLE"
    assert response.headers["retry-after"] == "1"
    assert error_of(client.get("/readyz"))["code"] == 503
    assert client.get("/healthz").status_code == 200
