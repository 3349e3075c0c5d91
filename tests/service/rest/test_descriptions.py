"""What the service says of itself: OpenAPI, discovery, a page for readers, health and metrics."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from googleapiclient import discovery_cache
from jsonschema_rs import meta
from prometheus_client.parser import text_string_to_metric_families
from service.rest_support import JOBS, error_of

from batchpredict.job import Job, PredictionInput, TrainingInput
from batchpredict.service.rest.method import VERSIONS
from batchpredict.service.rest.methods import METHODS
from batchpredict.service.rest.schemas import messages


@pytest.fixture
def client(world):
    with world.client() as made:
        yield made


class TestOpenApi:
    def test_it_has_every_method_of_both_versions(self, client):
        document = client.get("/openapi.json").json()
        assert document["openapi"] == "3.1.0"
        found = {(path, verb) for path, verbs in document["paths"].items() for verb in verbs}
        assert found == {(f"/{one}/{method.flat}", method.verb.lower()) for one in VERSIONS for method in METHODS}

    def test_its_schemas_are_schemas_and_refer_to_what_is_there(self, client):
        document = client.get("/openapi.json").json()
        schemas = document["components"]["schemas"]
        for schema in schemas.values():
            meta.validate(schema)
        referred = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(document)))
        assert referred == set(schemas)

    def test_its_operations_have_ids_of_their_own(self, client):
        paths = client.get("/openapi.json").json()["paths"]
        ids = [operation["operationId"] for verbs in paths.values() for operation in verbs.values()]
        assert len(set(ids)) == len(ids) == 2 * len(METHODS)


class TestDiscovery:
    @pytest.mark.parametrize("version", VERSIONS)
    def test_it_says_of_each_method_what_google_says(self, client, version):
        ours = methods_of(client.get("/$discovery/rest", params={"version": version}).json())
        theirs = methods_of(discovery_of_google())
        offered = {method.id for method in METHODS if not method.additive}
        assert {method.id for method in METHODS} == set(ours)
        assert offered <= set(theirs)
        for name in offered:
            for part in ("httpMethod", "path", "flatPath"):
                told = re.sub("^v1", version, theirs[name][part]) if "ath" in part else theirs[name][part]
                assert ours[name][part] == told, name
            assert set(ours[name]["parameters"]) >= set(theirs[name]["parameters"]), name

    def test_a_version_that_there_is_not(self, client):
        assert error_of(client.get("/$discovery/rest?version=v7"))["code"] == 400

    def test_it_says_where_the_service_is(self, client, world):
        document = client.get("/$discovery/rest?version=v1").json()
        assert document["rootUrl"] == document["baseUrl"] == f"{world.url}/"


def discovery_of_google() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(discovery_cache.get_static_doc("ml", "v1"))
    return document


def methods_of(document: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, resource in document.get("resources", {}).items():
        found.update({f"{prefix}{name}.{one}": told for one, told in resource.get("methods", {}).items()})
        found.update(methods_of(resource, f"{prefix}{name}."))
    return found


class TestSchemas:
    @pytest.mark.parametrize("message", [Job, PredictionInput, TrainingInput])
    def test_they_have_every_field_by_its_name_on_the_wire(self, message):
        names = {name for name in message.spellings() if "_" not in name}
        assert set(messages()[message.__name__]["properties"]) - {"webhook"} == names

    def test_numbers_of_64_bits_are_strings_and_times_are_times(self):
        asked, job = messages()["PredictionInput"]["properties"], messages()["Job"]["properties"]
        assert asked["batchSize"] == {"type": "string", "format": "int64"}
        assert asked["inputPaths"] == {"type": "array", "items": {"type": "string"}}
        assert "PARQUET" in asked["dataFormat"]["enum"]
        assert job["createTime"]["format"] == "google-datetime"
        assert job["labels"] == {"type": "object", "additionalProperties": {"type": "string"}}
        assert job["predictionInput"] == {"$ref": "PredictionInput"}
        assert messages()["PredictionOutput"]["properties"]["nodeHours"]["type"] == "number"
        assert messages()["HyperparameterSpec"]["properties"]["maxTrials"] == {"type": "integer", "format": "int32"}
        assert messages()["ParameterSpec"]["properties"]["minValue"]["type"] == "number"


def test_the_page_lists_every_method_without_a_script(client):
    response = client.get("/docs")
    assert response.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in response.headers["content-security-policy"]
    assert "<script" not in response.text
    for method in METHODS:
        assert f'id="{method.id}"' in response.text
    for link in set(re.findall(r'href="#(\w+)"', response.text)):
        assert f'id="{link}"' in response.text


def test_health_and_readiness(client, world):
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/readyz").json() == {"status": "ok"}
    world.stopping.set()
    try:
        assert error_of(client.get("/readyz"))["code"] == 503
        assert client.get("/healthz").status_code == 200
    finally:
        world.stopping.clear()


def test_metrics_are_jobs_by_state_and_latencies_by_method(client, world):
    for name in ("measured_a", "measured_b"):
        client.post(JOBS, json=world.job(name))
    world.run("measured_b")
    client.get(f"{JOBS}/nothing_here")
    text = client.get("/metrics").text
    samples = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert samples["batchpredict_jobs", "QUEUED"] == 1
    assert samples["batchpredict_jobs", "RUNNING"] == 1
    assert samples["batchpredict_jobs", "FAILED"] == 0
    assert samples["batchpredict_request_seconds_count", "200", "projects.jobs.create"] == 2
    assert samples["batchpredict_request_seconds_count", "404", "projects.jobs.get"] == 1
    assert samples["batchpredict_requests_in_flight",] == 0
    assert samples["process_resident_memory_bytes",] > 0
