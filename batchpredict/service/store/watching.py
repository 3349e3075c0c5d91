"""Watches, as the service keeps them: the contract.

A watch scores files as they arrive, in epochs (`batchpredict.epochs`), each of which is a job of the project. What
there is of its epochs here is what its leader has said: the truth is in the output folder.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from batchpredict.service.queue.leading import LeadEvent, Leading

RUNNING, SUCCEEDED, SET_ASIDE = "RUNNING", "SUCCEEDED", "SET_ASIDE"
"""States of an epoch. One that is tried again is RUNNING."""

MOST_WATCHES = 1000
"""Of a project: each is a process of some worker, and its jobs pass by the limit of the queue, one at a time."""

MOST_NOTES = 50
"""The latest of what the leaders of a watch had to say."""


@dataclass(frozen=True)
class NewWatch:
    """A watch to be created.

    Attributes:
      project, watch_id: its name.
      document: as it was sent, without what only the service writes; JSON values, kept as they are.
      labels: of the watch and of its jobs.
      creator: as a member of IAM policies; its jobs are created in this name.
      pinned: its paths as they were checked: "inputPaths", "outputPath", and "uri" or "modelBase".
      webhook: URL that is told of each change of state of its jobs; "" for none.
    """

    project: str
    watch_id: str
    document: Mapping[str, Any]
    labels: Mapping[str, str] = field(default_factory=dict)
    creator: str = "allUsers"
    pinned: Mapping[str, Any] = field(default_factory=dict)
    webhook: str = ""


@dataclass(frozen=True)
class Note:
    """Something that a leader had to say. `severity`: INFO or WARNING."""

    at: datetime
    severity: str
    text: str


@dataclass(frozen=True)
class StoredWatch:
    """A watch as it is kept.

    Attributes:
      number: its place in the order of creation, over all projects.
      created: when.
      leading: see `queue.leading`.
      retries: how often somebody asked to take up what was set aside.
      epochs: how many were begun.
      set_aside: how many are set aside now.
      notes: the latest, oldest first.
    """

    new: NewWatch
    number: int
    created: datetime
    leading: Leading
    retries: int = 0
    epochs: int = 0
    set_aside: int = 0
    notes: Sequence[Note] = ()

    @property
    def project(self) -> str:
        return self.new.project

    @property
    def watch_id(self) -> str:
        return self.new.watch_id

    @property
    def key(self) -> tuple[str, str]:
        return self.new.project, self.new.watch_id


@dataclass(frozen=True)
class StoredEpoch:
    """An epoch of a watch.

    Attributes:
      epoch: its number, from 1.
      state: see above.
      files, bytes: that it scores.
      model: URI that it is scored with.
      job_id: of its last job; "" before the first.
      failures: tries that have failed.
      message: why the last one has.
      begun: when the leader said so first.
      ended: when it succeeded or was set aside.
    """

    epoch: int
    state: str
    files: int
    bytes: int
    model: str
    job_id: str = ""
    failures: int = 0
    message: str = ""
    begun: datetime | None = None
    ended: datetime | None = None


@dataclass(frozen=True)
class EpochReport:
    """How the epochs of a watch stand, as its leader has read in the output folder.

    Attributes:
      last: number of the last one that was begun.
      epochs: those that are open or set aside; of every other one up to `last` the results are there.
    """

    last: int
    epochs: Sequence[StoredEpoch] = ()


class WatchStore(Protocol):
    """Watches, who leads them, and their epochs. What names a watch raises Missing if there is none."""

    def create_watch(self, new: NewWatch) -> StoredWatch:
        """Raises Exists; QueueFull if the project has as many watches as it may."""
        ...

    def watch(self, project: str, watch_id: str) -> StoredWatch: ...

    def watches(
        self, project: str, *, size: int = 20, before: int | None = None
    ) -> tuple[list[StoredWatch], int | None]:
        """A page of a project's watches, newest first, and the `before` of the next page; None if there is none."""
        ...

    def delete_watch(self, project: str, watch_id: str) -> None:
        """With its epochs. Its jobs stay, and what it wrote to the output folder."""
        ...

    def retry_watch(self, project: str, watch_id: str) -> StoredWatch:
        """Ask the leader to take up what was set aside."""
        ...

    def epochs(
        self, project: str, watch_id: str, *, size: int = 20, before: int | None = None
    ) -> tuple[list[StoredEpoch], int | None]:
        """A page of a watch's epochs, newest first, and the `before` of the next page."""
        ...

    def lead(self, worker: str, lease: timedelta, limit: int) -> list[StoredWatch]:
        """Take watches that may be led and that nobody leads, at most `limit`."""
        ...

    def keep_leading(self, worker: str, lease: timedelta) -> dict[tuple[str, str], StoredWatch]:
        """Renew all that a worker leads, and learn how each stands: a pause is found here, and a retry.

        Whatever a worker believes to lead and does not find here, it has lost, or it was deleted.
        """
        ...

    def tell_watch(
        self, project: str, watch_id: str, event: LeadEvent, *, number: int | None = None
    ) -> StoredWatch:
        """Apply an event. Raises LeaseLost, NotNow: nothing has changed; see `queue.leading.step`.

        Args:
          number: of the watch that is meant; one that was created later under its name is none (Missing).
        """
        ...

    def report_epochs(
        self, number: int, generation: int, report: EpochReport | None, notes: Sequence[Note] = ()
    ) -> None:
        """Note how the epochs of the watch of this number stand, and what its leader has to say.

        Raises Missing, LeaseLost.
        """
        ...

    def report_epoch_job(self, number: int, generation: int, epoch: int, job_id: str) -> None:
        """Note which job does an epoch of the watch of this number. Raises Missing, LeaseLost."""
        ...
