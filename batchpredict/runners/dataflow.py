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
from typing import Any, Generic

from batchpredict.errors import InvalidJob, RunnerFailed, Violation, WrongFlag
from batchpredict.runners.beam import hand_over
from batchpredict.runners.channel import Channel
from batchpredict.runners.dataflow_service import Service
from batchpredict.runners.flags import check_known
from batchpredict.runners.interface import Execution
from batchpredict.runners.log_file import LogFile, summary_line
from batchpredict.runners.pipeline import LostSight, Pipeline
from batchpredict.runners.submitted import Cluster, Submitted
from batchpredict.runners.work import Driver, Observer, R, S, Work

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

    def submit(self, work: Work[S, R], observer: Observer[S]) -> Execution[S, R]:
        """Hand a work over, or, with `--template-location`, store what hands it over later.

        Raises:
          InvalidJob: it names files of this machine, which Dataflow's workers do not have.
          RunnerFailed: Dataflow is not reachable, or refuses the caller or the project.
          WrongFlag: a flag that is missing, or that Beam does not know.
        """
        _refuse_local_places(work)
        check_known(self._flags)
        region = self._given.region or work.needs.region
        if not region or region == "local":
            raise WrongFlag(
                "--region: DataflowRunner needs the region to run in, as predictionInput.region or flag"
            )
        template = self._given.template_location
        # Nobody waits for what a template runs.
        channel = None if template else Channel.new(work.folder)
        service = Service(
            self._given.project, region, self._given.dataflow_endpoint, anonymous=self._given.no_auth is not None
        )
        if channel is not None:
            service.check()
        driver = work.elsewhere(channel, observer)
        name = _job_name(work.job_id, f"{int(time.time())}" if channel is None else channel.name)
        flags = [f"--runner={self.name}", *self._options(work, region, name), *self._flags]
        log = LogFile()
        if channel is None:
            launch = Pipeline(lambda last_moment: hand_over(driver, flags, last_moment))
            return _Template(launch, template, driver, observer, log)
        taken: list[_Result] = []

        def launch_job(last_moment: Callable[[], None]) -> _Result:
            result = _Result(hand_over(driver, flags, last_moment))
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
        return Submitted(cluster, driver, channel, Pipeline(launch_job), observer)

    def _options(self, work: Work[S, R], region: str, name: str) -> list[str]:
        """The job in Beam's words; https://cloud.google.com/dataflow/docs/reference/pipeline-options."""
        needs = work.needs
        labels = {"batchpredict-job-id": work.job_id, **needs.labels}
        options = [
            f"--region={region}",
            f"--job_name={name}",
            *(f"--label={_label(key)}={_label(value)}" for key, value in labels.items() if value),
            # A bundle keeps a core busy; a second one in the same process would only wait for it.
            "--number_of_worker_harness_threads=1",
        ]
        if needs.max_workers:
            options += [f"--max_num_workers={needs.max_workers}", "--autoscaling_algorithm=THROUGHPUT_BASED"]
        if needs.machine_type:
            options.append(f"--machine_type={needs.machine_type}")
        if needs.accelerator and needs.accelerator_count:
            kind = needs.accelerator.lower().replace("_", "-")
            options.append(
                "--dataflow_service_options=worker_accelerator="
                f"type:{kind};count:{needs.accelerator_count};install-nvidia-driver"
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


class _Template(Generic[S, R]):
    """Storing a template: the pipeline is handed over to nobody, and nothing runs."""

    def __init__(
        self, pipeline: Pipeline, location: str, driver: Driver[S, R], observer: Observer[S], log: LogFile
    ) -> None:
        self._pipeline = pipeline
        self._location = location
        self._driver = driver
        self._observer = observer
        self._log = log
        pipeline.start()

    def ended(self, seconds: float) -> bool:
        self._pipeline.wait(seconds)
        return not self._pipeline.is_alive()

    def snapshot(self, *, at_once: bool = False) -> S | None:
        del at_once
        return None

    def cancel(self) -> str:
        self._pipeline.give_up()
        return ""

    def output(self) -> R:
        error = self._pipeline.error
        if error is not None:
            self._log.write_error(error)
            raise RunnerFailed(
                f"--template-location: the template cannot be stored: {summary_line(self._pipeline.text)}; "
                f"all that was said is in {self._log.path}"
            )
        self._observer.message(f"the template is at {self._location}; nothing was run")
        return self._driver.unrun()

    def close(self) -> None:
        self._driver.close()


def _refuse_local_places(work: Work[S, R]) -> None:
    found = [
        Violation(field, f"'{url}' is on this machine, and Dataflow's workers are not.")
        for field, url in work.places()
        # Without making a client of the store, which asks for credentials.
        if "://" not in url or url.startswith("file://")
    ]
    if found:
        raise InvalidJob(found)


def _job_name(job_id: str, distinct: str) -> str:
    """A name that Dataflow takes, and that no other active job has."""
    end = f"-{distinct}"
    name = f"batchpredict-{re.sub('[^a-z0-9-]', '-', job_id.lower())}".rstrip("-")
    return name[: _LONGEST_NAME - len(end)].rstrip("-") + end


def _label(text: str) -> str:
    return re.sub("[^a-z0-9_-]", "-", text.lower())[:_LONGEST_LABEL]
