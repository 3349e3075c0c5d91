"""How far a training job is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from batchpredict.counted import counted
from batchpredict.job import TrainingOutput
from batchpredict.training.gang import ReplicaState, Stage


@dataclass(frozen=True)
class Snapshot:
    """A training job at one moment.

    Attributes:
      output: what it has come to so far.
      replicas: of the job by "", of a search those of each trial that runs, by its number.
      restarts: how often a replica was started again.
      trials: that have ended; trials_wanted: all of a search, 0 for a job without trials.
      best: objective of the best trial so far; None if there is none.
      resumed: trials that earlier runs had finished.
      folder: URL of what is kept of the job.
    """

    output: TrainingOutput
    replicas: Sequence[tuple[str, ReplicaState]] = ()
    restarts: int = 0
    trials: int = 0
    trials_wanted: int = 0
    best: float | None = None
    resumed: int = 0
    folder: str = ""

    @property
    def running(self) -> int:
        """Replicas that are up."""
        return sum(state.stage is Stage.RUNNING for _, state in self.replicas)

    @property
    def committed(self) -> int:
        """Grows with each trial that ends, and with each start of a replica: no more is known of a trainer."""
        return self.trials + self.restarts + self.running

    def to_output(self) -> dict[str, Any]:
        return self.output.to_wire()

    def to_progress(self) -> dict[str, Any]:
        """For people: trials that have ended and all, or replicas that are up and all; and each replica."""
        wanted = self.trials_wanted or len(self.replicas)
        return {
            "done": self.trials if self.trials_wanted else self.running,
            "total": wanted,
            "workers": self.running,
            "restarts": self.restarts,
            "replicas": [_document(trial, state) for trial, state in self.replicas],
        }

    def resumed_sentence(self) -> str:
        return f"resuming: {self.resumed} of {self.trials_wanted} trials have ended already" if self.resumed else ""

    def kept_sentence(self) -> str:
        if self.trials_wanted:
            return f"{self.trials} of {self.trials_wanted} trials have ended and are kept"
        return "what the trainer has saved in its jobDir is kept"

    def sentence(self) -> str:
        """The numbers of a progress line."""
        parts = [f"{self.running} of {len(self.replicas)} replicas up"]
        if self.restarts:
            parts.append(counted(self.restarts, "restart"))
        if self.trials_wanted:
            parts.append(f"{self.trials} of {self.trials_wanted} trials done")
        if self.best is not None:
            parts.append(f"best so far {self.best:.6g}")
        return ", ".join(parts)


def task_name(trial: str, task: str) -> str:
    """What a replica's lines in the log are found by: "master-replica-0", of a trial "trial-3/master-replica-0"."""
    return f"trial-{trial}/{task}" if trial else task


def _document(trial: str, state: ReplicaState) -> dict[str, Any]:
    """A replica for people: its name as the log has it, and how it stands."""
    return {
        "name": task_name(trial, state.replica.task),
        "state": state.stage.value,
        "restarts": state.restarts,
        "host": state.host or "",
        "status": state.status,
    }
