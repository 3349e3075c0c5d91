"""What a caller may: each role and each method, who may see what, and how soon a change of a policy counts."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from batchpredict.errors import InvalidJob
from batchpredict.service.access import Caller, Forbidden, Hidden, ServiceAccess
from batchpredict.service.access.authorization import KEPT
from batchpredict.service.access.roles import ROLES
from batchpredict.service.rest.methods import METHODS
from batchpredict.service.settings import Settings
from batchpredict.service.store import Stale, Store, open_store

ANN, BOB = Caller("user:ann@x.org"), Caller("user:bob@x.org")
PROJECT, JOB, MODEL = "projects/p", "projects/p/jobs/j", "projects/p/models/m"
VERSION, OPERATION = "projects/p/models/m/versions/v", "projects/p/operations/o"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(str(tmp_path / "jobs.db"))
    yield opened
    opened.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def access(store: Store, clock: Clock) -> ServiceAccess:
    return ServiceAccess(Settings(), store, clock=clock)


def grant(access: ServiceAccess, resource: str, role: str, *members: str) -> dict[str, Any]:
    policy = {"bindings": [{"role": role, "members": list(members or [ANN.member])}]}
    return dict(access.set_policy(resource, {"policy": policy}))


def refusal(access: ServiceAccess, permission: str, resource: str, owner: str = "") -> type[Exception]:
    with pytest.raises((Forbidden, Hidden)) as caught:
        access.require(ANN, permission, resource, owner=owner)
    return caught.type


# What each role may on the project that it is granted on, by the last part of a method's id.
EXPECTED = {
    "roles/ml.viewer": "jobs: get list logs; models: get list; versions: get list; operations: get list;"
    "watches: get list epochs; getConfig",
    "roles/ml.developer": "jobs: get list logs create getIamPolicy; models: get list create getIamPolicy;"
    "versions: get list; operations: get list; watches: get list epochs create; getConfig",
    "roles/ml.jobOwner": "jobs: create list get patch cancel logs getIamPolicy setIamPolicy",
    "roles/ml.modelOwner": "models: create list get patch delete getIamPolicy setIamPolicy;"
    "versions: create list get patch delete setDefault",
    "roles/ml.modelUser": "models: get; versions: get list",
    "roles/ml.operationOwner": "operations: get list cancel",
    "roles/ml.watchOwner": "watches: create get list epochs delete pause resume retry",
}


def spelled(role: str) -> set[str]:
    found = set()
    for part in EXPECTED[role].split(";"):
        kind, _, verbs = part.strip().rpartition(":")
        found |= {f"{kind}.{verb}" if kind else f"projects.{verb}" for verb in verbs.split()}
    return found


def short(method_id: str) -> str:
    return ".".join(method_id.split(".")[-2:])


@pytest.mark.parametrize("role", EXPECTED)
def test_each_role_may_what_the_table_says_and_nothing_else(access, role):
    grant(access, PROJECT, role)
    may = {short(each.id) for each in METHODS if each.permission and access.may(ANN, each.permission, PROJECT)}
    assert may == spelled(role)


@pytest.mark.parametrize("role", ["roles/ml.admin", "roles/editor", "roles/owner"])
def test_administrators_of_a_project_may_everything_but_for_its_policy(access, role):
    grant(access, PROJECT, role)
    refused = {each.id for each in METHODS if each.permission and not access.may(ANN, each.permission, PROJECT)}
    assert refused == (set() if role == "roles/owner" else {"projects.setIamPolicy"})


def test_every_permission_of_a_method_is_one_that_a_role_has():
    for method in METHODS:
        assert not method.permission or any(method.permission in role for role in ROLES.values()), method.id


def test_without_a_role_nothing_is_allowed(access):
    grant(access, PROJECT, "roles/owner", BOB.member)
    assert not any(access.may(ANN, each.permission, PROJECT) for each in METHODS if each.permission)


def test_administrators_of_the_service_may_everything_everywhere(access):
    root = Caller("user:root@x.org", administrator=True)
    assert access.may(root, "ml.jobs.setIamPolicy", JOB)
    assert access.may(root, "ml.projects.setIamPolicy", "projects/any")
    access.require(root, "ml.models.delete", MODEL)


def test_a_role_on_a_project_holds_for_what_is_in_it(access):
    grant(access, PROJECT, "roles/ml.admin")
    for permission, resource in (
        ("ml.jobs.cancel", JOB),
        ("ml.models.delete", MODEL),
        ("ml.versions.delete", VERSION),
        ("ml.operations.cancel", OPERATION),
    ):
        assert access.may(ANN, permission, resource)
        assert not access.may(ANN, permission, resource.replace("projects/p/", "projects/q/"))


def test_a_role_on_a_job_holds_for_this_job_only(access):
    grant(access, JOB, "roles/ml.jobOwner")
    assert access.may(ANN, "ml.jobs.cancel", JOB)
    assert not access.may(ANN, "ml.jobs.cancel", "projects/p/jobs/j2")
    assert not access.may(ANN, "ml.jobs.list", PROJECT)
    assert not access.may(ANN, "ml.jobs.create", PROJECT)


def test_a_role_on_a_model_holds_for_its_versions(access):
    grant(access, MODEL, "roles/ml.modelUser")
    assert access.may(ANN, "ml.versions.predict", VERSION)
    assert access.may(ANN, "ml.versions.list", MODEL)
    assert not access.may(ANN, "ml.versions.predict", "projects/p/models/m2/versions/v")
    assert not access.may(ANN, "ml.versions.delete", VERSION)


@pytest.mark.parametrize(
    ("resource", "permission", "other"),
    [
        (JOB, "ml.jobs.cancel", "ml.models.get"),
        (MODEL, "ml.models.delete", "ml.jobs.get"),
        (VERSION, "ml.versions.delete", "ml.jobs.get"),
        (OPERATION, "ml.operations.cancel", "ml.jobs.get"),
    ],
)
def test_the_creator_owns_what_was_created(access, resource, permission, other):
    assert access.may(ANN, permission, resource, owner="user:Ann@X.org")
    assert not access.may(ANN, permission, resource, owner=BOB.member)
    assert not access.may(ANN, permission, resource)
    assert not access.may(ANN, other, resource, owner=ANN.member)


@pytest.mark.parametrize("owner", ["allUsers", "allAuthenticatedUsers", ""])
def test_what_was_created_while_nobody_was_asked_is_nobodys(access, owner):
    assert not access.may(ANN, "ml.jobs.get", JOB, owner=owner)
    assert not access.may(Caller("allUsers"), "ml.jobs.get", JOB, owner=owner)


def test_nobody_owns_a_project(access):
    assert not access.may(ANN, "ml.jobs.create", PROJECT, owner=ANN.member)


@pytest.mark.parametrize(
    "resource",
    [
        "",
        "projects",
        "projects/",
        "projects/p/",
        "projects/p/jobs",
        "projects/p/jobs/j/x",
        "projects/p/jobs/..",
        "projects/p/jobs/j\n",
        "projects/p/studies/s",
        "projects/../p/jobs/j",
        "Projects/p/jobs/j",
        "jobs/j",
    ],
)
def test_what_is_no_resource_is_hidden(access, resource):
    grant(access, PROJECT, "roles/owner")
    assert not access.may(ANN, "ml.jobs.get", resource)
    assert refusal(access, "ml.jobs.get", resource) is Hidden


def test_who_may_neither_get_nor_list_does_not_learn_that_it_is_there(access):
    for permission, resource in (
        ("ml.jobs.get", JOB),
        ("ml.jobs.cancel", JOB),
        ("ml.models.get", MODEL),
        ("ml.versions.delete", VERSION),
        ("ml.operations.get", OPERATION),
    ):
        assert refusal(access, permission, resource) is Hidden


def test_who_may_get_but_not_do_is_told_so(access):
    grant(access, PROJECT, "roles/ml.viewer")
    for permission, resource in (
        ("ml.jobs.cancel", JOB),
        ("ml.models.delete", MODEL),
        ("ml.versions.delete", VERSION),
        ("ml.operations.cancel", OPERATION),
        ("ml.models.predict", MODEL),
    ):
        assert refusal(access, permission, resource) is Forbidden


def test_who_may_list_knows_what_is_there(access):
    grant(access, MODEL, "roles/ml.modelUser")
    assert refusal(access, "ml.versions.delete", VERSION) is Forbidden
    assert refusal(access, "ml.models.delete", MODEL) is Forbidden
    assert refusal(access, "ml.models.delete", "projects/p/models/m2") is Hidden


def test_the_owner_of_a_job_sees_it(access):
    assert refusal(access, "ml.models.get", JOB, owner=ANN.member) is Forbidden


def test_projects_are_no_secret(access):
    assert refusal(access, "ml.jobs.create", "projects/of-nobody") is Forbidden
    grant(access, PROJECT, "roles/owner", BOB.member)
    assert refusal(access, "ml.jobs.list", PROJECT) is Forbidden


def test_a_refusal_says_who_may_not_do_what(access):
    with pytest.raises(Forbidden) as caught:
        access.require(ANN, "ml.jobs.create", PROJECT)
    expected = "Permission 'ml.jobs.create' denied on resource 'projects/p' for 'user:ann@x.org'."
    assert str(caught.value) == expected


def test_a_policy_is_read_changed_and_written(access):
    assert access.policy(JOB) == {"etag": "ACAB"}
    first = grant(access, JOB, "roles/ml.viewer")
    assert access.policy(JOB, 3) == first
    first["bindings"].append({"role": "roles/ml.jobOwner", "members": ["user:bob@x.org"]})
    second = access.set_policy(JOB, {"policy": first})
    assert second["bindings"] == first["bindings"]
    assert second["etag"] != first["etag"]


def test_the_slower_of_two_who_read_the_same_policy_is_told(access):
    grant(access, JOB, "roles/ml.viewer")
    read = dict(access.policy(JOB))
    access.set_policy(JOB, {"policy": read})
    with pytest.raises(Stale):
        access.set_policy(JOB, {"policy": read})


def test_the_first_policy_has_an_etag_before_it_too(access):
    access.set_policy(JOB, {"policy": {"etag": "ACAB", "bindings": []}})
    with pytest.raises(Stale):
        access.set_policy(JOB, {"policy": {"etag": "ACAB", "bindings": []}})


def test_without_an_etag_a_policy_is_overwritten(access):
    grant(access, JOB, "roles/ml.viewer")
    assert grant(access, JOB, "roles/ml.jobOwner")["bindings"][0]["role"] == "roles/ml.jobOwner"


def test_bindings_that_are_not_in_the_mask_stay(access):
    stored = grant(access, JOB, "roles/ml.viewer")
    after = access.set_policy(JOB, {"policy": {"version": 3, "bindings": []}, "updateMask": "version"})
    assert after["bindings"] == stored["bindings"]
    assert after["version"] == 3


def test_concurrent_changes_with_etags_lose_nothing(access):
    grant(access, JOB, "roles/ml.viewer")

    def add(name: str) -> None:
        while True:
            policy = dict(access.policy(JOB))
            bindings = [{**each, "members": [*each["members"], f"user:{name}"]} for each in policy["bindings"]]
            try:
                access.set_policy(JOB, {"policy": {**policy, "bindings": bindings}})
            except Stale:
                continue
            return

    threads = [threading.Thread(target=add, args=(f"u{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    members = access.policy(JOB)["bindings"][0]["members"]
    assert sorted(members) == sorted([ANN.member, *(f"user:u{number}" for number in range(8))])


def test_a_version_of_policies_that_there_is_not(access):
    with pytest.raises(InvalidJob):
        access.policy(JOB, 2)


def test_a_wrong_policy_changes_nothing(access):
    before = grant(access, JOB, "roles/ml.viewer")
    with pytest.raises(InvalidJob):
        access.set_policy(JOB, {"policy": {"bindings": [{"role": "roles/none", "members": ["allUsers"]}]}})
    assert access.policy(JOB) == before


def test_a_change_made_here_counts_at_once(access):
    grant(access, JOB, "roles/ml.jobOwner")
    assert access.may(ANN, "ml.jobs.get", JOB)
    grant(access, JOB, "roles/ml.jobOwner", BOB.member)
    assert not access.may(ANN, "ml.jobs.get", JOB)


def test_a_change_made_by_another_server_counts_within_seconds(access, store, clock):
    grant(access, JOB, "roles/ml.jobOwner")
    assert access.may(ANN, "ml.jobs.get", JOB)
    grant(ServiceAccess(Settings(), store), JOB, "roles/ml.jobOwner", BOB.member)
    clock.now += KEPT
    assert not access.may(ANN, "ml.jobs.get", JOB)
    assert KEPT <= 3


def test_permissions_that_are_asked_for_are_those_that_hold(access):
    grant(access, PROJECT, "roles/ml.viewer")
    asked = ["ml.jobs.cancel", "ml.jobs.get", "ml.models.get", "ml.jobs.get"]
    assert access.test(ANN, asked, JOB) == ["ml.jobs.get", "ml.models.get"]
    assert access.test(ANN, asked, JOB, owner=ANN.member) == ["ml.jobs.cancel", "ml.jobs.get", "ml.models.get"]
    assert access.test(BOB, asked, JOB) == []
    with pytest.raises(InvalidJob):
        access.test(BOB, ["ml.jobs.*"], JOB)
