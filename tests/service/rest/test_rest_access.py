"""Who may do what over HTTP, and what those are told who may not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from service import rest_support
from service.rest_support import JOBS, PROJECT, World, error_of, eventually, violations

from batchpredict.service.access import sha256_of
from batchpredict.service.rest.method import Method
from batchpredict.service.rest.methods import METHODS

ANN, BOB, CAL, EVE = "token-of-ann", "token-of-bob", "token-of-cal", "token-of-eve"
"""Ann administers, Bob looks on, Cal develops, and Eve is known and nothing more."""

MODEL = f"/v1/projects/{PROJECT}/models/dnn"


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Iterator[World]:
    tokens = {f"user:{token.rpartition('-')[2]}@x.org": sha256_of(token) for token in (ANN, BOB, CAL, EVE)}
    with rest_support.world(str(tmp_path_factory.mktemp("service")), tokens=tokens) as made:
        bindings = [
            {"role": "roles/ml.viewer", "members": ["user:bob@x.org"]},
            {"role": "roles/ml.developer", "members": ["user:cal@x.org"]},
        ]
        made.store.set_policy(f"projects/{PROJECT}", {"bindings": bindings}, None)
        with made.client(ANN) as ann:
            for response in (
                ann.post(JOBS, json=made.job("anns")),
                ann.post(f"/v1/projects/{PROJECT}/watches", json=made.watch("anns")),
                ann.post(f"/v1/projects/{PROJECT}/models", json={"name": "dnn"}),
            ):
                assert response.status_code == 200
        yield made


def path_of(method: Method) -> str:
    names = {"project": PROJECT, "job": "anns", "model": "dnn", "version": "v1", "watch": "anns"}
    names |= {"operation": "o", "location": "l"}
    return f"/v1/{method.flat.format(**names)}"


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.id)
@pytest.mark.parametrize("header", ["", "Bearer", "Bearer nobody", "Basic YTpi", "Bearer " + "x" * 5000])
def test_without_a_known_token_every_method_is_401(world, method, header):
    headers = {"authorization": header} if header else {}
    with world.client() as client:
        response = client.request(method.verb, path_of(method), headers=headers)
    error = error_of(response)
    assert (error["code"], error["status"]) == (401, "UNAUTHENTICATED")
    assert response.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("method", [one for one in METHODS if one.permission], ids=lambda method: method.id)
def test_who_has_no_role_may_do_nothing_and_is_not_told_what_is_there(world, method):
    """What is there looks as what is not: the same words, but for the name."""
    answers = []
    with world.client(EVE) as client:
        for path in (path_of(method), path_of(method).replace("anns", "none").replace("dnn", "none")):
            error = error_of(client.request(method.verb, path, json={} if method.request else None))
            answers.append((error["code"], error["message"].replace("anns", "none").replace("dnn", "none")))
    assert answers[0] == answers[1]
    assert answers[0][0] == (403 if method.on == "project" else 404)


def test_what_a_viewer_sees_and_may_not_do_is_403(world):
    with world.client(BOB) as client:
        assert client.get(f"{JOBS}/anns").status_code == 200
        assert client.get(JOBS).status_code == 200
        for verb, path, body in (
            ("POST", f"{JOBS}/anns:cancel", {}),
            ("PATCH", f"{JOBS}/anns?updateMask=labels", {"labels": {}}),
            ("POST", f"{JOBS}/anns:setIamPolicy", {"policy": {}}),
            ("POST", JOBS, world.job("bobs")),
            ("DELETE", MODEL, None),
        ):
            error = error_of(client.request(verb, path, json=body))
            assert (error["code"], error["status"]) == (403, "PERMISSION_DENIED"), path
        assert client.get(f"{JOBS}/none").status_code == 404
        assert client.get(f"{JOBS}/bobs").status_code == 404


def test_a_body_is_not_judged_for_whom_may_not_send_it(world):
    with world.client(BOB) as client:
        assert error_of(client.post(JOBS, json={"jobId": "1", "colour": "red"}))["code"] == 403


def test_who_creates_a_job_owns_it(world):
    with world.client(CAL) as cal, world.client(BOB) as bob:
        assert cal.post(JOBS, json=world.job("cals")).status_code == 200
        assert error_of(cal.post(f"{JOBS}/anns:cancel"))["code"] == 403
        policy = {"bindings": [{"role": "roles/ml.jobOwner", "members": ["user:bob@x.org"]}]}
        assert cal.post(f"{JOBS}/cals:setIamPolicy", json={"policy": policy}).status_code == 200
        # Bob, who may only look at others, owns this one too.
        assert bob.post(f"{JOBS}/cals:cancel").json() == {}
        assert cal.get(f"{JOBS}/cals").json()["errorMessage"] == "The job was cancelled by user:bob@x.org."


def test_who_creates_a_watch_owns_it_and_has_to_be_allowed_to_create_its_jobs(world):
    watches = f"/v1/projects/{PROJECT}/watches"
    with world.client(ANN) as ann, world.client(CAL) as cal, world.client(BOB) as bob:
        assert cal.post(watches, json=world.watch("cals")).status_code == 200
        assert bob.get(f"{watches}/cals").status_code == 200
        assert error_of(bob.post(f"{watches}/cals:pause"))["code"] == 403
        assert error_of(bob.post(watches, json=world.watch("bobs")))["code"] == 403
        assert error_of(cal.post(f"{watches}/anns:pause"))["code"] == 403
        assert cal.post(f"{watches}/cals:pause").json()["state"] == "PAUSED"
        assert ann.post(f"{watches}/cals:resume").json()["state"] == "ACTIVE"
        assert cal.delete(f"{watches}/cals").json() == {}


def test_who_owns_a_model_sees_what_becomes_of_its_versions_without_a_role_in_the_project(world):
    with world.client(ANN) as ann, world.client(EVE) as eve:
        assert ann.post(f"/v1/projects/{PROJECT}/models", json={"name": "lent"}).status_code == 200
        model = f"/v1/projects/{PROJECT}/models/lent"
        version = {"name": "v1", "deploymentUri": world.model}
        operation = ann.post(f"{model}/versions", json=version).json()["name"]
        # Nobody in particular is told nothing, whether it is there or not.
        for name in (operation, f"{operation}0"):
            assert error_of(eve.get(f"/v1/{name}"))["code"] == 403
            assert error_of(eve.post(f"/v1/{name}:cancel"))["code"] == 403
        policy = {"bindings": [{"role": "roles/ml.modelOwner", "members": ["user:eve@x.org"]}]}
        assert ann.post(f"{model}:setIamPolicy", json={"policy": policy}).status_code == 200
        done = eventually(lambda: (one := eve.get(f"/v1/{operation}").json()).get("done") and one)
        assert done["response"]["name"] == f"{model}/versions/v1".removeprefix("/v1/")
        assert eve.post(f"/v1/{operation}:cancel").json() == {}
        assert error_of(eve.get(f"/v1/projects/{PROJECT}/operations"))["code"] == 403


def test_permissions_are_tested_and_those_on_nothing_are_none(world):
    asked = {"permissions": ["ml.jobs.get", "ml.jobs.cancel"]}
    with world.client(BOB) as bob, world.client(EVE) as eve:
        assert bob.post(f"{JOBS}/anns:testIamPermissions", json=asked).json() == {"permissions": ["ml.jobs.get"]}
        assert bob.post(f"{JOBS}/none:testIamPermissions", json=asked).json() == {}
        assert eve.post(f"{JOBS}/anns:testIamPermissions", json=asked).json() == {}
        for wrong in ("ml.jobs.*", "ml.jobs.fly", ""):
            error = error_of(bob.post(f"{JOBS}/anns:testIamPermissions", json={"permissions": [wrong]}))
            assert error["code"] == 400
        assert error_of(bob.post(f"{JOBS}/anns:testIamPermissions", json={"permissions": "x"}))["code"] == 400


def test_a_policy_is_read_changed_and_written_by_its_etag(world):
    binding = {"role": "roles/ml.viewer", "members": ["user:eve@x.org"]}
    with world.client(ANN) as client:
        first = client.get(f"{MODEL}:getIamPolicy").json()
        second = client.post(
            f"{MODEL}:setIamPolicy", json={"policy": {"bindings": [binding], "etag": first["etag"]}}
        )
        assert second.json()["bindings"] == [binding]
        assert client.get(f"{MODEL}:getIamPolicy?options.requestedPolicyVersion=1").json() == second.json()
        stale = client.post(f"{MODEL}:setIamPolicy", json={"policy": {"bindings": [], "etag": first["etag"]}})
        error = error_of(stale)
        assert (error["code"], error["status"]) == (409, "ABORTED")
        assert error["message"].startswith("There were concurrent policy changes.")
        assert client.get(f"{MODEL}:getIamPolicy").json() == second.json()
    with world.client(EVE) as eve:
        assert eve.get(MODEL).json()["name"] == MODEL.removeprefix("/v1/")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "policy"),
        ({"policy": {"bindings": [{"role": "roles/king", "members": ["allUsers"]}]}}, "policy.bindings[0].role"),
        (
            {"policy": {"bindings": [{"role": "roles/ml.viewer", "members": ["eve"]}]}},
            "policy.bindings[0].members[0]",
        ),
        ({"policy": {"version": 2}}, "policy.version"),
        ({"policy": {"colour": "red"}}, "policy"),
        ({"policy": {}, "updateMask": "colour"}, "update_mask"),
    ],
)
def test_a_policy_that_is_none_is_refused(world, body, field):
    with world.client(ANN) as client:
        error = error_of(client.post(f"{JOBS}/anns:setIamPolicy", json=body))
    assert field in [one for one, _ in violations(error)]


def test_a_policy_version_that_there_is_not(world):
    with world.client(ANN) as client:
        assert error_of(client.get(f"{JOBS}/anns:getIamPolicy?options.requestedPolicyVersion=2"))["code"] == 400


def test_what_is_beside_the_api_needs_no_token(world):
    with world.client() as client:
        for path in ("/healthz", "/readyz", "/metrics", "/openapi.json", "/docs", "/$discovery/rest?version=v1"):
            assert client.get(path).status_code == 200


def test_a_token_in_the_query_is_taken_as_google_does(world):
    with world.client() as client:
        assert client.get(JOBS, params={"access_token": BOB}).status_code == 200
