"""Who calls, what they may, and which paths they may name: the three questions of every request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from batchpredict.errors import BatchPredictError


class Unauthenticated(BatchPredictError):
    """The call carries no credentials that are known: 401."""


class Forbidden(BatchPredictError):
    """The caller may see the resource, or list its parent, but not do this: 403."""


class Hidden(BatchPredictError):
    """The caller may not even know whether the resource is there: 404, in the words of one that is not."""


class IdentityUnavailable(BatchPredictError):
    """Nobody can say who calls, because the provider's keys cannot be had: 503, and the call may be tried again."""


@dataclass(frozen=True)
class Caller:
    """Who calls.

    Attributes:
      member: as IAM policies name it: "user:ann@x.org"; "allUsers" where nobody is asked.
      administrator: may do everything.
      groups: members such as "group:team@x.org", where the provider names them.
    """

    member: str
    administrator: bool = False
    groups: Sequence[str] = ()


class Access(Protocol):
    """Decides. Used from many threads."""

    def caller(self, headers: Mapping[str, str], query: Mapping[str, str] | None = None) -> Caller:
        """Who sends a request with these headers (names in lower case) and query parameters.

        The token is that of `Authorization: Bearer`, or else the parameter `access_token`.

        Raises:
          Unauthenticated: there is none, or it is not known.
          Forbidden: nobody is asked for one, and it is a foreign web page that makes this machine's browser call.
          IdentityUnavailable: the token may be good, but nobody can tell now.
        """
        ...

    def may(self, caller: Caller, permission: str, resource: str, *, owner: str = "") -> bool:
        """Whether a permission such as "ml.jobs.cancel" holds on "projects/P/jobs/J", "projects/P/models/M" or
        "projects/P", by the policies of the resource and of its project. `owner`: who created the resource.
        """
        ...

    def require(self, caller: Caller, permission: str, resource: str, *, owner: str = "") -> None:
        """Raises Forbidden or Hidden if `may` is false."""
        ...

    def policy(self, resource: str, requested_version: int = 0) -> Mapping[str, Any]:
        """The IAM policy of a resource. Raises InvalidJob: there is no such version of policies."""
        ...

    def set_policy(self, resource: str, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Replace a policy, as a SetIamPolicyRequest says: {"policy": …, "updateMask": …}; the policy as stored.

        Raises:
          InvalidJob: names every field that is wrong.
          Stale: the policy has an etag, which is not the stored one.
        """
        ...

    def test(self, caller: Caller, permissions: Sequence[str], resource: str, *, owner: str = "") -> list[str]:
        """Which of some permissions a caller has, in their order. Raises InvalidJob as `check_permissions`.

        Whoever asks finds out first whether the resource is there: the answer for one that is not is an empty list.
        """
        ...

    def check_permissions(self, permissions: Sequence[str]) -> None:
        """Raises InvalidJob: one of them has a wildcard, or is none of ours."""
        ...


class Paths(Protocol):
    """Which paths jobs and models may name."""

    def check(self, url: str, field: str) -> str:
        """The URL as it is to be used: normalised, absolute, links resolved, and still below a root.

        A pattern is checked by its part before the first wildcard; what it matches is checked by `inside`.

        Raises:
          InvalidJob: it is not below a root, or of a scheme that no root has; with `field` as its violation.
        """
        ...

    def inside(self, url: str) -> bool:
        """Whether a path that exists is below a root, with its links resolved."""
        ...
