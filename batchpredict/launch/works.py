"""Which work a job stands for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchpredict.job import Job

if TYPE_CHECKING:
    from batchpredict.prediction import PredictionWork


def work_of(
    job: Job, *, workers: int | None = None, overwrite: bool = False, fresh: bool = False
) -> PredictionWork:
    """The work of a job, to be given to a runner.

    Args:
      job: a prediction job.
      workers: worker processes where the job runs on this machine; default: one per core, at most the job's
        maxWorkerCount.
      overwrite: replace results of another job in the output folder.
      fresh: do everything again, whatever earlier runs of this job have committed.

    Raises:
      InvalidJob: there is no work of this kind, or its model is named by a registry that there is none of here.
    """
    # Only a job that is right is worth the import of what runs it.
    from batchpredict.prediction import PredictionWork

    return PredictionWork.of(job, workers=workers, overwrite=overwrite, fresh=fresh)
