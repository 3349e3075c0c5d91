"""google-api-python-client, unpatched, drives every method: v1 by the description that it brings, v1beta1 by ours.

The table below says, method by method and in this order, what is called and what comes back.
"""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass, field
from typing import Any

import pytest
from googleapiclient.errors import HttpError
from service import rest_support

from batchpredict.service.rest.method import VERSIONS
from batchpredict.service.rest.methods import METHODS

P = "projects/shop"
JOB, MODEL, VERSION = f"{P}/jobs/census", f"{P}/models/dnn", f"{P}/models/dnn/versions/v1"
ANY: Any = object()
"""Something is there."""
NOTHING: Any = object()
"""Nothing is there."""


@dataclass(frozen=True)
class Row:
    """One call.

    Attributes:
      method: its id.
      given: arguments of the call. "$inputs" and the like stand for what differs from run to run, "$operation" for
        the name of the operation that was begun last.
      back: what is in the answer, among other things; the code of an error.
    """

    method: str
    given: dict[str, Any] = field(default_factory=dict)
    back: Any = field(default_factory=dict)


INPUT = {
    "dataFormat": "TEXT",
    "inputPaths": ["$inputs"],
    "outputPath": "$folder/census",
    "region": "us-central1",
    "modelName": MODEL,
    "maxWorkerCount": 2,
    "batchSize": "16",
}
POLICY = {"bindings": [{"role": "roles/ml.viewer", "members": ["user:bob@x.org"]}]}
LATER = {"done": True, "name": ANY, "error": NOTHING}

