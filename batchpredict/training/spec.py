"""A training job with every default filled in: what the driver and the hosts of its replicas are told."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from batchpredict import storage
from batchpredict.errors import InvalidJob, JobFailed, Violation
from batchpredict.job import HyperparameterSpec, Job, TrainingInput
from batchpredict.training.cluster import Cluster
from batchpredict.training.gang import ServiceAddress
from batchpredict.training.replica import Program
from batchpredict.training.tuning import Study

# Part of every fingerprint: raise it when the state of a job is kept in another way.
FORMAT_VERSION = 1


@dataclass(frozen=True)
class TrainingSpec:
    """What to train, and on which cluster. Travels inside Beam transforms, as the document that it was made of.

    Attributes:
      job_id: of the job; "" if it has none.
      source: the job's trainingInput in wire form, paths as they are to be used.
      labels: of the job.
      fresh: forget what earlier runs of this job have left.
      resumed_from: URL of the jobDir of the job that a search resumes; "" for the same as its own.
      service: where its replicas meet in the service that runs it; None where they meet in its jobDir.
    """

    job_id: str
    source: Mapping[str, Any]
    labels: Mapping[str, str] = field(default_factory=dict)
    fresh: bool = False
    resumed_from: str = ""
    service: ServiceAddress | None = None

    @classmethod
    def of(cls, job: Job, *, fresh: bool = False) -> TrainingSpec:
        """The resolved form of a job's trainingInput.

        Raises:
          InvalidJob: not a training job, or one that asks for a cluster or a search that there cannot be.
        """
        if job.training_input is None:
            raise InvalidJob([Violation("job.training_input", "Required: this is not a training job.")])
        spec = cls(job.job_id, job.training_input.to_wire(), job.labels or {}, fresh)
        if spec.input.master_config is not None and spec.input.master_config.image_uri:
            text = "Containers are not run; name a python_module and its packages."
            raise InvalidJob([Violation("training_input.master_config.image_uri", text)])
        Cluster.of(spec.input)
        if spec.tuning is not None:
            Study(spec.tuning, seed=0)
        return spec

    @cached_property
    def input(self) -> TrainingInput:
        found = Job.submitted({"jobId": "spec", "trainingInput": dict(self.source)}).training_input
        assert found is not None
        return found

    @cached_property
    def cluster(self) -> Cluster:
        """The replicas of the job, or of each of its trials."""
        return Cluster.of(self.input)

    @property
    def tuning(self) -> HyperparameterSpec | None:
        """What is searched for; None if the job trains once."""
        return self.input.hyperparameters

    @property
    def job_dir(self) -> str:
        """URL of the job's directory; "" if it has none."""
        return self.input.job_dir or ""

    @property
    def resumed_place(self) -> str:
        return self.resumed_from or self.job_dir

    @property
    def meeting_place(self) -> str:
        """Tells apart where replicas meet: URL of the rendezvous in a service, "" for the jobDir."""
        return "" if self.service is None else self.service.url

    @property
    def parallel(self) -> int:
        """Clusters that may be up at a time."""
        tuning = self.tuning
        return 1 if tuning is None else min(tuning.effective_max_parallel_trials, tuning.effective_max_trials)

    @property
    def slots(self) -> int:
        """Replicas that may be up at a time."""
        return len(self.cluster.replicas) * self.parallel

    @property
    def max_seconds(self) -> float | None:
        """Longest time that the job may run; None for any."""
        scheduling = self.input.scheduling
        if scheduling is None or scheduling.max_running_time is None:
            return None
        return float(scheduling.effective_max_running_seconds)

    def program(self, trial: str = "") -> Program:
        """What each replica runs. `trial`: "" for a job without trials; its directory is below the job's."""
        job_dir = self.job_dir or None
        return Program(
            module=self.input.python_module or "",
            args=tuple(self.input.args),
            job_dir=storage.join(job_dir, trial) if job_dir and trial else job_dir,
            packages=tuple(self.input.package_uris),
        )

    def placed(self, **changes: Any) -> TrainingSpec:
        """The same with other fields of its trainingInput, by their names on the wire."""
        return replace(self, source={**self.source, **changes})

    def fingerprint(self) -> str:
        """Names the job by what it does: the same input, of the same versions of its packages.

        Not by its id: whoever runs the same training again, after it was interrupted, goes on with it.

        Raises:
          JobFailed: a package is not there.
        """
        versions = [_version(url) for url in self.input.package_uris]
        told = json.dumps([FORMAT_VERSION, self.source, versions], sort_keys=True, ensure_ascii=True)
        return hashlib.sha256(told.encode()).hexdigest()[:32]


def _version(url: str) -> tuple[int, str]:
    try:
        found = storage.info(url)
    except FileNotFoundError as error:
        raise JobFailed(f"packageUris: there is no package '{url}'") from error
    except OSError as error:
        raise JobFailed(f"packageUris: '{url}' cannot be read: {error}") from error
    return found.size, found.version
