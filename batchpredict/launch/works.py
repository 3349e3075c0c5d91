"""Which work a job stands for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from batchpredict.job import Job

if TYPE_CHECKING:
    from batchpredict.prediction import PredictionWork
    from batchpredict.runners import Work
    from batchpredict.training import TrainingWork


def work_of(
    job: Job,
    *,
    workers: int | None = None,
    pinned: Mapping[str, Any] | None = None,
    meeting: tuple[str, str] | None = None,
) -> Work[Any, Any]:
    """The work of a job of any kind, to be given to a runner.

    Args:
      workers: worker processes of a prediction job where it runs on this machine; default: one per core, at most
        the job's maxWorkerCount.
      pinned: what names and paths in the job stand for, as whoever took the job has found: "uri" of the model's
        folder, "inputPaths", "outputPath"; "packageUris", "jobDir", and "resumedFrom" for the jobDir of the job
        that a search resumes. What is not there means what the job says.
      meeting: URL and token of the rendezvous of a training job in the service that runs it; None where its
        replicas meet in its jobDir.

    Raises:
      InvalidJob: as `prediction_work` or `training_work`.
    """
    if job.training_input is not None:
        return training_work(job, pinned=pinned, meeting=meeting)
    pinned = pinned or {}
    return prediction_work(
        job,
        workers=workers,
        pinned=pinned,
        overwrite=bool(pinned.get("overwrite")),
        fresh=bool(pinned.get("fresh")),
        input_list=str(pinned.get("inputList", "")),
    )


def prediction_work(
    job: Job,
    *,
    workers: int | None = None,
    overwrite: bool = False,
    fresh: bool = False,
    only_errors_of: str = "",
    merge: bool = False,
    pinned: Mapping[str, Any] | None = None,
    input_list: str = "",
) -> PredictionWork:
    """The work of a prediction job.

    Args:
      workers, pinned: see `work_of`.
      input_list: URL of a list of its input files, in the place of what inputPaths match; see `PredictionSpec`.
      overwrite: replace results of another job in the output folder.
      fresh: do everything again, whatever earlier runs of this job have committed.
      only_errors_of: output folder of a finished job, whose failed records alone are scored; "" for all records.
      merge: the results complete those of that job.

    Raises:
      InvalidJob: it is none, or its model is named by a registry that there is none of here.
    """
    # Only a job that is right is worth the import of what runs it.
    from batchpredict.prediction import PredictionWork

    if pinned and job.prediction_input is not None:
        meant = _meant(pinned)
        job = job.replace(prediction_input=job.prediction_input.model_copy(update=meant))
    return PredictionWork.of(
        job,
        workers=workers,
        overwrite=overwrite,
        fresh=fresh,
        input_list=input_list,
        only_errors_of=only_errors_of,
        merge=merge,
    )


def training_work(
    job: Job,
    *,
    fresh: bool = False,
    pinned: Mapping[str, Any] | None = None,
    meeting: tuple[str, str] | None = None,
) -> TrainingWork:
    """The work of a training job.

    Args:
      fresh: train again, whatever earlier runs of this job have finished.
      pinned, meeting: see `work_of`.

    Raises:
      InvalidJob: it is none, or asks for a cluster that there cannot be.
    """
    from batchpredict.training import TrainingWork

    placed = {name: pinned[name] for name in ("packageUris", "jobDir") if name in pinned} if pinned else {}
    resumed = str((pinned or {}).get("resumedFrom", ""))
    return TrainingWork.of(job, fresh=fresh, placed=placed, resumed_from=resumed, meeting=meeting)


def _meant(pinned: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a predictionInput that stand for something else than they say."""
    meant: dict[str, Any] = {}
    if pinned.get("uri"):
        meant |= {"uri": pinned["uri"], "model_name": None, "version_name": None}
    if "inputPaths" in pinned:
        meant["input_paths"] = tuple(pinned["inputPaths"])
    if "outputPath" in pinned:
        meant["output_path"] = pinned["outputPath"]
    return meant


def make_ready(runner: str) -> None:
    """Do what takes time and is the same for every job, in a process that is to run one on this runner."""
    from batchpredict.prediction import start_early
    from batchpredict.runners import import_engine, in_this_process

    if in_this_process(runner):
        start_early()
    import_engine(runner)
    # To ask for it is to import it.
    from batchpredict.prediction import BatchPredict

    del BatchPredict
