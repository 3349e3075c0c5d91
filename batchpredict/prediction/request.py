"""What the user of a prediction job wants, and where its pipeline runs: they change for different reasons."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from batchpredict.job import Job
from batchpredict.ledger import PredictionSpec, worker_name
from batchpredict.workers import cores

PLAN = "plan"
"""The word of a channel under which a pipeline says which plan it works on."""
OUTPUT = "output"
"""The word under which it says what the job came to, in wire form."""
FINISHED_BEFORE = "the job was finished already; nothing was scored"
"""What a user is told of a job whose results were there when it was begun."""


@dataclass(frozen=True)
class Request:
    """A prediction job, and what its user wants beyond the Job resource.

    Attributes:
      spec: the job.
      overwrite: results of another job in the output folder may be replaced.
      fresh: forget what earlier runs of this job had committed.
      job_id: of the job; "" if it has none.
      labels: of the job.
    """

    spec: PredictionSpec
    overwrite: bool = False
    fresh: bool = False
    job_id: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, job: Job, **wishes: Any) -> Request:
        """A request of a job; `wishes` are further fields. Raises InvalidJob if it is not a prediction job."""
        return cls(PredictionSpec.of(job), job_id=job.job_id, labels=job.labels or {}, **wishes)


@dataclass(frozen=True)
class Placement:
    """Where the pipeline of a request runs, as its steps need to know it.

    Attributes:
      channel: URL of the channel to whoever waits; None if nobody does.
      fingerprint: of the plan that whoever submits the job has stored; None if the pipeline is to plan it.
      workers: most worker processes of one process that runs steps; None for as many as there are cores.
      origin: the process that made the pipeline, as `worker_name` names it.
      elsewhere: the pipeline runs on machines of a runner, which has as many bundles at a time as it wants splits
        scored; None to tell that by whether a step runs in the process that made the pipeline.
    """

    channel: str | None = None
    fingerprint: str | None = None
    workers: int | None = None
    origin: str = field(default_factory=worker_name)
    elsewhere: bool | None = None

    @property
    def away(self) -> bool:
        """Whether the step that asks runs on a machine of a runner."""
        return worker_name() != self.origin if self.elsewhere is None else self.elsewhere

    def processes(self, spec: PredictionSpec) -> int:
        """Most worker processes of the process that asks."""
        wanted = self.workers or cores()
        return max(1, min(wanted, spec.max_workers or wanted))
