"""What the service keeps, and the contract of whoever keeps it.

Every method is one transaction: it takes effect as a whole, before it returns, and survives a power cut from then
on. Stores are used from many threads and many processes at once, by servers and workers that know nothing of each
other.
Methods that change something with a condition (an etag, a generation, a name that must be new) check it in the same
transaction. Times are of the store's own clock, in UTC, so that machines whose clocks differ agree on leases.

Nothing here knows what a job is for: its document is JSON that comes back as it came.

Raised by any method: `StoreFailed` if the database cannot be reached or refuses; passing trouble (a lock that is
taken, a connection that was closed) is tried again inside. After it nobody knows whether the change was made;
`Stale` says that it was not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from batchpredict.errors import BatchPredictError
from batchpredict.job import State
from batchpredict.service.filters import Filter
from batchpredict.service.queue.fairness import NO_LIMITS, Limits, Usage, Waiting
from batchpredict.service.queue.lifecycle import Cancel, Event, Standing
from batchpredict.service.store.rendezvous import RendezvousStore
from batchpredict.service.store.watching import WatchStore


class StoreFailed(BatchPredictError):
    """The database cannot be reached, or refuses what it should do."""


class Missing(BatchPredictError):
    """There is no such job, model, version or operation."""


class Exists(BatchPredictError):
    """The name is taken; a job's also by one that has ended."""


class QueueFull(BatchPredictError):
    """The project has as many queued jobs as it may."""


class Stale(BatchPredictError):
    """The etag is not the one that is stored: somebody else was faster."""


class InUse(BatchPredictError):
    """A model that has versions, or a default version that is not the last one."""


@dataclass(frozen=True)
class NewJob:
    """A job to be created.

    Attributes:
      project, job_id: its name.
      document: the Job as it was sent, without what only the service writes; JSON values, kept as they are.
      labels: of the job.
      creator: who created it, as a member of IAM policies ("user:ann@x.org", "allUsers").
      workers: worker processes that it reserves while it runs.
      pinned: what its model names meant when it was created: "uri" is the folder of the files that it will be
        scored with, "version" the full name of the version if it has one; and its paths as they were checked:
        "inputPaths", "outputPath".
      webhook: URL that is told of each change of state; "" for none.
    """

    project: str
    job_id: str
    document: Mapping[str, Any]
    labels: Mapping[str, str] = field(default_factory=dict)
    creator: str = "allUsers"
    workers: int = 1
    pinned: Mapping[str, Any] = field(default_factory=dict)
    webhook: str = ""


@dataclass(frozen=True)
class StoredJob:
    """A job as it is kept.

    Attributes:
      new: as it was created; its labels may have been patched since.
      sequence: its place in the order of creation, over all projects.
      created: when.
      etag: of labels; changes with every patch. 8 bytes in base64.
      standing: see `queue.lifecycle`.
      output: predictionOutput or trainingOutput in wire form, also while it runs; None before the first report.
      progress: how far it is, for people and not on the wire, as whoever ran it last said: "done" and "total" of
        one unit (input bytes), "splits" that are committed, "workers" processes, and "staging", the folder of what
        is not published yet.
      position: its place in its project's queue, from 1; None unless it is queued and was asked for.
    """

    new: NewJob
    sequence: int
    created: datetime
    etag: str
    standing: Standing
    output: Mapping[str, Any] | None = None
    position: int | None = None
    progress: Mapping[str, Any] | None = None

    @property
    def project(self) -> str:
        return self.new.project

    @property
    def job_id(self) -> str:
        return self.new.job_id


@dataclass(frozen=True)
class Change:
    """One step of a job's history: kept for ever, in order."""

    project: str
    job_id: str
    generation: int
    before: State | None
    after: State
    at: datetime
    message: str = ""


@dataclass(frozen=True)
class LogLine:
    """One line of a job's log.

    Attributes:
      number: 1 for the first line of a job, then one more each; lines that were dropped leave a gap.
      at: when it was written.
      severity: DEBUG, INFO, WARNING or ERROR, as Cloud Logging has them.
      task: what wrote it: "service", "master-replica-0".
      text: the line.
    """

    number: int
    at: datetime
    severity: str
    task: str
    text: str


