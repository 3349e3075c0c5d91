"""How far a job is, read from its manifests: the same on every runner."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from batchpredict.job import PredictionOutput
from batchpredict.ledger.budget import Tally
from batchpredict.ledger.plan import Plan
from batchpredict.ledger.staging import Staging

# A look at the manifests that takes a second is followed by a rest of so many.
_REST = 10.0


@dataclass(frozen=True)
class Snapshot:
    """A job at one moment.

    Attributes:
      tally: predictions, errors and bytes; of the committed splits and, where it is known, of those under way.
      resumed: the part of it that earlier runs had committed.
      total_bytes: input bytes of the job.
      splits_done, splits: committed splits, and all.
      workers: worker processes.
      versions: of TensorFlow, with which the committed splits were scored, as far as their manifests say.
      resumed_versions: those of the splits that earlier runs had committed.
      node_seconds: seconds that workers spent on the committed splits.
      output_path: URL of the job's output folder.
      staging: URL of the folder of what is not published yet.
    """

    tally: Tally
    resumed: Tally
    total_bytes: int
    splits_done: int
    splits: int
    workers: int
    versions: frozenset[str] = frozenset()
    resumed_versions: frozenset[str] = frozenset()
    node_seconds: float = 0.0
    output_path: str = ""
    staging: str = ""

    @property
    def committed(self) -> int:
        """Grows with whatever would not be lost if the job ended now."""
        return self.splits_done

    def to_output(self) -> dict[str, Any]:
        """predictionOutput of a job that is not done, in wire form."""
        output = PredictionOutput(
            output_path=self.output_path,
            prediction_count=self.tally.predictions,
            error_count=self.tally.errors,
            node_hours=self.node_seconds / 3600,
        )
        return output.to_wire()

    def to_progress(self) -> dict[str, Any]:
        """For people: "done" and "total" input bytes, committed "splits", "workers", and "staging", what is not
        published yet."""
        return {
            "done": min(self.tally.bytes, self.total_bytes),
            "total": self.total_bytes,
            "splits": self.splits_done,
            "workers": self.workers,
            "staging": self.staging,
        }

    def resumed_sentence(self) -> str:
        """What earlier runs have left of the job; "" if nothing."""
        if not self.splits_done:
            return ""
        done, records = f"{self.splits_done} of {self.splits}", f"{self.tally.records:,} records"
        return f"resuming: {done} splits are committed already ({records})"

    def kept_sentence(self) -> str:
        """What is kept if the job ends now."""
        return f"{self.splits_done} of {self.splits} splits are committed and kept"

    def version_sentence(self) -> str:
        """What to warn of when a job goes on under another TensorFlow than earlier runs; "" if it does not.

        The splits stay: the same model under two versions may differ in the last bits, and whoever minds
        runs with --fresh.
        """
        now = self.versions - self.resumed_versions
        if not now or not self.resumed_versions:
            return ""
        before, after = (" and ".join(sorted(versions)) for versions in (self.resumed_versions, now))
        return (
            f"the job goes on under TensorFlow {after}, and what is committed already was scored under {before}; "
            "--fresh scores everything again"
        )


class ManifestFeed:
    """Adds up the manifests of a job, reading each once. Pages that are complete are not looked at again."""

    def __init__(self, staging: Staging, plan: Plan, clock: Callable[[], float] = time.monotonic) -> None:
        self._staging = staging
        self._plan = plan
        self._clock = clock
        self._open: dict[int, set[int]] = {page: set() for page in plan.pages}
        self._done = 0
        self._tally = Tally()
        self._node_seconds = 0.0
        self._versions: set[str] = set()
        self._resumed: Tally | None = None
        self._resumed_versions: frozenset[str] = frozenset()
        self._next = 0.0

    def poll(self, under_way: Tally | None = None, workers: int = 0, *, at_once: bool = False) -> Snapshot:
        """The job as it is now; the first call sets what counts as resumed.

        Where looking takes long, it is done seldom: between two looks, calls repeat what the last one found,
        unless the truth is wanted `at_once`.

        Raises:
          OutputRefused: the staging folder cannot be read; the next call goes on where this one was.
          StagingDamaged: a manifest is damaged.
        """
        began = self._clock()
        if at_once or began >= self._next:
            for page in list(self._open):
                self._look(page)
            took = self._clock() - began
            self._next = began + took * _REST
        if self._resumed is None:
            self._resumed = self._tally
            self._resumed_versions = frozenset(self._versions)
        return Snapshot(
            tally=self._tally + (under_way or Tally()),
            resumed=self._resumed,
            total_bytes=self._plan.bytes,
            splits_done=self._done,
            splits=self._plan.splits,
            workers=workers,
            versions=frozenset(self._versions),
            resumed_versions=self._resumed_versions,
            node_seconds=self._node_seconds,
            output_path=self._staging.output_path,
            staging=self._staging.root,
        )

    def _look(self, page: int) -> None:
        numbers = self._plan.page(page)
        seen = self._open[page]
        new = [number for number in self._staging.committed_among(numbers) if number not in seen]
        for manifest in self._staging.read_all((number, None) for number in new):
            seen.add(manifest.split)
            self._done += 1
            self._tally += Tally.of(manifest)
            self._node_seconds += manifest.node_seconds
            if manifest.tensorflow:
                self._versions.add(manifest.tensorflow)
        if len(seen) == len(numbers):
            del self._open[page]


def committed_tally(staging: Staging, plan: Plan) -> Tally:
    """What the manifests of a job come to so far."""
    return ManifestFeed(staging, plan).poll().tally