TABLE = [
    Row("projects.getConfig", {"name": P}, {"serviceAccount": "runner", "serviceAccountProject": ANY}),
    # Models and versions
    Row("projects.models.list", {"parent": P}, {"models": NOTHING, "nextPageToken": NOTHING}),
    Row(
        "projects.models.create",
        {
            "parent": P,
            "body": {"name": "dnn", "regions": ["us-central1"], "labels": {"airflow-version": "v2-10-5"}},
        },
        {"name": MODEL, "regions": ["us-central1"], "labels": {"airflow-version": "v2-10-5"}, "etag": ANY},
    ),
    Row("projects.models.create", {"parent": P, "body": {"name": "dnn"}}, 409),
    Row("projects.models.get", {"name": MODEL}, {"name": MODEL, "defaultVersion": NOTHING}),
    Row("projects.models.versions.list", {"parent": MODEL}, {"versions": NOTHING}),
    Row(
        "projects.models.versions.create",
        {"parent": MODEL, "body": {"name": "v1", "deploymentUri": "$model", "runtimeVersion": "2.1"}},
        {"name": ANY, "metadata": {"operationType": "CREATE_VERSION", "modelName": MODEL}, "error": NOTHING},
    ),
    Row(
        "projects.operations.get",
        {"name": "$operation"},
        {**LATER, "response": {"name": VERSION, "state": "READY", "deploymentUri": "$model"}},
    ),
    Row("projects.locations.operations.get", {"name": "$located"}, LATER),
    Row("projects.operations.list", {"name": P}, {"operations": [{"name": "$operation"}]}),
    Row("projects.operations.cancel", {"name": "$operation"}, {}),
    Row("projects.locations.operations.cancel", {"name": "$located"}, {}),
    Row("projects.models.versions.get", {"name": VERSION}, {"name": VERSION, "state": "READY", "isDefault": True}),
    Row("projects.models.get", {"name": MODEL}, {"defaultVersion": {"name": VERSION}}),
    Row("projects.models.versions.list", {"parent": MODEL, "pageSize": 100}, {"versions": [{"name": VERSION}]}),
    Row("projects.models.versions.setDefault", {"name": VERSION, "body": {}}, {"name": VERSION, "isDefault": True}),
    Row(
        "projects.models.versions.patch",
        {"name": VERSION, "updateMask": "description", "body": {"description": "The first one"}},
        {**LATER, "response": {"description": "The first one"}},
    ),
    Row(
        "projects.models.patch",
        {"name": MODEL, "updateMask": "labels", "body": {"labels": {"team": "blue"}}},
        {**LATER, "response": {"labels": {"team": "blue"}}},
    ),
    Row("projects.models.list", {"parent": P, "filter": "labels.team=blue"}, {"models": [{"name": MODEL}]}),
    Row("projects.models.getIamPolicy", {"resource": MODEL}, {"bindings": NOTHING, "etag": ANY}),
    Row("projects.models.setIamPolicy", {"resource": MODEL, "body": {"policy": POLICY}}, {**POLICY, "etag": ANY}),
    Row("projects.models.getIamPolicy", {"resource": MODEL, "options_requestedPolicyVersion": 3}, POLICY),
    Row(
        "projects.models.testIamPermissions",
        {"resource": MODEL, "body": {"permissions": ["ml.models.get", "ml.models.delete"]}},
        {"permissions": ["ml.models.get", "ml.models.delete"]},
    ),
    # Jobs
    Row("projects.jobs.list", {"parent": P}, {"jobs": NOTHING, "nextPageToken": NOTHING}),
    Row(
        "projects.jobs.create",
        {"parent": P, "body": {"jobId": "census", "predictionInput": INPUT, "labels": {"a": "b"}}},
        {"jobId": "census", "state": "QUEUED", "predictionInput": INPUT, "labels": {"a": "b"}, "createTime": ANY},
    ),
    Row("projects.jobs.create", {"parent": P, "body": {"jobId": "census", "predictionInput": INPUT}}, 409),
    Row("projects.jobs.create", {"parent": P, "body": {"jobId": "1st", "predictionInput": INPUT}}, 400),
    Row("projects.jobs.get", {"name": JOB}, {"predictionInput": INPUT, "jobPosition": "1", "startTime": NOTHING}),
    Row("projects.jobs.get", {"name": f"{JOB}_2"}, 404),
    Row(
        "projects.jobs.list",
        {"parent": P, "filter": "jobId:cen* AND state=QUEUED"},
        {"jobs": [{"jobId": "census"}]},
    ),
    Row("projects.jobs.list", {"parent": P, "filter": "state=FAILED"}, {"jobs": NOTHING}),
    Row(
        "projects.jobs.patch",
        {"name": JOB, "updateMask": "labels", "body": {"labels": {"team": "blue"}}},
        {"labels": {"team": "blue"}, "etag": ANY},
    ),
    Row(
        "projects.jobs.patch",
        {"name": JOB, "updateMask": "labels,etag", "body": {"labels": {}, "etag": "AAAAAAAAAAA="}},
        409,
    ),
    Row("projects.jobs.logs", {"name": JOB}, ""),
    Row("projects.jobs.getIamPolicy", {"resource": JOB}, {"bindings": NOTHING, "etag": ANY}),
    Row("projects.jobs.setIamPolicy", {"resource": JOB, "body": {"policy": POLICY}}, {**POLICY, "etag": ANY}),
    Row(
        "projects.jobs.setIamPolicy",
        {"resource": JOB, "body": {"policy": {**POLICY, "etag": "AAAAAAAAAAA="}}},
        409,
    ),
    Row(
        "projects.jobs.testIamPermissions",
        {"resource": JOB, "body": {"permissions": ["ml.jobs.cancel"]}},
        {"permissions": ["ml.jobs.cancel"]},
    ),
    Row(
        "projects.jobs.testIamPermissions",
        {"resource": f"{JOB}_2", "body": {"permissions": ["ml.jobs.cancel"]}},
        {"permissions": NOTHING},
    ),
    Row("projects.jobs.cancel", {"name": JOB}, {}),
    Row("projects.jobs.get", {"name": JOB}, {"state": "CANCELLED", "errorMessage": ANY, "endTime": ANY}),
    Row("projects.jobs.cancel", {"name": JOB, "body": {"name": JOB}}, 400),
    Row("projects.jobs.cancel", {"name": f"{JOB}_2"}, 404),
    # The project's own policy
    Row("projects.getIamPolicy", {"resource": P}, {"etag": ANY}),
    Row("projects.setIamPolicy", {"resource": P, "body": {"policy": POLICY}}, POLICY),
    Row(
        "projects.testIamPermissions",
        {"resource": P, "body": {"permissions": ["ml.jobs.create"]}},
        {"permissions": ["ml.jobs.create"]},
    ),
    # Watches
    Row(
        "projects.watches.create",
        {"parent": P, "body": {"watchId": "arriving", "predictionInput": INPUT, "every": "60s", "maxFiles": 10}},
        {
            "name": f"{P}/watches/arriving",
            "state": "ACTIVE",
            "predictionInput": INPUT,
            "maxFiles": 10,
            "epochs": "0",
            "createTime": ANY,
            "errorMessage": NOTHING,
        },
    ),
    Row("projects.watches.create", {"parent": P, "body": {"watchId": "arriving", "predictionInput": INPUT}}, 409),
    Row("projects.watches.list", {"parent": P}, {"watches": [{"watchId": "arriving"}], "nextPageToken": NOTHING}),
    Row("projects.watches.get", {"name": f"{P}/watches/arriving"}, {"watchId": "arriving", "every": "60s"}),
    Row("projects.watches.pause", {"name": f"{P}/watches/arriving", "body": {}}, {"state": "PAUSED"}),
    Row("projects.watches.resume", {"name": f"{P}/watches/arriving", "body": {}}, {"state": "ACTIVE"}),
    Row("projects.watches.retry", {"name": f"{P}/watches/arriving", "body": {}}, 400),
    Row("projects.watches.epochs", {"name": f"{P}/watches/arriving"}, {"epochs": NOTHING}),
    Row("projects.watches.delete", {"name": f"{P}/watches/arriving"}, {}),
    Row("projects.watches.get", {"name": f"{P}/watches/arriving"}, 404),
    # And away with it
    Row("projects.models.delete", {"name": MODEL}, 400),
    Row("projects.models.versions.delete", {"name": VERSION}, LATER),
    Row("projects.models.versions.get", {"name": VERSION}, 404),
    Row("projects.models.delete", {"name": MODEL}, LATER),
    Row("projects.models.get", {"name": MODEL}, 404),
]

