"""IAM policies of projects, jobs and models."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from batchpredict.cli.remote.connection import Refused, Service
from batchpredict.cli.remote.files import read_object
from batchpredict.cli.remote.names import job_name, model_name, project_name
from batchpredict.cli.remote.render import print_resource, tell
from batchpredict.cli.remote.running import command
from batchpredict.errors import WrongCall
from batchpredict.launch import SUCCEEDED

Policy = dict[str, Any]

_TRIES = 8
# With conditions, bindings come in the policy's third form.
_VERSION = 3


@command
def get(service: Service, options: argparse.Namespace) -> int:
    print_resource(_get(service, _resource(service, options)), options.format)
    return SUCCEEDED


@command
def put(service: Service, options: argparse.Namespace) -> int:
    policy = read_object(options.policy_file, "POLICY_FILE", "policy")
    version = policy.get("version")
    if isinstance(version, str) and version.isdecimal() and len(version) < 4:
        policy["version"] = int(version)
    print_resource(_set(service, _resource(service, options), policy), options.format)
    tell(f"updated the IAM policy of {options.resource}", quiet=options.quiet)
    return SUCCEEDED


@command
def add_binding(service: Service, options: argparse.Namespace) -> int:
    return _change(service, options, _with)


@command
def remove_binding(service: Service, options: argparse.Namespace) -> int:
    return _change(service, options, _without)


def _change(service: Service, options: argparse.Namespace, change: Callable[[Policy, str, str], Policy]) -> int:
    """Read the policy, change it and write it; from the beginning if somebody else was faster."""
    resource = _resource(service, options)
    for left in range(_TRIES - 1, -1, -1):
        policy = change(_get(service, resource), options.role, options.member)
        try:
            print_resource(_set(service, resource, policy), options.format)
        except Refused as error:
            if error.code != 409 or not left:
                raise
        else:
            tell(f"updated the IAM policy of {options.resource}", quiet=options.quiet)
            return SUCCEEDED
    raise AssertionError("the last try returns or raises")


def _with(policy: Policy, role: str, member: str) -> Policy:
    bindings = [dict(binding) for binding in policy.get("bindings", ())]
    for binding in bindings:
        if binding.get("role") == role and not binding.get("condition"):
            if member not in binding["members"]:
                binding["members"] = [*binding["members"], member]
            return {**policy, "bindings": bindings}
    return {**policy, "bindings": [*bindings, {"role": role, "members": [member]}]}


def _without(policy: Policy, role: str, member: str) -> Policy:
    bindings, found = [], False
    for binding in policy.get("bindings", ()):
        members = list(binding.get("members", ()))
        if binding.get("role") == role and not binding.get("condition") and member in members:
            found = True
            members.remove(member)
        if members:
            bindings.append({**binding, "members": members})
    if not found:
        raise WrongCall(f"--member: '{member}' has not the role '{role}' here; get-iam-policy shows who has")
    return {**policy, "bindings": bindings}


def _get(service: Service, resource: str) -> Policy:
    return service.get(f"{resource}:getIamPolicy", **{"options.requestedPolicyVersion": _VERSION})


def _set(service: Service, resource: str, policy: Policy) -> Policy:
    return service.post(f"{resource}:setIamPolicy", {"policy": policy, "updateMask": "bindings,etag"})


def _resource(service: Service, options: argparse.Namespace) -> str:
    kind = options.command.partition(" ")[0]
    if kind == "jobs":
        return job_name(service, options.resource)
    if kind == "models":
        return model_name(service, options.resource, "MODEL")
    return project_name(options.resource)
