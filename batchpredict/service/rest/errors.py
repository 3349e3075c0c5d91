"""From an error to the answer that carries it: the shape of every error of Google's APIs.

    {"error": {"code": 409, "message": "Field: job.job_id Error: …", "status": "ALREADY_EXISTS", "details": […]}}

Source: cmle-behaviour §4.3; names and codes of google/rpc/code.proto.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from batchpredict.errors import BatchPredictError, IllegalTransition, InvalidJob, InvalidName, JobFailed, Violation
from batchpredict.service.access.interface import Forbidden, Hidden, IdentityUnavailable, Unauthenticated
from batchpredict.service.filters import FilterInvalid
from batchpredict.service.queue.lifecycle import Finished, NotNow
from batchpredict.service.rest.method import SINGULAR
from batchpredict.service.store.interface import Exists, InUse, Missing, QueueFull, Stale, StoreFailed
from batchpredict.service.store.rendezvous import NotAdmitted, RendezvousFull

_log = logging.getLogger(__name__)

BAD_REQUEST = "type.googleapis.com/google.rpc.BadRequest"
QUOTA_FAILURE = "type.googleapis.com/google.rpc.QuotaFailure"

# Google's own sentence for a policy that was changed meanwhile, which clients know and try again on.
CONCURRENT_POLICY = (
    "There were concurrent policy changes. Please retry the whole read-modify-write with exponential backoff."
)


class Problem(Exception):
    """An error as it is answered.

    Attributes:
      code: of HTTP.
      status: of google.rpc.
      message: sentences for a user.
      details: as they stand in the answer.
      headers: of the answer.
    """

    def __init__(
        self,
        code: int,
        status: str,
        message: str,
        details: Sequence[Mapping[str, Any]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.message = message
        self.details = details
        self.headers = headers or {}

    def body(self) -> dict[str, Any]:
        error: dict[str, Any] = {"code": self.code, "message": self.message, "status": self.status}
        if self.details:
            error["details"] = list(self.details)
        return {"error": error}


def invalid(violations: Sequence[Violation], code: int = 400, status: str = "INVALID_ARGUMENT") -> Problem:
    """What is wrong with a request, field by field; field "" for the whole of it."""
    message = "\n".join(str(violation) for violation in violations)
    return Problem(code, status, message, (bad_request(violations),))


def wrong(field: str, description: str) -> Problem:
    """A request with one wrong field, as `job.labels` or `page_token`; "" for the whole of it."""
    return invalid([Violation(field, description)])


def bad_request(violations: Sequence[Violation]) -> dict[str, Any]:
    """The detail that names fields. One without a field has none, as Google's own for text that is no JSON."""
    return {
        "@type": BAD_REQUEST,
        "fieldViolations": [
            {"field": violation.field, "description": violation.description}
            if violation.field
            else {"description": violation.description}
            for violation in violations
        ],
    }


def not_found(resource: str) -> Problem:
    """There is no `projects/p/jobs/j`, or the caller may not know that there is: the same words for both."""
    words = resource.split("/")
    kind = SINGULAR.get(words[-2], words[-2].removesuffix("s")) if len(words) > 1 else "resource"
    return invalid([Violation("name", f'The {kind} resource: "{words[-1]}" was not found.')], 404, "NOT_FOUND")


def no_such_method(path: str) -> Problem:
    return Problem(404, "NOT_FOUND", f"Method not found: nothing is served at {_cut(path)}.")


def wrong_verb(verb: str, allowed: str) -> Problem:
    """Google's codes have no name for 405; UNIMPLEMENTED is what its proxies write for it."""
    return Problem(
        405,
        "UNIMPLEMENTED",
        f"{_cut(verb)} is not a method of this path; it has {allowed}.",
        headers={"Allow": allowed},
    )


def quota_failure(project: str, limit: int | None) -> Problem:
    most = "as many queued jobs as it may have" if limit is None else f"{limit} queued jobs, and may not have more"
    text = f"The project has {most}. Wait until some have begun, or cancel some."
    return Problem(
        429,
        "RESOURCE_EXHAUSTED",
        f"Quota failure for project {project}. {text}",
        ({"@type": QUOTA_FAILURE, "violations": [{"subject": project, "description": text}]},),
    )


def problem(error: Exception, resource: str) -> Problem:
    """The answer for whatever a method raised while it was asked for `resource`."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, BatchPredictError):
        known = _known(error, resource)
        if known is not None:
            return known
    _log.exception("A request for %s failed", resource, exc_info=error)
    return Problem(500, "INTERNAL", "Internal error encountered. The log of the service says more.")


# The first class that fits counts.
_CODES: tuple[tuple[type[BatchPredictError], int, str], ...] = (
    (InvalidJob, 400, "INVALID_ARGUMENT"),
    (InvalidName, 400, "INVALID_ARGUMENT"),
    (JobFailed, 400, "FAILED_PRECONDITION"),
    (Missing, 404, "NOT_FOUND"),
    (Exists, 409, "ALREADY_EXISTS"),
    (Stale, 409, "ABORTED"),
    (InUse, 400, "FAILED_PRECONDITION"),
    (Finished, 400, "FAILED_PRECONDITION"),
    (NotNow, 400, "FAILED_PRECONDITION"),
    (IllegalTransition, 400, "FAILED_PRECONDITION"),
    (QueueFull, 429, "RESOURCE_EXHAUSTED"),
    (Forbidden, 403, "PERMISSION_DENIED"),
    (NotAdmitted, 403, "PERMISSION_DENIED"),
    (RendezvousFull, 400, "FAILED_PRECONDITION"),
)


def _known(error: BatchPredictError, resource: str) -> Problem | None:
    if isinstance(error, Unauthenticated):
        return Problem(
            401, "UNAUTHENTICATED", str(error), headers={"WWW-Authenticate": 'Bearer realm="batchpredict"'}
        )
    if isinstance(error, StoreFailed):
        _log.error("The database failed a request for %s: %s", resource, error)
        return Problem(503, "UNAVAILABLE", "The database does not answer. Try again.", headers={"Retry-After": "1"})
    if isinstance(error, IdentityUnavailable):
        return Problem(503, "UNAVAILABLE", str(error), headers={"Retry-After": "1"})
    if isinstance(error, FilterInvalid):
        return wrong("filter", str(error))
    violations: Sequence[Violation] = getattr(error, "violations", ())
    if isinstance(error, Hidden) or (isinstance(error, Missing) and not violations):
        return not_found(resource)
    for kind, code, status in _CODES:
        if isinstance(error, kind):
            details = (bad_request(violations),) if violations else ()
            return Problem(code, status, str(error), details)
    return None


def _cut(text: str) -> str:
    return text if len(text) <= 200 else text[:200] + "…"
