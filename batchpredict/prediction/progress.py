"""How far a job is, read from its manifests: the same on every runner."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from batchpredict.prediction.budget import Tally
from batchpredict.prediction.plan import Plan
from batchpredict.prediction.staging import Staging


@dataclass(frozen=True)
class Snapshot:
    """A job at one moment.

    Attributes:
      tally: predictions, errors and bytes; of the committed splits and, where it is known, of those under way.
      resumed: the part of it that earlier runs had committed.
      total_bytes: input bytes of the job.
      splits_done, splits: committed splits, and all.
      workers: worker processes.
    """

    tally: Tally
    resumed: Tally
    total_bytes: int
    splits_done: int
    splits: int
    workers: int


class Observer(Protocol):
    """Whoever watches a job run. Warnings come from any thread, progress from the one that waits for the job."""

    def progress(self, snapshot: Snapshot) -> None: ...

    def warning(self, message: str) -> None: ...


class Unobserved:
    """An `Observer` that looks away."""

    def progress(self, snapshot: Snapshot) -> None:
        del snapshot

    def warning(self, message: str) -> None:
        del message


class ManifestFeed:
    """Adds up the manifests of a job, reading each once."""

    def __init__(self, staging: Staging, plan: Plan) -> None:
        self._staging = staging
        self._plan = plan
        self._seen: set[int] = set()
        self._tally = Tally()
        self._resumed: Tally | None = None

    def poll(self, under_way: Tally | None = None, workers: int = 0) -> Snapshot:
        """The job as it is now; the first call sets what counts as resumed.

        Raises:
          StagingDamaged: a manifest cannot be read.
        """
        new = [key for key in self._staging.committed() if key[1] is None and key[0] not in self._seen]
        for manifest in self._staging.read_all(new):
            self._seen.add(manifest.split)
            self._tally += Tally.of(manifest)
        if self._resumed is None:
            self._resumed = self._tally
        return Snapshot(
            tally=self._tally + (under_way or Tally()),
            resumed=self._resumed,
            total_bytes=self._plan.bytes,
            splits_done=len(self._seen),
            splits=self._plan.splits,
            workers=workers,
        )
