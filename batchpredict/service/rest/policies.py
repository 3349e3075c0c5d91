"""The three methods of access control policies, which are the same for projects, jobs and models."""

from __future__ import annotations

from batchpredict.service.access.interface import Access
from batchpredict.service.rest.bodies import fields_of
from batchpredict.service.rest.calls import Answer, Call
from batchpredict.service.rest.errors import CONCURRENT_POLICY, Problem, wrong
from batchpredict.service.rest.guard import Guard
from batchpredict.service.store.interface import Missing, Stale


class Policies:
    """getIamPolicy, setIamPolicy and testIamPermissions of whatever a call names."""

    def __init__(self, access: Access, guard: Guard) -> None:
        self._access = access
        self._guard = guard

    def get(self, call: Call) -> Answer:
        self._guard.resource(call)
        return Answer(self._access.policy(call.resource, call.query.get("options.requestedPolicyVersion", 0)))

    def set(self, call: Call) -> Answer:
        self._guard.resource(call)
        try:
            return Answer(self._access.set_policy(call.resource, call.body))
        except Stale:
            raise Problem(409, "ABORTED", CONCURRENT_POLICY) from None

    def test(self, call: Call) -> Answer:
        """A resource that is not there is no error: nobody has any permission on it (cmle-behaviour §4.1)."""
        asked = fields_of(call.body, ("permissions",)).get("permissions", [])
        if not isinstance(asked, list) or not all(isinstance(one, str) for one in asked):
            raise wrong("permissions", "Expected a list of strings.")
        self._access.check_permissions(asked)
        try:
            owner = self._guard.owner(call)
        except Missing:
            return Answer({})
        held = self._access.test(call.caller, asked, call.resource, owner=owner)
        return Answer({"permissions": held} if held else {})