class JobStore(Protocol):
    """Jobs, their queue and their logs."""

    def now(self) -> datetime:
        """The store's clock."""
        ...

    def job_coming(self) -> AbstractContextManager[None]:
        """Open while this thread checks a job and creates it, or refuses it: those that others create at the same
        moment wait some milliseconds for it, and all share a transaction."""
        ...

    def create_job(self, new: NewJob, *, queue_limit: int | None = None) -> StoredJob:
        """Raises Exists; QueueFull if the project has `queue_limit` queued jobs."""
        ...

    def job(self, project: str, job_id: str) -> StoredJob:
        """With its position, if it is queued. Raises Missing."""
        ...

    def jobs(
        self, project: str, *, where: Filter | None = None, size: int = 20, before: int | None = None
    ) -> tuple[list[StoredJob], int | None]:
        """A page of a project's jobs, newest first, and the `before` of the next page; None if there is none.

        Jobs that are created meanwhile are on no later page. A full page is not followed by an empty one.
        """
        ...

    def patch_job(self, project: str, job_id: str, labels: Mapping[str, str], etag: str | None) -> StoredJob:
        """Replace labels. Raises Missing; Stale if an etag is given and is not the stored one."""
        ...

    def tell(
        self,
        project: str,
        job_id: str,
        event: Event,
        output: Mapping[str, Any] | None = None,
        progress: Mapping[str, Any] | None = None,
    ) -> StoredJob:
        """Apply an event, with what the job has come to so far and how far it is, if that is known.

        A change of state is written to the history and, if the job has a webhook, put into the outbox.

        Raises:
          Missing.
          LeaseLost, NotNow, Finished, IllegalTransition: nothing has changed; see `queue.lifecycle.step`.
        """
        ...

    def cancel(self, project: str, job_id: str, event: Cancel) -> StoredJob:
        """As `tell`; here by name because it is what clients do."""
        ...

    def waiting(self, *, per_project: int = 10) -> list[Waiting]:
        """For each project its oldest queued jobs that may be claimed now."""
        ...

    def usage(self) -> Mapping[str, Usage]:
        """What runs, by project: jobs that somebody holds."""
        ...

    def claim(
        self,
        project: str,
        job_id: str,
        worker: str,
        lease: timedelta,
        workers: int,
        limits: Limits = NO_LIMITS,
    ) -> StoredJob | None:
        """Take a queued job; None if somebody else was faster, it is not queued any more, or its project has by now
        what it may have. Also of several who claim at the same moment, none goes beyond `limits`."""
        ...

    def renew(self, worker: str, lease: timedelta) -> dict[tuple[str, str], Standing]:
        """Renew all that a worker holds, and learn how each job stands now: a cancel is found here.

        Whatever a worker believes to hold and does not find here, it has lost.
        """
        ...

    def expire(self) -> list[StoredJob]:
        """Take back every lease that has ended; the jobs as they stand then."""
        ...

    def history(self, project: str, job_id: str) -> list[Change]:
        """Every state that the job has been in, oldest first. Raises Missing."""
        ...

    def append_log(
        self, project: str, job_id: str, generation: int, lines: Sequence[tuple[datetime, str, str, str]]
    ) -> None:
        """Add lines (at, severity, task, text). Raises LeaseLost if the generation is not live; then none is added.

        At most 10,000 lines of a job are kept, and 10 MiB; the oldest go first.
        """
        ...

    def log(
        self, project: str, job_id: str, *, after: int = 0, limit: int = 1000, latest: bool = False
    ) -> list[LogLine]:
        """Lines with higher numbers than `after`, oldest first: the first `limit` of them, or the latest.

        Raises Missing.
        """
        ...

    def counts(self) -> Mapping[State, int]:
        """Jobs by state, for metrics."""
        ...

    def projects(self) -> list[str]:
        """Projects that have jobs, models or watches, by name: at most 1000. Does not read every job."""
        ...


@dataclass(frozen=True)
class Worker:
    """A worker of the service as it last reported itself."""

    worker: str
    host: str
    workers: int
    jobs: int
    seen: datetime


@dataclass(frozen=True)
class Delivery:
    """A change of state that a webhook is to be told of.

    Attributes:
      number: unique and rising.
      url: where to.
      body: the Job resource as JSON values, as it was at that change.
      attempts: made so far.
    """

    number: int
    project: str
    job_id: str
    url: str
    body: Mapping[str, Any]
    attempts: int


class OutboxStore(Protocol):
    """Webhook deliveries, and who is at work."""

    def due(self, limit: int, lease: timedelta) -> list[Delivery]:
        """Take deliveries whose time has come; they come again after `lease` unless they are settled."""
        ...

    def delivered(self, number: int) -> None: ...

    def postpone(self, number: int, wait: timedelta) -> None:
        """Try again later."""
        ...

    def give_up(self, number: int, reason: str) -> None: ...

    def report_worker(self, worker: Worker) -> None: ...

    def workers(self, *, seen_within: timedelta) -> list[Worker]: ...


@dataclass(frozen=True)
class Keep:
    """For how long after their end things are kept; None for ever.

    Attributes:
      jobs: with all that belongs to them; and what is noted of the epochs of watches that are done.
      logs: of jobs.
      rest: what became of operations, and of deliveries that were given up, which is there for people to look at.
    """

    jobs: timedelta | None = None
    logs: timedelta | None = None
    rest: timedelta | None = timedelta(days=30)


class RetentionStore(Protocol):
    """What a service that runs for years has to forget."""

    def forget(self, keep: Keep) -> int:
        """Delete some of what has ended for longer than it is kept, in small transactions that hold up nobody.

        What has not ended is left alone, whatever its age. The id of a job that is deleted can be used again.

        Returns:
          How many jobs, logs, operations and deliveries were deleted; if there were any, there may be more.
        """
        ...


