"""Google Cloud Dataflow, through Beam's own client of it.

The flags that Beam asks for are made from the job: its region, its maxWorkerCount as the autoscaler's ceiling, its
machine type and accelerators, its id and labels. Flags that a user gives come after these and win.
"""

from __future__ import annotations

import argparse
import importlib.util
import math
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from batchpredict.errors import InvalidJob, RunnerFailed, Violation
from batchpredict.job import PredictionOutput
from batchpredict.ledger.progress import Observer, Snapshot
from batchpredict.prediction.request import Request
from batchpredict.runners.beam import elsewhere, hand_over
from batchpredict.runners.dataflow_service import Service
from batchpredict.runners.flags import WrongFlag, check_known
from batchpredict.runners.interface import Execution
from batchpredict.runners.log_file import LogFile, gist
from batchpredict.runners.pipeline import LostSight, Pipeline
from batchpredict.runners.submitted import Cluster, Submitted

# Beam's own image has no TensorFlow and not this package; each of these brings them.
_BRINGS_US = (
    *("sdk_container_image", "setup_file", "requirements_file", "extra_package", "extra_packages"),
    *("prebuild_sdk_container_engine", "sdk_harness_container_image_overrides"),
)
_NAMES = ("project", "region", "temp_location", "template_location", "dataflow_endpoint", "job_name", "no_auth")
# https://cloud.google.com/compute/docs/labeling-resources#requirements
_LONGEST_LABEL = 63
# https://cloud.google.com/dataflow/docs/reference/rest/v1b3/projects.jobs#Job
_LONGEST_NAME = 63
# Beam makes a bucket of its own where it cannot read this. https://cloud.google.com/storage/docs/buckets#naming
_FOLDER = re.compile(r"gs://[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]/.")
_CANCEL_SECONDS = 20.0
# Machines are begun for the job, and fetch an image of some gigabytes. Dataflow gives up by itself after an hour.
_SOON = 600.0
# Seconds that a split may take while Dataflow is out of sight.
_PATIENCE = 900.0


class DataflowRunner:
    """Dataflow.

    Args:
      beam_flags: options of the pipeline, as Beam's command line has them, without `--runner`.
    """

    name = "DataflowRunner"

    def __init__(self, beam_flags: Sequence[str] = ()) -> None:
        self._flags = list(beam_flags)
        parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
        for flag in (*_NAMES, *_BRINGS_US):
            parser.add_argument(f"--{flag}", nargs="?", const="")
        self._given = parser.parse_known_args(self._flags)[0]

    def check(self) -> None:
        given = self._given
        if not given.project:
            raise WrongFlag("--project: DataflowRunner needs the id of a Google Cloud project")
        if not given.temp_location:
            raise WrongFlag("--temp-location: DataflowRunner needs a folder for its own files, as gs://BUCKET/PATH")
        for flag in ("temp_location", "template_location"):
            url = getattr(given, flag)
            if url and not _FOLDER.match(url):
                raise WrongFlag(f"--{flag.replace('_', '-')}: '{url}' is not of the form gs://BUCKET/PATH")
        if not any(getattr(given, flag) for flag in _BRINGS_US):
            raise WrongFlag(
                "--sdk-container-image: Dataflow's own workers have neither TensorFlow nor batchpredict; name an "
                "image that has them (pipelines/dataflow/Dockerfile makes one), or give --setup-file or "
                "--requirements-file"
            )
        if importlib.util.find_spec("google.cloud.dataflow_v1beta3") is None:
            raise WrongFlag("--runner: DataflowRunner needs Google's clients: pip install 'batchpredict[dataflow]'")

    def submit(self, request: Request, observer: Observer) -> Execution:
        """Hand a job over, or, with `--template-location`, store what hands it over later.

        Raises:
          InvalidJob: it names files of this machine, which Dataflow's workers do not have.
          RunnerFailed: Dataflow is not reachable, or refuses the caller or the project.
          WrongFlag: a flag that is missing, or that Beam does not know.
        """
        _refuse_local_files(request)
        check_known(self._flags)
        region = self._given.region or request.spec.region
        if not region or region == "local":
            raise WrongFlag(
                "--region: DataflowRunner needs the region to run in, as predictionInput.region or flag"
            )
        template = self._given.template_location
        request = elsewhere(request)
        if template:
            if request.fresh:
                raise WrongFlag("--fresh: a template may run often, and each time it would forget what is done")
            # Nobody waits for what a template runs.
            request = replace(request, submission=None)
        name = _job_name(request)
        flags = [f"--runner={self.name}", *self._options(request, region, name), *self._flags]
        log = LogFile()
        if template:
            launch = Pipeline(lambda last_moment: hand_over(request, flags, last_moment))
            return _Template(launch, template, request, observer, log)
        service = Service(
            self._given.project, region, self._given.dataflow_endpoint, anonymous=self._given.no_auth is not None
        )
        service.check()
        taken: list[_Result] = []

        def launch_job(last_moment: Callable[[], None]) -> _Result:
            result = _Result(hand_over(request, flags, last_moment))
            taken.append(result)
            observer.message(f"the job on Dataflow: {service.console(result.job_id)}")
            return result

        cluster = Cluster(
            f"{self.name} in {self._given.project}",
            survives=True,
            soon=_SOON,
            at_all=math.inf,
            patience=_PATIENCE,
            cancel=lambda: bool(taken) and service.cancel(taken[-1].job_id, _CANCEL_SECONDS),
            log=log,
        )
        return Submitted(cluster, request, Pipeline(launch_job), observer)

    def _options(self, request: Request, region: str, name: str) -> list[str]:
        """The job in Beam's words; https://cloud.google.com/dataflow/docs/reference/pipeline-options."""
        spec = request.spec
        labels = {"batchpredict-job-id": request.job_id, **request.labels}
        options = [
            f"--region={region}",
            f"--job_name={name}",
            *(f"--label={_label(key)}={_label(value)}" for key, value in labels.items() if value),
            # A bundle keeps a core busy; a second one in the same process would only wait for it.
            "--number_of_worker_harness_threads=1",
        ]
        if spec.max_workers:
            options += [f"--max_num_workers={spec.max_workers}", "--autoscaling_algorithm=THROUGHPUT_BASED"]
        if spec.worker_type:
            options.append(f"--machine_type={spec.worker_type}")
        if spec.accelerator and spec.accelerator_count:
            kind = spec.accelerator.lower().replace("_", "-")
            options.append(
                "--dataflow_service_options=worker_accelerator="
                f"type:{kind};count:{spec.accelerator_count};install-nvidia-driver"
            )
        return options


