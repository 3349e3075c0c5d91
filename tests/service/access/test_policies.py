"""IAM policies: which may be stored, and what they allow."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchpredict.errors import InvalidJob
from batchpredict.service.access import Caller
from batchpredict.service.access.policies import (
    MAX_FAULTS,
    MAX_MEMBERS,
    allows,
    check_permissions,
    check_version,
    checked,
    grants_of,
    includes,
)
from batchpredict.service.access.roles import PERMISSIONS, ROLES

ANN = Caller("user:ann@x.org")
VIEWER = "roles/ml.viewer"


def policy(*bindings: tuple[str, list[str]]) -> dict[str, Any]:
    return {"bindings": [{"role": role, "members": members} for role, members in bindings]}


def wrong(request: Any, **options: Any) -> list[tuple[str, str]]:
    with pytest.raises(InvalidJob) as caught:
        checked(request, groups=options.get("groups", False))
    return [(violation.field, violation.description) for violation in caught.value.violations]


@pytest.mark.parametrize(
    ("member", "caller", "included"),
    [
        ("user:ann@x.org", ANN, True),
        ("user:ANN@X.org", ANN, True),
        ("user:bob@x.org", ANN, False),
        ("user:ann@x.org.evil.org", ANN, False),
        ("serviceAccount:ann@x.org", ANN, False),
        ("user:17", Caller("user:17"), True),
        ("user:AbC", Caller("user:abc"), False),
        ("domain:x.org", ANN, True),
        ("domain:X.ORG", ANN, True),
        ("domain:org", ANN, False),
        ("domain:y.org", ANN, False),
        ("domain:x.org", Caller("user:ann@sub.x.org"), False),
        ("domain:x.org", Caller("user:ann@y.org@x.org"), True),
        ("domain:x.org", Caller("serviceAccount:ci@x.org"), True),
        ("domain:x.org", Caller("user:x.org"), False),
        ("group:ops@x.org", ANN, False),
        ("group:Ops@X.org", Caller("user:1", groups=("group:ops@x.org",)), True),
        ("allAuthenticatedUsers", ANN, True),
        ("allAuthenticatedUsers", Caller("allUsers"), False),
        ("allUsers", Caller("allUsers"), True),
        ("allUsers", ANN, True),
        ("user:allUsers", Caller("allUsers"), False),
    ],
)
def test_who_is_a_member(member, caller, included):
    assert includes([member], caller) is included


def test_a_policy_gives_the_permissions_of_its_roles():
    given = policy((VIEWER, ["user:bob@x.org"]), ("roles/ml.jobOwner", ["domain:x.org"]))
    assert allows(grants_of(given), ANN, "ml.jobs.cancel")
    assert not allows(grants_of(given), ANN, "ml.models.get")
    assert not allows(grants_of({"etag": "ACAB"}), ANN, "ml.jobs.get")
    assert not allows(grants_of(policy(("roles/of.old", ["allUsers"]))), ANN, "ml.jobs.get")


def test_roles_hold_what_the_original_ones_held():
    owner = {
        f"ml.jobs.{verb}" for verb in ("cancel", "create", "get", "getIamPolicy", "list", "setIamPolicy", "update")
    }
    assert ROLES["roles/ml.jobOwner"] == owner
    assert ROLES["roles/ml.modelUser"] == {
        "ml.models.get",
        "ml.models.predict",
        "ml.versions.get",
        "ml.versions.list",
        "ml.versions.predict",
    }
    developer = ROLES["roles/ml.developer"]
    assert {"ml.jobs.create", "ml.jobs.get", "ml.models.create", "ml.models.predict"} <= developer
    assert developer.isdisjoint({"ml.jobs.cancel", "ml.jobs.update", "ml.models.delete", "ml.versions.create"})
    assert all(
        permission.endswith((".get", ".list", "Config", "IamPolicy")) for permission in ROLES["roles/ml.viewer"]
    )
    assert ROLES["roles/owner"] - ROLES["roles/ml.admin"] == {"ml.projects.setIamPolicy"}
    assert ROLES["roles/editor"] == ROLES["roles/ml.admin"]
    assert ROLES["roles/viewer"] - ROLES["roles/ml.viewer"] == {"ml.models.predict", "ml.versions.predict"}


def test_a_policy_is_kept_as_it_came():
    given = policy((VIEWER, ["user:Ann@x.org", "allUsers"]))
    assert checked({"policy": {**given, "etag": "QUJD", "version": 1}}, groups=False) == (
        {"version": 1, **given},
        "QUJD",
        frozenset(("bindings", "etag")),
    )


def test_bindings_of_one_role_become_one_and_members_are_there_once():
    given = policy(
        ("roles/ml.viewer", ["user:a@x.org", "user:A@x.org"]),
        ("roles/ml.admin", []),
        ("roles/ml.viewer", ["user:b@x.org", "user:a@x.org"]),
    )
    stored, _, _ = checked({"policy": given}, groups=False)
    assert stored["bindings"] == [{"role": "roles/ml.viewer", "members": ["user:a@x.org", "user:b@x.org"]}]


def test_nulls_and_snake_case_are_read():
    given = {"policy": {"bindings": None, "etag": None, "audit_configs": None}, "update_mask": "bindings"}
    assert checked(given, groups=False) == ({"version": 1, "bindings": []}, None, frozenset(("bindings",)))


@pytest.mark.parametrize("version", [0, 1, 3, None])
def test_versions_that_there_are(version):
    assert checked({"policy": {"version": version}}, groups=False)[0]["version"] == version or 1
    if version is not None:
        check_version(version)


@pytest.mark.parametrize("version", [2, 4, -1, "1", True, 1.5, None, []])
def test_versions_that_there_are_not(version):
    with pytest.raises(InvalidJob, match="0, 1 or 3"):
        check_version(version)
    if version is not None and version != []:
        assert wrong({"policy": {"version": version}}) == [
            ("policy.version", "The version of a policy is 0, 1 or 3.")
        ]


BINDING = "policy.bindings[0]"
MEMBER = f"{BINDING}.members[0]"


@pytest.mark.parametrize(
    ("request_", "field", "sentence"),
    [
        ({}, "policy", "A policy is required."),
        ({"policy": []}, "policy", "A policy is required."),
        ({"policy": {"owners": []}}, "policy", "Unknown name \"owners\" at 'policy': Cannot find field."),
        ({"policy": {}, "mask": ""}, "", 'Unknown name "mask": Cannot find field.'),
        ({"policy": {}, "updateMask": "bindings,owners"}, "update_mask", '"owners" is none of'),
        ({"policy": {}, "updateMask": "auditConfigs"}, "update_mask", '"auditConfigs" is none of'),
        ({"policy": {"etag": "no base 64"}}, "policy.etag", "An etag is what getIamPolicy has answered"),
        ({"policy": {"etag": 7}}, "policy.etag", "An etag is what getIamPolicy has answered"),
        ({"policy": {"bindings": {}}}, None, None),
        ({"policy": {"bindings": {"role": "x"}}}, "policy.bindings", "Bindings are a list."),
        ({"policy": {"bindings": ["x"]}}, BINDING, "A binding is an object"),
        ({"policy": policy(("", ["allUsers"]))}, f"{BINDING}.role", "A role is required."),
        (
            {"policy": policy(("roles/ml.jobowner", ["allUsers"]))},
            f"{BINDING}.role",
            "did you mean 'roles/ml.jobOwner'?",
        ),
        (
            {"policy": policy((VIEWER, ["ann@x.org"]))},
            MEMBER,
            "A member is one of user:…",
        ),
        (
            {"policy": policy((VIEWER, ["allUsers", "user:"]))},
            f"{BINDING}.members[1]",
            "The name behind",
        ),
        (
            {"policy": policy((VIEWER, ["group:ops@x.org"]))},
            MEMBER,
            "who is in a group",
        ),
        (
            {"policy": policy((VIEWER, ["deleted:user:a@x.org?uid=1"]))},
            MEMBER,
            "is one of",
        ),
        ({"policy": policy((VIEWER, [7]))}, MEMBER, "A member is a text."),  # type: ignore[list-item]
        (
            {"policy": {"version": 3, "bindings": [{"role": "roles/ml.viewer", "members": [], "condition": {}}]}},
            f"{BINDING}.condition",
            "Conditions are not supported",
        ),
        (
            {"policy": policy((VIEWER, [f"user:{n}@x.org" for n in range(MAX_MEMBERS + 1)]))},
            "policy.bindings",
            f"at most {MAX_MEMBERS} members",
        ),
    ],
)
def test_policies_that_cannot_be(request_, field, sentence):
    if field is None:
        assert checked(request_, groups=False)[0]["bindings"] == []
        return
    ((told, said),) = wrong(request_)
    assert told == field
    assert sentence in said


def test_of_endless_faults_only_some_are_told():
    given = policy(*[("roles/none", ["nobody"] * 50)] * 5000)
    assert MAX_FAULTS <= len(wrong({"policy": given})) <= 2 * MAX_FAULTS


def test_groups_are_members_where_somebody_says_who_is_in_them():
    given = policy((VIEWER, ["group:ops@x.org"]))
    assert checked({"policy": given}, groups=True)[0]["bindings"] == given["bindings"]


def test_permissions_that_may_be_asked_for():
    check_permissions(sorted(PERMISSIONS)[:100])


@pytest.mark.parametrize(
    ("permission", "sentence"),
    [
        ("ml.jobs.*", "has a wildcard"),
        ("*", "has a wildcard"),
        ("ml.jobs.gett", "is not valid for this resource; did you mean 'ml.jobs.get'?"),
        ("storage.objects.get", "Permission storage.objects.get is not valid for this resource"),
        ("", "is not valid"),
        (7, "A permission is a text."),
    ],
)
def test_permissions_that_may_not_be_asked_for(permission, sentence):
    with pytest.raises(InvalidJob) as caught:
        check_permissions(["ml.jobs.get", permission])
    (violation,) = caught.value.violations
    assert violation.field == "permissions[1]"
    assert sentence in violation.description


def test_no_endless_list_of_permissions():
    with pytest.raises(InvalidJob, match="At most 100"):
        check_permissions(["ml.jobs.get"] * 101)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
MEMBERS = st.lists(
    st.sampled_from(["user:a@x.org", "allUsers", "domain:x.org", "group:g", "bad"]) | JSON, max_size=3
)
BINDINGS = st.fixed_dictionaries(
    {"role": st.sampled_from([*ROLES, "roles/none"]) | JSON, "members": MEMBERS | JSON},
    optional={"condition": JSON},
)
POLICIES = st.fixed_dictionaries(
    {}, optional={"version": JSON, "etag": JSON, "bindings": st.lists(BINDINGS | JSON, max_size=3) | JSON}
)


@given(st.fixed_dictionaries({"policy": POLICIES | JSON}, optional={"updateMask": JSON}), st.booleans())
def test_any_request_is_a_policy_or_named_faults(request_, groups):
    stored = None
    with contextlib.suppress(InvalidJob):
        stored, _, _ = checked(request_, groups=groups)
    if stored is None:
        assert wrong(request_, groups=groups)
        return
    assert checked({"policy": stored}, groups=groups)[0] == stored
    for permission in ("ml.jobs.get", "ml.jobs.cancel"):
        assert allows(grants_of(stored), ANN, permission) in (True, False)
