"""Running a job from Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from batchpredict.job import Job, PredictionOutput, TrainingOutput, load
from batchpredict.launch import prediction_work, training_work
from batchpredict.ledger import Snapshot
from batchpredict.runners import DIRECT, Observer, Runner, choose, run
from batchpredict.training import Snapshot as TrainingSnapshot


def predict(
    job: Job | Mapping[str, Any] | str | bytes,
    *,
    workers: int | None = None,
    overwrite: bool = False,
    fresh: bool = False,
    only_errors_of: str = "",
    merge: bool = False,
    observer: Observer[Snapshot] | None = None,
    runner: Runner | str = DIRECT,
    runner_flags: Sequence[str] = (),
) -> PredictionOutput:
    """Run a prediction job and wait for its end.

    Args:
      job: the Job resource, or its JSON as a dict or text. With `only_errors_of`, what it does not say is taken
        from the finished job, and all that it has to say is outputPath.
      workers: worker processes of a job on this machine; default: one per core, at most the job's maxWorkerCount.
      overwrite: replace results of another job in the output folder.
      fresh: score everything again, whatever earlier runs of this job have committed.
      only_errors_of: output folder of a finished job, whose failed records alone are scored; each result says by
        `source` and `offset` of which record it is. "" to score all records of the inputs.
      merge: with `only_errors_of`: write the results of that job and these, in the order of the records, instead.
      observer: told of progress and warnings; see `Observer`.
      runner: where to run: a name as `--runner` takes it, or a runner of one's own.
      runner_flags: further flags for a runner that is named, as the command line has them:
        `["--flink-master=host:8081"]`.

    Returns:
      The job's output: counts and node hours, of this run and of those that it resumed.

    Raises:
      InvalidJob: the job breaks the specification; all violations together.
      WrongFlag: there is no such runner, or it has no such flag.
      ValueError: `merge` without `only_errors_of`.
      JobFailed: the job cannot succeed, and why. What was committed stays, and the same call goes on from there.
      JobCancelled: somebody else stopped it.
    """
    if only_errors_of:
        from batchpredict.rescoring import FinishedJob, complete

        document = load(job.to_wire() if isinstance(job, Job) else job)
        job = complete(document, FinishedJob.at(only_errors_of))
    elif merge:
        raise ValueError("merge: only results of records that had failed are merged; name only_errors_of")
    parsed = job if isinstance(job, Job) else Job.submitted(job)
    work = prediction_work(
        parsed, workers=workers, overwrite=overwrite, fresh=fresh, only_errors_of=only_errors_of, merge=merge
    )
    if isinstance(runner, str):
        runner = choose(runner, runner_flags)
        runner.check()
    return run(runner, work, observer)


def train(
    job: Job | Mapping[str, Any] | str | bytes,
    *,
    fresh: bool = False,
    observer: Observer[TrainingSnapshot] | None = None,
    runner: Runner | str = DIRECT,
    runner_flags: Sequence[str] = (),
) -> TrainingOutput:
    """Run a training job and wait for its end.

    Args:
      job: the Job resource, or its JSON as a dict or text.
      fresh: train again, whatever earlier runs of this job have finished.
      observer: told of progress, warnings and what replicas write; see `Observer`.
      runner, runner_flags: as for `predict`.

    Returns:
      The job's output: trials of a search, best first, and ML units.

    Raises:
      InvalidJob: the job breaks the specification, or asks for a cluster that there cannot be.
      WrongFlag: there is no such runner, or it has no such flag.
      JobFailed: a replica failed, or the job cannot succeed, and why.
      JobCancelled: somebody else stopped it.
    """
    parsed = job if isinstance(job, Job) else Job.submitted(job)
    work = training_work(parsed, fresh=fresh)
    if isinstance(runner, str):
        runner = choose(runner, runner_flags)
        runner.check()
    return run(runner, work, observer)
