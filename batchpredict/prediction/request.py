"""A job and how it is to be run, as it travels to whoever runs it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from batchpredict.job import Job
from batchpredict.ledger.spec import PredictionSpec


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
      elsewhere: the pipeline runs on machines of a runner, which has as many bundles at a time as it wants splits
        scored; so a bundle scores one after the other.
      job_id: of the job; "" if it has none.
      labels: of the job.
    """

    spec: PredictionSpec
    workers: int | None = None
    overwrite: bool = False
    fresh: bool = False
    fingerprint: str | None = None
    submission: str | None = None
    elsewhere: bool = False
    job_id: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, job: Job, **how: Any) -> Request:
        """A request of a job; `how` are further fields. Raises InvalidJob if it is not a prediction job."""
        return cls(PredictionSpec.of(job), job_id=job.job_id, labels=job.labels or {}, **how)

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