class _Result:
    """Beam's result of a job on Dataflow, whose errors say whether the job has ended or is only out of sight."""

    def __init__(self, result: Any) -> None:
        self._result = result

    @property
    def job_id(self) -> str:
        return str(self._result.job_id())

    def wait_until_finish(self) -> Any:
        try:
            return self._result.wait_until_finish()
        except Exception as error:
            if self._result.is_in_terminal_state():
                raise
            raise LostSight(str(error)) from error

    def cancel(self) -> None:
        self._result.cancel()


class _Template:
    """Storing a template: the pipeline is handed over to nobody, and nothing runs."""

    def __init__(
        self, pipeline: Pipeline, location: str, request: Request, observer: Observer, log: LogFile
    ) -> None:
        self._pipeline = pipeline
        self._location = location
        self._request = request
        self._observer = observer
        self._log = log
        pipeline.start()

    def ended(self, seconds: float) -> bool:
        self._pipeline.wait(seconds)
        return not self._pipeline.is_alive()

    def snapshot(self, *, at_once: bool = False) -> Snapshot | None:
        del at_once
        return None

    def cancel(self) -> str:
        self._pipeline.give_up()
        return ""

    def output(self) -> PredictionOutput:
        error = self._pipeline.error
        if error is not None:
            self._log.write_error(error)
            raise RunnerFailed(
                f"--template-location: the template cannot be stored: {gist(self._pipeline.text)}; all that was "
                f"said is in {self._log.path}"
            )
        self._observer.message(f"the template is at {self._location}; nothing was run")
        return PredictionOutput(output_path=self._request.spec.output_path)

    def close(self) -> None:
        """Nothing is held."""


def _refuse_local_files(request: Request) -> None:
    spec = request.spec
    places = [
        ("uri", spec.model_uri),
        *(("input_paths", url) for url in spec.inputs),
        ("output_path", spec.output_path),
    ]
    found = [
        Violation(f"prediction_input.{field}", f"'{url}' is on this machine, and Dataflow's workers are not.")
        for field, url in places
        # Without making a client of the store, which asks for credentials.
        if "://" not in url or url.startswith("file://")
    ]
    if found:
        raise InvalidJob(found)


def _job_name(request: Request) -> str:
    """A name that Dataflow takes, and that no other active job has."""
    end = f"-{request.submission or int(time.time())}"
    name = f"batchpredict-{re.sub('[^a-z0-9-]', '-', request.job_id.lower())}".rstrip("-")
    return name[: _LONGEST_NAME - len(end)].rstrip("-") + end


def _label(text: str) -> str:
    return re.sub("[^a-z0-9_-]", "-", text.lower())[:_LONGEST_LABEL]
