"""An epoch as an ordinary job over the files of its list."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from batchpredict.epochs.folder import Folder
from batchpredict.epochs.state import Epoch
from batchpredict.errors import StagingDamaged, WrongFlag
from batchpredict.formats import input_format
from batchpredict.job import Job, PredictionOutput, to_camel
from batchpredict.launch import prediction_work
from batchpredict.ledger import Snapshot, Staging, finished_output, occupancy
from batchpredict.prediction import end_early, start_early
from batchpredict.resources import MAX_ID_LENGTH
from batchpredict.runners import Observer, Runner, run

# Of a predictionInput, what an epoch says itself.
_OF_EPOCH = ("uri", "modelName", "versionName", "outputPath")


def source_of(job: Job) -> dict[str, Any]:
    """What of a prediction job goes into each epoch, on the wire, in camelCase however it was sent."""
    source = {to_camel(name): value for name, value in job.to_wire()["predictionInput"].items()}
    return {name: value for name, value in source.items() if name not in _OF_EPOCH}


def compare(former: dict[str, Any], source: dict[str, Any]) -> list[str]:
    """The fields by which a watch differs from the one before it on the same output.

    Raises:
      WrongFlag: they read or write files of another format: who reads the epochs' folders as one would find two.
    """
    pairs = [
        ("--data-format", *(input_format(one["dataFormat"]).name for one in (former, source))),
        ("--output-data-format", *(one.get("outputDataFormat", "JSON") for one in (former, source))),
    ]
    for flag, was, now in pairs:
        if was != now:
            raise WrongFlag(
                f"{flag}: {now}, but the epochs in this output folder have {was}. Choose another --output-path, "
                f"or {flag} {was}."
            )
    names = {*former, *source} - {"dataFormat", "outputDataFormat"}
    return sorted(name for name in names if former.get(name) != source.get(name))


@dataclass(frozen=True)
class ResultsFolder:
    """What is in the output folder of an epoch, and what follows for its job.

    Attributes:
      done: what its results come to, if they are published.
      overwrite: what a try with another list or another model has published in part is replaced.
      fresh: what was committed is gone in part, and has to be done again.
    """

    done: PredictionOutput | None
    overwrite: bool
    fresh: bool

    @classmethod
    def of(cls, folder: Folder, epoch: Epoch) -> ResultsFolder:
        """Look."""
        results = folder.results(epoch.number)
        found = occupancy(results)
        fresh = epoch.error == StagingDamaged.__name__
        done = None
        if found.complete and found.owner is not None and not fresh:
            # Whatever became of its model since: an epoch is scored once.
            done = finished_output(Staging(results, found.owner))
        return cls(done, overwrite=fresh or not found.complete, fresh=fresh)


class Execution:
    """Runs epochs, one after the other.

    Args:
      folder: of the watch.
      runner: takes the jobs.
      job_id: what their names begin with.
      labels: of the jobs.
      workers: worker processes of a job on this machine; None for as many as there are cores.
      early: a worker process is started for each epoch before it is there, as TensorFlow's import takes seconds;
        for jobs that run in this process.
    """

    def __init__(
        self,
        folder: Folder,
        runner: Runner,
        *,
        job_id: str = "watch",
        labels: Mapping[str, str] | None = None,
        workers: int | None = None,
        early: bool = False,
    ) -> None:
        self._folder = folder
        self._runner = runner
        self._job_id = job_id
        self._labels = {"labels": dict(labels)} if labels else {}
        self._workers = workers
        self._early = early
        self.get_ready()

    def get_ready(self) -> None:
        """Start what the next epoch needs in any case."""
        if self._early:
            start_early()

    def close(self) -> None:
        """End what waits for another epoch."""
        end_early()

    def __call__(self, epoch: Epoch, observer: Observer[Snapshot]) -> PredictionOutput:
        """Do an epoch, or what is left of it; if its results are published, what they come to.

        Raises: what `batchpredict.runners.run` raises.
        """
        results = self._folder.results(epoch.number)
        there = ResultsFolder.of(self._folder, epoch)
        if there.done is not None:
            return there.done
        work = prediction_work(
            self._job(epoch, results),
            workers=self._workers,
            overwrite=there.overwrite,
            fresh=there.fresh,
            input_list=self._folder.list(epoch.list.name),
        )
        try:
            return run(self._runner, work, observer)
        finally:
            end_early()
            self.get_ready()

    def _job(self, epoch: Epoch, results: str) -> Job:
        number = f"_epoch_{epoch.number:08d}"
        document = {
            # Of an id that gets too long the end goes, and not the number.
            "jobId": self._job_id[: MAX_ID_LENGTH - len(number)] + number,
            "predictionInput": {**epoch.source, "uri": epoch.model, "outputPath": results},
            **self._labels,
        }
        return Job.submitted(document)
