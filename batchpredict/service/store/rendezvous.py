"""The rendezvous of training jobs, as the service keeps it: the contract.

A job that is held under a lease has a rendezvous, for as long as it has not ended. Its documents are in *places*,
one for each gang. Whoever comes shows the hash of a token that was made for one lease of the job; it is no use any
more when that lease is over, whoever has the job then. Documents outlive a lease, as the next one goes on with
them, and are deleted when the job ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from batchpredict.errors import BatchPredictError

LONGEST_DOCUMENT = 256 * 2**10
"""Bytes as JSON; as of `training.gang.rendezvous`."""

MOST_DOCUMENTS = 100_000
"""Of a job: a thousand replicas leave some three thousand in each generation, a small trial ten."""

MOST_BYTES = 64 * 2**20
"""Of all documents of a job."""


class NotAdmitted(BatchPredictError):
    """The token is not that of a live lease of this job; or there is no such job, which is nobody's business."""


class RendezvousFull(BatchPredictError):
    """The job has more documents than are kept, or one is too large."""


@dataclass(frozen=True)
class Visitor:
    """Who comes to the rendezvous of a job.

    Attributes:
      project, job_id: of the job.
      digest: SHA-256 of the token, in hexadecimal.
    """

    project: str
    job_id: str
    digest: str


@dataclass(frozen=True)
class Placed:
    """A document.

    Attributes:
      number: higher than that of every document of the job that was written before it.
    """

    name: str
    number: int
    document: Mapping[str, Any]


@dataclass(frozen=True)
class Put:
    """What became of a put.

    Attributes:
      written: this document stands there now.
      number: of what stands there now; 0 for nothing.
    """

    written: bool
    number: int


class RendezvousStore(Protocol):
    """Documents of training jobs that run. All but `admit` raise NotAdmitted."""

    def admit(self, project: str, job_id: str, generation: int, digest: str) -> None:
        """Let in whoever has this token, and nobody with an earlier one.

        Raises Missing; LeaseLost if the generation is not live.
        """
        ...

    def check_visitor(self, visitor: Visitor) -> None:
        """Nothing happens to whoever would be let in now. Unlike a write it keeps nobody waiting, whoever comes."""
        ...

    def create_document(self, visitor: Visitor, place: str, name: str, document: Mapping[str, Any]) -> bool:
        """Write a document unless there is one of that name; whether it is this one that stands there now.

        Raises RendezvousFull.
        """
        ...

    def put_document(
        self, visitor: Visitor, place: str, name: str, document: Mapping[str, Any], replaces: int
    ) -> Put:
        """Write a document in the place of the one with this number, 0 for none, and of no other.

        Raises RendezvousFull.
        """
        ...

    def documents(
        self, visitor: Visitor, place: str, *, since: int = 0, limit: int = 200
    ) -> tuple[list[Placed], bool]:
        """Those of a place with higher numbers, in their order, at most `limit`; and whether there are more."""
        ...
