"""A prediction job as a work for runners."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from batchpredict import storage
from batchpredict.errors import WrongFlag
from batchpredict.job import Job
from batchpredict.ledger import FOLDER, Snapshot
from batchpredict.prediction.drivers import DriverElsewhere, DriverHere
from batchpredict.prediction.request import Request
from batchpredict.runners import Channel, Needs, Observer


class PredictionWork:
    """A `Work` of a prediction job; see `batchpredict.runners.work`.

    Args:
      request: the job.
      workers: worker processes where the job runs on this machine; None for as many as there are cores, at most the
        job's maxWorkerCount.
    """

    def __init__(self, request: Request, *, workers: int | None = None) -> None:
        self._request = request
        self._workers = workers

    @classmethod
    def of(
        cls,
        job: Job,
        *,
        workers: int | None = None,
        overwrite: bool = False,
        fresh: bool = False,
        input_list: str = "",
        only_errors_of: str = "",
        merge: bool = False,
    ) -> PredictionWork:
        """The work of a Job resource. Raises InvalidJob if it is not a prediction job."""
        request = Request.of(job, overwrite=overwrite, fresh=fresh)
        spec = replace(request.spec, input_list=input_list)
        if only_errors_of:
            spec = replace(spec, only_errors_of=storage.absolute(only_errors_of), merge=merge)
        return cls(replace(request, spec=spec), workers=workers)

    @property
    def job_id(self) -> str:
        return self._request.job_id

    @property
    def needs(self) -> Needs:
        spec = self._request.spec
        return Needs(
            region=spec.region,
            max_workers=spec.max_workers,
            machine_type=spec.worker_type,
            accelerator=spec.accelerator,
            accelerator_count=spec.accelerator_count,
            labels=self._request.labels,
        )

    @property
    def folder(self) -> str:
        return storage.join(storage.absolute(self._request.spec.output_path), FOLDER, "submissions")

    def places(self) -> Sequence[tuple[str, str]]:
        spec = self._request.spec
        return [
            ("prediction_input.uri", spec.model_uri),
            *(("prediction_input.input_paths", url) for url in spec.inputs),
            ("prediction_input.output_path", spec.output_path),
            *([("only_errors_of", spec.only_errors_of)] if spec.only_errors_of else []),
        ]

    def here(self, channel: Channel, observer: Observer[Snapshot]) -> DriverHere:
        """Plans the job, and starts its worker processes unless it is done.

        Raises:
          JobFailed: no input, no model, or an output folder that cannot be used.
        """
        return DriverHere.begin(self._request, self._workers, channel, observer)

    def elsewhere(self, channel: Channel | None, observer: Observer[Snapshot]) -> DriverElsewhere:
        """The pipeline plans the job where it runs, with paths that mean the same there."""
        if channel is None and self._request.fresh:
            raise WrongFlag("--fresh: a template may run often, and each time it would forget what is done")
        spec = self._request.spec
        spec = replace(
            spec,
            inputs=tuple(map(storage.absolute, spec.inputs)),
            output_path=storage.absolute(spec.output_path),
            model_uri=storage.absolute(spec.model_uri),
            input_list=spec.input_list and storage.absolute(spec.input_list),
        )
        return DriverElsewhere(replace(self._request, spec=spec), channel, observer)
