"""A job and how it is to be run, as it travels to whoever runs it."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass

from batchpredict.prediction.spec import PredictionSpec


@dataclass(frozen=True)
class Request:
    """A job and how it is to be run.

    Attributes:
      spec: the job.
      workers: worker processes on this machine; None for as many as there are cores, at most maxWorkerCount.
      overwrite: results of another job in the output folder may be replaced.
      fresh: forget what earlier runs of this job had committed.
      fingerprint: of the plan that whoever submits the job has stored; None if the pipeline is to plan it.
      submission: where a pipeline that runs elsewhere reports to whoever submitted it: see `Submission`. None
        where the pipeline runs in the process that submits it, or nobody waits.
    """

    spec: PredictionSpec
    workers: int | None = None
    overwrite: bool = False
    fresh: bool = False
    fingerprint: str | None = None
    submission: str | None = None

    @property
    def processes(self) -> int:
        """Worker processes of this machine."""
        wanted = self.workers or cores()
        return max(1, min(wanted, self.spec.max_workers or wanted))

    def to_json(self) -> str:
        return json.dumps({**asdict(self), "spec": self.spec.to_json()})

    @classmethod
    def from_json(cls, text: str) -> Request:
        fields = json.loads(text)
        return cls(**{**fields, "spec": PredictionSpec.from_json(fields["spec"])})


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
