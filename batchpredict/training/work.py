"""A training job as a work for runners."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from batchpredict import storage
from batchpredict.errors import InvalidJob, Violation, WrongFlag
from batchpredict.job import Job
from batchpredict.runners import Channel, Needs, Observer
from batchpredict.training.driver import DriverElsewhere, DriverHere
from batchpredict.training.folder import FOLDER
from batchpredict.training.gang import ServiceAddress
from batchpredict.training.progress import Snapshot
from batchpredict.training.spec import TrainingSpec

_NO_PLACE = "Required on this runner: the replicas, on different machines, have no other folder in common."


class TrainingWork:
    """A `Work` of a training job; see `batchpredict.runners.work`."""

    def __init__(self, spec: TrainingSpec) -> None:
        self._spec = spec

    @classmethod
    def of(
        cls,
        job: Job,
        *,
        fresh: bool = False,
        placed: Mapping[str, Any] | None = None,
        resumed_from: str = "",
        meeting: tuple[str, str] | None = None,
    ) -> TrainingWork:
        """The work of a Job resource.

        Args:
          placed: fields of its trainingInput, by their names on the wire, that mean something else than they say.
          resumed_from: URL of the jobDir of the job that its search resumes; "" for the same as its own.
          meeting: URL and token of its rendezvous in the service that runs it; None where its replicas meet in its
            jobDir.

        Raises:
          InvalidJob: it is not a training job, or asks for a cluster that there cannot be.
        """
        spec = TrainingSpec.of(job, fresh=fresh).placed(**(placed or {}))
        service = None if meeting is None else ServiceAddress(*meeting)
        return cls(replace(spec, resumed_from=resumed_from, service=service))

    @property
    def job_id(self) -> str:
        return self._spec.job_id

    @property
    def needs(self) -> Needs:
        """One worker for each replica, on the machine type of the masters."""
        source = self._spec.input
        config = source.master_config
        hardware = None if config is None else config.accelerator_config
        return Needs(
            region=source.region,
            max_workers=self._spec.slots,
            machine_type=source.master_type,
            accelerator=None if hardware is None else hardware.type,
            accelerator_count=0 if hardware is None else hardware.count or 1,
            labels=self._spec.labels,
        )

    @property
    def folder(self) -> str:
        place = storage.absolute(self._spec.job_dir) if self._spec.job_dir else tempfile.gettempdir()
        return storage.join(place, FOLDER, "submissions")

    def places(self) -> Sequence[tuple[str, str]]:
        spec = self._spec
        found = [("training_input.package_uris", url) for url in spec.input.package_uris]
        return [*found, *([("training_input.job_dir", spec.job_dir)] if spec.job_dir else [])]

    def here(self, channel: Channel, observer: Observer[Snapshot]) -> DriverHere:
        """Finds the packages, and the job's folder.

        Raises:
          JobFailed: a package is not there, or jobDir cannot be written to.
        """
        return DriverHere.begin(_placed(self._spec), channel, observer)

    def elsewhere(self, channel: Channel | None, observer: Observer[Snapshot]) -> DriverElsewhere:
        """The pipeline finds them where it runs, by paths that mean the same there.

        Raises:
          InvalidJob: the job has no jobDir.
        """
        if not self._spec.job_dir:
            raise InvalidJob([Violation("training_input.job_dir", _NO_PLACE)])
        if channel is None and self._spec.fresh:
            raise WrongFlag("--fresh: a template may run often, and each time it would forget what is done")
        return DriverElsewhere(_placed(self._spec), channel, observer)


def _placed(spec: TrainingSpec) -> TrainingSpec:
    changes: dict[str, object] = {"packageUris": [storage.absolute(url) for url in spec.input.package_uris]}
    if spec.job_dir:
        changes["jobDir"] = storage.absolute(spec.job_dir)
    return spec.placed(**changes)
