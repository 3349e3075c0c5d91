"""Who calls, what they may, and which paths they may name: the three questions of every request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from batchpredict.errors import BatchPredictError


class Unauthenticated(BatchPredictError):
    """The call carries no credentials that are known: 401."""


class Forbidden(BatchPredictError):
    """The caller may see the resource, or list its parent, but not do this: 403."""


class Hidden(BatchPredictError):
    """The caller may not even know whether the resource is there: 404, in the words of one that is not."""


@dataclass(frozen=True)
class Caller:
    """Who calls, as a member of IAM policies: "user:ann@x.org"; "allUsers" where nobody is asked."""

    member: str
    administrator: bool = False


class Access(Protocol):
    """Decides. Used from many threads."""

    def caller(self, headers: Mapping[str, str]) -> Caller:
        """Who sends a request with these headers (names in lower case). Raises Unauthenticated."""
        ...

    def may(self, caller: Caller, permission: str, resource: str, *, owner: str = "") -> bool:
        """Whether a permission such as "ml.jobs.cancel" holds on "projects/P/jobs/J", "projects/P/models/M" or
        "projects/P", by the policies of the resource and of its project. `owner`: who created the resource.
        """
        ...

    def require(self, caller: Caller, permission: str, resource: str, *, owner: str = "") -> None:
        """Raises Forbidden or Hidden if `may` is false."""
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
