"""IAM policies: whether one may be stored, and what it allows. Pure; knows no store.

    {"version": 1, "etag": "BwWWja0YfJA=", "bindings": [{"role": "roles/ml.viewer", "members": ["user:ann@x.org"]}]}

Source: https://cloud.google.com/iam/docs/reference/rest/v1/Policy. Conditions are refused: nothing here evaluates
them, and a role that is granted under a condition must not be granted without it.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from batchpredict.errors import InvalidJob, Violation
from batchpredict.runners import closest
from batchpredict.service.access.interface import Caller
from batchpredict.service.access.roles import PERMISSIONS, ROLES
from batchpredict.service.members import (
    AUTHENTICATED,
    EVERYBODY,
    canonical_member,
    domain_of,
    member_fault,
)

VERSIONS = (0, 1, 3)
MAX_MEMBERS = 1500
"""Of one policy, counted in every binding: https://cloud.google.com/iam/quotas"""
MAX_FAULTS = 100
"""Of one request: what is said about more of them helps nobody."""
MAX_PERMISSIONS = 100
"""Of one question: https://cloud.google.com/iam/docs/reference/rest/v1/permissions"""

_MASK = ("bindings", "etag", "version")
_POLICY_KEYS = {"version": "version", "etag": "etag", "bindings": "bindings", "auditConfigs": "audit_configs"}


Grants = tuple[tuple[frozenset[str], frozenset[str]], ...]
"""Of a policy: permissions, and who has them."""


def grants_of(policy: Mapping[str, Any]) -> Grants:
    """What a policy gives, ready to be asked many times. It is believed to be as `checked` has made it."""
    return tuple(
        (ROLES[binding["role"]], frozenset(canonical_member(member) for member in binding["members"]))
        for binding in policy.get("bindings", ())
        # A policy may outlive a role.
        if binding["role"] in ROLES
    )


def allows(grants: Grants, caller: Caller, permission: str) -> bool:
    """Whether a policy gives a permission to a caller."""
    names = _names(caller)
    return any(permission in permissions and not names.isdisjoint(members) for permissions, members in grants)


def includes(members: Iterable[str], caller: Caller) -> bool:
    """Whether a caller is among members."""
    return not _names(caller).isdisjoint(map(canonical_member, members))


def _names(caller: Caller) -> frozenset[str]:
    """Every member that a caller is."""
    if caller.member == EVERYBODY:
        return frozenset((EVERYBODY,))
    domain = domain_of(caller.member)
    own = (canonical_member(member) for member in (caller.member, *caller.groups))
    return frozenset((EVERYBODY, AUTHENTICATED, *own, *((f"domain:{domain}",) if domain else ())))


def checked(request: Mapping[str, Any], *, groups: bool) -> tuple[dict[str, Any], str | None, frozenset[str]]:
    """What a SetIamPolicyRequest asks for.

    Args:
      groups: whether anybody could be in a group.

    Returns:
      The policy's version and bindings; its etag, None for whatever is stored; which of the policy's fields change.

    Raises:
      InvalidJob: every field that is wrong, by its path in snake_case: "policy.bindings[0].members[1]".
    """
    wrong: list[Violation] = []
    request = _renamed(request, {"policy": "policy", "updateMask": "update_mask"}, "", wrong)
    given = request.get("policy")
    if not isinstance(given, Mapping):
        raise InvalidJob([*wrong, Violation("policy", "A policy is required.")])
    mask = _mask(request.get("update_mask"), wrong)
    policy = _renamed(given, _POLICY_KEYS, "policy", wrong)
    version = policy.get("version") or 0
    if type(version) is not int or version not in VERSIONS:
        wrong.append(Violation("policy.version", "The version of a policy is 0, 1 or 3."))
    etag = policy.get("etag") or None
    if etag is not None and not _is_base64(etag):
        wrong.append(Violation("policy.etag", "An etag is what getIamPolicy has answered, in base64."))
    bindings = _bindings(policy.get("bindings") or [], groups, wrong)
    if wrong:
        raise InvalidJob(wrong)
    return {"version": version or 1, "bindings": bindings}, etag, mask


def check_version(requested: object) -> None:
    """Raises InvalidJob unless it is a version of policies that a client may ask for."""
    if type(requested) is not int or requested not in VERSIONS:
        fault = "The requested version of a policy is 0, 1 or 3."
        raise InvalidJob([Violation("options.requested_policy_version", fault)])


