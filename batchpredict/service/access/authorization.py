"""What a caller may: by the policies of a resource and of what it belongs to.

    what is asked for, and not allowed    the answer
    something with a resource that        403 PERMISSION_DENIED
      you may get, or list the kind of
    something with any other resource     404 NOT_FOUND, in the words of one that is not there
    something with a project (create,     403
      list, its policy)

Any name may be that of a project, so that a 403 tells nothing about it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from batchpredict.errors import InvalidName
from batchpredict.resources import JobName, ModelName, OperationName, ProjectName, VersionName, WatchName
from batchpredict.service.access import policies
from batchpredict.service.access.authentication import Authentication
from batchpredict.service.access.interface import Caller, Forbidden, Hidden
from batchpredict.service.access.jwks import ProviderKeys
from batchpredict.service.access.oidc import OidcTokens
from batchpredict.service.access.roles import JOB_OWNER, MODEL_OWNER, OPERATION_OWNER, ROLES, WATCH_OWNER
from batchpredict.service.members import AUTHENTICATED, EVERYBODY, canonical_member
from batchpredict.service.settings import Settings

if TYPE_CHECKING:
    from batchpredict.service.store.interface import PolicyStore

Resource = ProjectName | JobName | ModelName | VersionName | OperationName | WatchName

KEPT = 2.0
"""Seconds that a policy is believed without being read again: how long a permission may outlive its revocation."""

_MAX_KEPT = 10_000

# Longer names first: each is tried until one fits.
_FORMS: tuple[type[Resource], ...] = (VersionName, JobName, ModelName, OperationName, WatchName, ProjectName)
_OWNERS: Mapping[type[Resource], str] = {
    JobName: JOB_OWNER,
    ModelName: MODEL_OWNER,
    VersionName: MODEL_OWNER,
    OperationName: OPERATION_OWNER,
    WatchName: WATCH_OWNER,
}
_KINDS: Mapping[type[Resource], str] = {
    JobName: "jobs",
    ModelName: "models",
    VersionName: "versions",
    OperationName: "operations",
    WatchName: "watches",
}


class ServiceAccess:
    """`interface.Access` over the policies of a store. Used from many threads.

    Args:
      settings: who is known, and who may do everything.
      store: where policies are.
      authentication: who calls; None for what the settings say.
      clock: seconds that only rise.
    """

    def __init__(
        self,
        settings: Settings,
        store: PolicyStore,
        authentication: Authentication | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._authentication = authentication or _authentication(settings)
        self._groups = settings.oidc is not None and bool(settings.oidc.groups)
        self._store = store
        self._clock = clock
        self._kept: dict[str, tuple[float, policies.Grants]] = {}
        self._lock = threading.Lock()

    def caller(self, headers: Mapping[str, str], query: Mapping[str, str] | None = None) -> Caller:
        return self._authentication.caller(headers, query)

    def may(self, caller: Caller, permission: str, resource: str, *, owner: str = "") -> bool:
        if caller.administrator:
            return True
        name = _parsed(resource)
        if name is None:
            return False
        if type(name) in _OWNERS and permission in ROLES[_OWNERS[type(name)]] and _owns(caller, owner):
            return True
        return any(policies.allows(self._grants(str(each)), caller, permission) for each in _chain(name))

    def require(self, caller: Caller, permission: str, resource: str, *, owner: str = "") -> None:
        if self.may(caller, permission, resource, owner=owner):
            return
        name = _parsed(resource)
        if name is None or (not isinstance(name, ProjectName) and not self._sees(caller, name, owner)):
            raise Hidden(f'"{resource}" was not found.')
        raise Forbidden(f"Permission '{permission}' denied on resource '{resource}' for '{caller.member}'.")

    def policy(self, resource: str, requested_version: int = 0) -> Mapping[str, Any]:
        policies.check_version(requested_version)
        return self._store.policy(resource)

    def set_policy(self, resource: str, request: Mapping[str, Any]) -> Mapping[str, Any]:
        policy, etag, mask = policies.checked(request, groups=self._groups)
        if "bindings" not in mask:
            stored = self._store.policy(resource)
            policy["bindings"] = list(stored.get("bindings", ()))
            etag = etag or stored.get("etag")
        try:
            return self._store.set_policy(resource, policy, etag)
        finally:
            with self._lock:
                self._kept.pop(resource, None)

    def test(self, caller: Caller, permissions: Sequence[str], resource: str, *, owner: str = "") -> list[str]:
        policies.check_permissions(permissions)
        return [each for each in dict.fromkeys(permissions) if self.may(caller, each, resource, owner=owner)]

    def check_permissions(self, permissions: Sequence[str]) -> None:
        policies.check_permissions(permissions)

    def _sees(self, caller: Caller, name: Resource, owner: str) -> bool:
        kind = _KINDS[type(name)]
        if self.may(caller, f"ml.{kind}.get", str(name), owner=owner):
            return True
        parent = name.parent if isinstance(name, VersionName) else ProjectName(name.project)
        return self.may(caller, f"ml.{kind}.list", str(parent), owner=owner)

    def _grants(self, resource: str) -> policies.Grants:
        now = self._clock()
        with self._lock:
            found = self._kept.get(resource)
        if found is not None and now - found[0] < KEPT:
            return found[1]
        # The time from before the question: what it answers may be older than the answer.
        grants = policies.grants_of(self._store.policy(resource))
        with self._lock:
            if len(self._kept) >= _MAX_KEPT:
                self._kept.clear()
            self._kept[resource] = (now, grants)
        return grants


def _parsed(resource: str) -> Resource | None:
    for form in _FORMS:
        try:
            return form.parse(resource)
        except InvalidName:
            continue
    return None


def _chain(name: Resource) -> Iterator[Resource]:
    """Whose policies count: its own, and those of what it belongs to."""
    if isinstance(name, VersionName):
        yield name.parent
    elif isinstance(name, (JobName, ModelName)):
        yield name
    yield ProjectName(name.project)


def _owns(caller: Caller, owner: str) -> bool:
    """What was created while nobody was asked is nobody's now."""
    if not owner or owner in (EVERYBODY, AUTHENTICATED):
        return False
    return canonical_member(caller.member) == canonical_member(owner)


def _authentication(settings: Settings) -> Authentication:
    oidc = settings.oidc
    if oidc is None:
        return Authentication(settings)
    return Authentication(settings, OidcTokens(oidc, ProviderKeys(oidc.issuer, oidc.jwks)))
