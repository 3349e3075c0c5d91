"""schemathesis over the OpenAPI description: whatever is sent, no 5xx, no status that is not described, no answer
of another shape, no hang.

A short run by default; `pytest -m fuzz` is the long one.
"""

from __future__ import annotations

import random
from typing import Any

import hypothesis
import pytest
import schemathesis
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from service.rest_support import PROJECT

from batchpredict.service.rest import openapi

SHORT, LONG = 3, 40
"""Requests of each method."""

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]

# Half of the requests are about something that is there.
NAMES = {"project": PROJECT, "job": "fuzzed", "model": "fuzzed", "version": "v1"}
_TIMEOUT = 60

schema = schemathesis.openapi.from_dict(openapi.describe("0"))


@schema.hook
def map_path_parameters(context: Any, path_parameters: dict[str, Any] | None) -> dict[str, Any] | None:
    chance = random.Random(repr(path_parameters))
    if path_parameters and chance.random() < 0.5:
        return {name: NAMES.get(name, value) for name, value in path_parameters.items()}
    return path_parameters


@pytest.fixture(scope="module")
def api(world):
    """The service, with a job, a model and a version in it."""
    with world.client() as client:
        client.post(f"/v1/projects/{PROJECT}/jobs", json=world.job("fuzzed"))
        client.post(f"/v1/projects/{PROJECT}/models", json={"name": "fuzzed"})
        version = {"name": "v1", "deploymentUri": world.model}
        client.post(f"/v1/projects/{PROJECT}/models/fuzzed/versions", json=version)
    return world


def answers_as_described(api, case: Any) -> None:
    # A log is followed until its job has ended, which nobody does here.
    if case.path.endswith(":logs") and case.query:
        case.query.pop("follow", None)
    response = case.call(base_url=api.url, timeout=_TIMEOUT)
    case.validate_response(response, checks=CHECKS)


_quiet = hypothesis.settings(
    deadline=None, suppress_health_check=list(hypothesis.HealthCheck), phases=[hypothesis.Phase.generate]
)


@schema.include(path_regex="^/v1/").parametrize()
@hypothesis.settings(_quiet, max_examples=SHORT)
def test_a_few_requests_of_every_method(case, api):
    answers_as_described(api, case)


@pytest.mark.fuzz
@schema.parametrize()
@hypothesis.settings(_quiet, max_examples=LONG)
def test_many_requests_of_every_method(case, api):
    answers_as_described(api, case)