# Of this service alone, so the description that the library brings does not have them.
ADDED = {method.id for method in METHODS if method.additive}


@pytest.fixture(params=VERSIONS)
def version(request) -> str:
    chosen: str = request.param
    return chosen


@pytest.fixture
def world(tmp_path):
    with rest_support.world(str(tmp_path)) as made:
        yield made


def test_the_table_has_every_method():
    assert {row.method for row in TABLE} == {method.id for method in METHODS}


def test_every_method_answers_as_the_table_says(world, version):
    ml = world.ml(version)
    names = {"$inputs": world.inputs, "$folder": world.folder, "$model": world.model}
    for row in TABLE:
        if version == "v1" and row.method in ADDED:
            continue
        given, back = filled(row.given, names), filled(row.back, names)
        answer = called(ml, row.method, given)
        if row.method == "projects.operations.get":
            answer = finished(ml, given)
        if "operations" in str(answer)[:60] and isinstance(answer, dict) and "name" in answer:
            names["$operation"] = answer["name"]
            names["$located"] = answer["name"].replace("/operations", "/locations/here/operations")
        assert differences(answer, back) == [], f"{row.method} {given}: {answer}"


def test_lists_are_walked_with_list_next(world, version):
    jobs = world.ml(version).projects().jobs()
    for number in range(25):
        jobs.create(parent=P, body=world.job(f"walk_{number}")).execute()
    seen, request = [], jobs.list(parent=P, filter="jobId:walk_*", pageSize=10)
    while request is not None:
        page = request.execute()
        seen.append([job["jobId"] for job in page["jobs"]])
        request = jobs.list_next(request, page)
    assert [len(page) for page in seen] == [10, 10, 5]
    assert [*itertools.chain(*seen)] == [f"walk_{number}" for number in reversed(range(25))]


def test_an_error_is_one_that_the_library_can_read(world, version):
    jobs = world.ml(version).projects().jobs()
    jobs.create(parent=P, body=world.job("twice")).execute()
    with pytest.raises(HttpError) as raised:
        jobs.create(parent=P, body=world.job("twice")).execute()
    error = raised.value
    assert error.status_code == 409
    assert error.reason == "Field: job.job_id Error: A job with this id already exists."
    violation = {"field": "job.job_id", "description": "A job with this id already exists."}
    assert error.error_details == [
        {"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [violation]}
    ]


def called(ml: Any, method: str, given: dict[str, Any]) -> Any:
    """The answer of a method; the code of an error."""
    *resources, name = method.split(".")
    at = ml
    for resource in resources:
        at = getattr(at, resource)()
    try:
        return getattr(at, name)(**given).execute()
    except HttpError as error:
        return error.status_code


def finished(ml: Any, given: dict[str, Any]) -> Any:
    """An operation once it is done: asked for 9 times as Airflow does, with a quarter of its waits."""
    for attempt in range(9):
        operation = called(ml, "projects.operations.get", given)
        if operation.get("done"):
            return operation
        time.sleep(0.25 * 2**attempt)
    raise AssertionError(f"The operation is not done: {operation}")


def filled(value: Any, names: dict[str, str]) -> Any:
    """A value of the table with what stands for something replaced."""
    if isinstance(value, str):
        for name, meant in names.items():
            value = value.replace(name, meant)
        return value
    if isinstance(value, dict):
        return {key: filled(item, names) for key, item in value.items()}
    return [filled(item, names) for item in value] if isinstance(value, list) else value


def differences(answer: Any, back: Any, at: str = "") -> list[str]:
    """What of an answer is not as the table says."""
    if back is ANY:
        return []
    if isinstance(back, dict) and isinstance(answer, dict):
        found = []
        for key, item in back.items():
            if item is NOTHING:
                found += [f"{at}.{key} is there"] if key in answer else []
            elif key not in answer:
                found.append(f"{at}.{key} is missing")
            else:
                found += differences(answer[key], item, f"{at}.{key}")
        return found
    if isinstance(back, list) and isinstance(answer, list) and len(back) == len(answer):
        return [one for a, b in zip(answer, back, strict=True) for one in differences(a, b, f"{at}[]")]
    return [] if answer == back else [f"{at} is {answer!r}, not {back!r}"]
