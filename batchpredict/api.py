"""Running a job from Python."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from batchpredict.job import Job, PredictionOutput
from batchpredict.ledger.progress import Observer
from batchpredict.prediction.request import Request
from batchpredict.runners.drive import run
from batchpredict.runners.in_process import InProcess


def predict(
    job: Job | Mapping[str, Any] | str | bytes,
    *,
    workers: int | None = None,
    overwrite: bool = False,
    fresh: bool = False,
    observer: Observer | None = None,
) -> PredictionOutput:
    """Run a prediction job on this machine and wait for its end.

    Args:
      job: the Job resource, or its JSON as a dict or text.
      workers: worker processes; default: one per core, at most the job's maxWorkerCount.
      overwrite: replace results of another job in the output folder.
      fresh: score everything again, whatever earlier runs of this job have committed.
      observer: told of progress and warnings; see `batchpredict.ledger.progress.Observer`.

    Returns:
      The job's output: counts and node hours, of this run and of those that it resumed.

    Raises:
      InvalidJob: the job breaks the specification; all violations together.
      JobFailed: the job cannot succeed, and why. What was committed stays, and the same call goes on from there.
    """
    parsed = job if isinstance(job, Job) else Job.submitted(job)
    request = Request.of(parsed, workers=workers, overwrite=overwrite, fresh=fresh)
    return run(InProcess(), request, observer)