class PolicyStore(Protocol):
    """IAM policies, by the full name of their resource."""

    def policy(self, resource: str) -> Mapping[str, Any]:
        """{"etag": …, "bindings": […], …}; {"etag": "ACAB"} where none was set."""
        ...

    def set_policy(self, resource: str, policy: Mapping[str, Any], etag: str | None) -> Mapping[str, Any]:
        """The policy as stored, with its new etag. Raises Stale."""
        ...


@dataclass(frozen=True)
class StoredModel:
    """A model; `document` as it was sent. `default` is the id of its default version."""

    project: str
    model: str
    document: Mapping[str, Any]
    labels: Mapping[str, str]
    creator: str
    created: datetime
    etag: str
    default: str | None = None


@dataclass(frozen=True)
class StoredVersion:
    """A version of a model.

    Attributes:
      document: as it was sent.
      state: READY, CREATING, FAILED, DELETING or UPDATING.
      uri: folder of the copy of its files; "" until they are copied.
      details: what was found in the SavedModel: its signatures.
      message: why it failed.
    """

    project: str
    model: str
    version: str
    document: Mapping[str, Any]
    labels: Mapping[str, str]
    created: datetime
    etag: str
    state: str = "CREATING"
    uri: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)
    message: str = ""
    last_used: datetime | None = None


@dataclass(frozen=True)
class Operation:
    """A long-running operation, in the wire form of google.longrunning: name, metadata, done, error or response."""

    project: str
    operation: str
    document: Mapping[str, Any]
    done: bool
    worker: str = ""


class ModelStore(Protocol):
    """Models, versions and operations. Orders are those of creation."""

    def create_model(self, model: StoredModel) -> StoredModel:
        """Raises Exists."""
        ...

    def model(self, project: str, model: str) -> StoredModel:
        """Raises Missing."""
        ...

    def models(
        self, project: str, *, where: Filter | None = None, size: int = 20, after: int | None = None
    ) -> tuple[list[StoredModel], int | None]: ...

    def patch_model(self, project: str, model: str, changes: Mapping[str, Any], etag: str | None) -> StoredModel:
        """`changes` are fields of the document and "labels", "default". Raises Missing, Stale."""
        ...

    def delete_model(self, project: str, model: str) -> None:
        """Raises Missing; InUse if it has versions."""
        ...

    def create_version(self, version: StoredVersion, operation: Operation | None = None) -> StoredVersion:
        """The first one of a model becomes its default. Raises Missing (no such model), Exists.

        Args:
          operation: is to fill the version, and is created with it: none without the other.
        """
        ...

    def version(self, project: str, model: str, version: str) -> StoredVersion: ...

    def versions(
        self, project: str, model: str, *, where: Filter | None = None, size: int = 20, after: int | None = None
    ) -> tuple[list[StoredVersion], int | None]: ...

    def patch_version(
        self, project: str, model: str, version: str, changes: Mapping[str, Any], etag: str | None
    ) -> StoredVersion:
        """`changes` are fields of the document and "labels", "state", "uri", "details", "message", "last_used".

        "last_used" alone leaves the etag as it is. Raises Missing, Stale.
        """
        ...

    def delete_version(self, project: str, model: str, version: str) -> None:
        """Raises Missing; InUse for the default unless it is the last."""
        ...

    def version_of(self, uri: str) -> str:
        """The full name of the version whose files are in `uri`; "" if there is none."""
        ...

    def pinned(self, uri: str) -> bool:
        """Whether a job that has not ended is to be scored with the files in `uri`."""
        ...

    def create_operation(self, operation: Operation) -> Operation: ...

    def operation(self, project: str, operation: str) -> Operation: ...

    def operations(
        self, project: str, *, size: int = 20, after: int | None = None
    ) -> tuple[list[Operation], int | None]: ...

    def due_operations(self, worker: str, lease: timedelta, limit: int = 10) -> list[Operation]:
        """Take operations of any project that are not done and that nobody holds, oldest first.

        They are `worker`'s until `lease` has passed; then they come again, to whoever asks.
        """
        ...

    def hold_operation(self, project: str, operation: str, worker: str, lease: timedelta) -> bool:
        """Go on with an operation. False if it is done, or has become another worker's."""
        ...

    def patch_operation(self, project: str, operation: str, metadata: Mapping[str, Any]) -> Operation:
        """Put fields into its document's metadata; nothing for one that is done. Raises Missing."""
        ...

    def finish_operation(
        self,
        project: str,
        operation: str,
        *,
        response: Mapping[str, Any] | None = None,
        error: Mapping[str, Any] | None = None,
    ) -> Operation:
        """Its end: `done`, `metadata.endTime`, and one of the two. One that is done stays as it is.

        Raises Missing.
        """
        ...


class Store(JobStore, RendezvousStore, OutboxStore, RetentionStore, PolicyStore, ModelStore, WatchStore, Protocol):
    """All of it, in one database."""

    def ready(self) -> None:
        """Raises StoreFailed unless the database answers and has the schema of this version."""
        ...

    def close(self) -> None: ...