def check_permissions(permissions: Sequence[str]) -> None:
    """Raises InvalidJob: a wildcard, a permission that there is not, or too many."""
    wrong = []
    if len(permissions) > MAX_PERMISSIONS:
        wrong.append(Violation("permissions", f"At most {MAX_PERMISSIONS} permissions are tested at a time."))
    for at, permission in enumerate(permissions[:MAX_PERMISSIONS]):
        if not isinstance(permission, str) or permission not in PERMISSIONS:
            wrong.append(Violation(f"permissions[{at}]", _permission_fault(permission)))
    if wrong:
        raise InvalidJob(wrong)


def _permission_fault(permission: object) -> str:
    if not isinstance(permission, str):
        return "A permission is a text."
    if "*" in permission:
        return f"Permission {_cut(permission)} has a wildcard; name each permission."
    hint = closest(permission[:100], sorted(PERMISSIONS)) or "."
    return f"Permission {_cut(permission)} is not valid for this resource{hint}"


def _mask(given: object, wrong: list[Violation]) -> frozenset[str]:
    """Google's default mask is `bindings, etag`."""
    if given in (None, ""):
        return frozenset(("bindings", "etag"))
    paths = [path.strip() for path in given.split(",")] if isinstance(given, str) else [""]
    for path in paths:
        if path not in _MASK:
            wrong.append(Violation("update_mask", f'"{_cut(path)}" is none of {", ".join(_MASK)}.'))
    return frozenset(paths)


def _bindings(given: object, groups: bool, wrong: list[Violation]) -> list[dict[str, Any]]:
    """One binding for each role, in the order of the first; no member twice, no binding without members."""
    members: dict[str, dict[str, str]] = {}
    if not isinstance(given, list):
        wrong.append(Violation("policy.bindings", "Bindings are a list."))
        return []
    for at, each in enumerate(given):
        path = f"policy.bindings[{at}]"
        if len(wrong) > MAX_FAULTS:
            break
        if not isinstance(each, Mapping):
            wrong.append(Violation(path, "A binding is an object with a role and members."))
            continue
        binding = _renamed(each, {key: key for key in ("role", "members", "condition")}, path, wrong)
        role = binding.get("role")
        if not isinstance(role, str) or role not in ROLES:
            wrong.append(Violation(f"{path}.role", _role_fault(role)))
        if binding.get("condition") is not None:
            wrong.append(
                Violation(f"{path}.condition", "Conditions are not supported: grant the role without one.")
            )
        names = members.setdefault(str(role), {})
        for member in _members(binding.get("members") or [], f"{path}.members", groups, wrong):
            names.setdefault(canonical_member(member), member)
    if sum(map(len, members.values())) > MAX_MEMBERS:
        wrong.append(Violation("policy.bindings", f"A policy has at most {MAX_MEMBERS} members in all."))
    return [{"role": role, "members": list(names.values())} for role, names in members.items() if names]


def _members(given: object, path: str, groups: bool, wrong: list[Violation]) -> list[str]:
    if not isinstance(given, list):
        wrong.append(Violation(path, "Members are a list."))
        return []
    good = []
    for at, member in enumerate(given[: MAX_MEMBERS + 1]):
        if len(wrong) > MAX_FAULTS:
            break
        fault = member_fault(member) if isinstance(member, str) else "A member is a text."
        if fault is None and not groups and member.startswith("group:"):
            fault = "This service does not know who is in a group: its provider names none."
        if fault:
            wrong.append(Violation(f"{path}[{at}]", fault[0].upper() + fault[1:]))
        else:
            good.append(member)
    return good


def _role_fault(role: object) -> str:
    if not isinstance(role, str) or not role:
        return "A role is required."
    return f"Role {_cut(role)} is not supported for this resource{closest(role[:100], list(ROLES)) or '.'}"


def _renamed(
    given: Mapping[str, Any], keys: Mapping[str, str], path: str, wrong: list[Violation]
) -> dict[str, Any]:
    """The fields of a message in either spelling, by their names in snake_case."""
    known = {**keys, **{name: name for name in keys.values()}}
    for key in given:
        if key not in known:
            where = f" at '{path}'" if path else ""
            fault = f'Invalid JSON payload received. Unknown name "{_cut(key)}"{where}: Cannot find field.'
            wrong.append(Violation(path, fault))
    return {known[key]: value for key, value in given.items() if key in known and value is not None}


def _is_base64(text: object) -> bool:
    try:
        return isinstance(text, str) and len(text) <= 100 and bool(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        return False


def _cut(text: str) -> str:
    return text if len(text) <= 100 else f"{text[:100]}…"
