"""What the REST methods ask of the rooms below that know models and files: the registry, and the check of a job.

The methods themselves do what is the same for every resource: who calls, what they may, reading of bodies and
queries, pages, errors. Names that arrive here are legal ids, bodies are JSON objects.

Errors of the callee become answers by their class, whoever raises them:

    InvalidJob                    400 INVALID_ARGUMENT, with its violations
    JobFailed (NoInput, …)        400 FAILED_PRECONDITION
    Missing                       404 NOT_FOUND
    Exists                        409 ALREADY_EXISTS
    Stale                         409 ABORTED
    InUse                         400 FAILED_PRECONDITION
    QueueFull                     429 RESOURCE_EXHAUSTED
    StoreFailed                   503 UNAVAILABLE

An error of any of these classes may carry `violations` (a sequence of `errors.Violation`); they are then put into
the answer's details as a google.rpc.BadRequest, and its message is `str(error)`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from batchpredict.job import Job, Watch
from batchpredict.service.access.interface import Caller
from batchpredict.service.filters import Filter

Document = Mapping[str, Any]
"""A resource in wire form: camelCase, int64 as strings, what is not set is absent."""


class Finding(Protocol):
    """A job that may be created."""

    @property
    def pinned(self) -> Mapping[str, Any]:
        """What its model names mean now; see `store.interface.NewJob`."""
        ...

    @property
    def workers(self) -> int:
        """Worker processes that it reserves while it runs."""
        ...


@dataclass(frozen=True)
class Checked:
    """A `Finding`."""

    pinned: Mapping[str, Any] = field(default_factory=dict)
    workers: int = 1


class JobCheck(Protocol):
    """Finds early what would fail a job late, and pins its model."""

    def __call__(self, project: str, job: Job, caller: Caller) -> Finding:
        """
        Raises:
          InvalidJob: a path outside the roots, a pattern that matches nothing, an output that cannot be written;
            each with the field that it is about ("prediction_input.input_paths[0]").
          Missing: its model or version, in the words of cmle-behaviour §4.3, with violations.
          Forbidden, Hidden: the caller may not use that model.
        """
        ...


class WatchCheck(Protocol):
    """Finds early what is wrong with a watch. That there are no files yet is not."""

    def __call__(self, project: str, watch: Watch, caller: Caller) -> Mapping[str, Any]:
        """Its paths as they are to be used; see `store.watching.NewWatch`. Raises as `JobCheck`."""
        ...


class Registry(Protocol):
    """Models, their versions, and the operations that make and unmake them. Used from many threads."""

    def create_model(self, project: str, document: Document, creator: str) -> Document:
        """The Model that was created. Raises InvalidJob (fields "model.…"), Exists."""
        ...

    def model(self, project: str, model: str) -> Document:
        """Raises Missing."""
        ...

    def models(
        self, project: str, *, where: Filter | None = None, size: int = 20, after: int | None = None
    ) -> tuple[Sequence[Document], int | None]:
        """A page in the order of creation, and the `after` of the next; None if there is none."""
        ...

    def patch_model(self, project: str, model: str, document: Document, mask: Sequence[str]) -> Document:
        """The Operation. `mask`: paths in snake_case. An etag in the document must be the stored one, or Stale."""
        ...

    def delete_model(self, project: str, model: str) -> Document:
        """The Operation. Raises Missing, InUse."""
        ...

    def create_version(self, project: str, model: str, document: Document, creator: str) -> Document:
        """The Operation that copies and verifies the files. Raises InvalidJob ("version.…"), Missing, Exists."""
        ...

    def version(self, project: str, model: str, version: str) -> Document: ...

    def versions(
        self, project: str, model: str, *, where: Filter | None = None, size: int = 20, after: int | None = None
    ) -> tuple[Sequence[Document], int | None]: ...

    def patch_version(
        self, project: str, model: str, version: str, document: Document, mask: Sequence[str]
    ) -> Document:
        """The Operation."""
        ...

    def delete_version(self, project: str, model: str, version: str) -> Document:
        """The Operation. Raises Missing, InUse."""
        ...

    def set_default(self, project: str, model: str, version: str) -> Document:
        """The Version. Raises Missing; InUse if it is not READY."""
        ...

    def operation(self, project: str, operation: str) -> Document: ...

    def operations(
        self, project: str, *, size: int = 20, after: int | None = None
    ) -> tuple[Sequence[Document], int | None]: ...

    def cancel_operation(self, project: str, operation: str) -> None:
        """Ask it to stop; nothing for one that is done. Raises Missing."""
        ...
