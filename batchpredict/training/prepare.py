"""What happens to a training job before any replica is started, wherever its pipeline runs."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from batchpredict import storage
from batchpredict.errors import JobFailed
from batchpredict.job import TrainingOutput
from batchpredict.training.folder import TrainingFolder
from batchpredict.training.search import Trials
from batchpredict.training.spec import TrainingSpec
from batchpredict.training.tuning import Trial

PLAN = "plan"
"""The word of a channel under which a pipeline says where the job's folder is."""

FINISHED_BEFORE = "the job was finished already; nothing was trained (--fresh trains again)"
"""What a user is told of a job whose end was there when it was begun."""


@dataclass(frozen=True)
class Prepared:
    """A job that may begin.

    Attributes:
      folder: of the job.
      done: what it came to, if it was finished before.
      logs: bytes of each file of its log by now, by name: what earlier runs have written.
    """

    folder: TrainingFolder
    done: TrainingOutput | None = None
    logs: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of_document(cls, document: Mapping[str, Any]) -> Prepared:
        """As `to_document` gave it; of a finished job without what it came to."""
        folder = TrainingFolder(str(document["folder"]), int(document["attempt"]))
        return cls(folder, logs=document.get("logs", {}))

    def to_document(self) -> dict[str, Any]:
        return {
            "folder": self.folder.url,
            "attempt": self.folder.attempt,
            "finished": self.done is not None,
            "logs": dict(self.logs),
        }


def earlier_trials(spec: TrainingSpec) -> list[Trial]:
    """The ended trials of the job that a search resumes; none if it resumes none.

    Raises:
      JobFailed: there was no such job.
      OSError: they cannot be read.
    """
    name = None if spec.tuning is None else spec.tuning.resume_previous_job_id
    if not name:
        return []
    place = spec.resumed_place
    folder = TrainingFolder.of_job(place, name)
    if folder is None:
        raise JobFailed(f"hyperparameters.resumePreviousJobId: there was no job '{name}' with the jobDir '{place}'")
    return [one.trial for one in Trials(folder).load() if not one.live]


def prepare(spec: TrainingSpec, place: str = "") -> Prepared:
    """See that a job can begin, and find or make its folder.

    A runner may repeat this: what is there already is found.

    Args:
      place: URL of the folder that stands for the jobDir of a job that has none.

    Raises:
      JobFailed: its jobDir cannot be written to, a package is not there, or neither is the job that it resumes.
    """
    fingerprint = spec.fingerprint()
    where = spec.job_dir or place
    try:
        folder = TrainingFolder.of(where, fingerprint)
        if spec.fresh:
            folder.forget()
            folder = TrainingFolder(folder.url)
        done = folder.done()
        if done is None:
            folder.begin(time.time(), spec.meeting_place)
        if spec.job_id:
            folder.name(where, spec.job_id)
        earlier_trials(spec)
        logs = storage.sizes_in(folder.logs)
    except OSError as error:
        raise JobFailed(f"jobDir: '{where}' cannot be used: {error}") from error
    return Prepared(folder, None if done is None else TrainingOutput.model_validate(done["output"]), logs)
