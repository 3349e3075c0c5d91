"""Store a classic Dataflow template that scores the files of whatever job it is started with.

    python pipelines/template.py --template_location=gs://bucket/templates/batchpredict \\
        --project=p --region=r --temp_location=gs://bucket/tmp --sdk_container_image=IMAGE
    gcloud dataflow jobs run NAME --region=r --gcs-location=gs://bucket/templates/batchpredict \\
        --parameters=job=gs://bucket/job.json --max-workers=10

The template reads its job on the workers, so it knows neither the job's machines nor its name: these are flags of
`gcloud dataflow jobs run`. What it takes as parameters stands beside it, as Dataflow wants it.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Any

# Run as a script from a checkout, Python finds the folder of this file but not the package beside it.
if __package__ in (None, ""):
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from batchpredict import storage
from batchpredict.errors import BatchPredictError, RunnerFailed
from batchpredict.launch import FAILED, SUCCEEDED, load_job, silence_logs, status_of, stopped_early
from batchpredict.prediction import Placement, Request
from batchpredict.runners import DataflowRunner, Service, check_known, spelled, summary_line

_PROGRAM = "template.py"

# The parameters of the Flex template are those of this one.
# https://cloud.google.com/dataflow/docs/guides/templates/creating-templates#metadata
_METADATA = os.path.join(os.path.dirname(os.path.abspath(__file__)), "dataflow", "metadata.json")


class GivenAtRun:
    """The request of the job that a template is started with; read where it is called, on a worker.

    Args:
      job: Beam's value provider of the job's URL.
      overwrite: that of "true" or "false".
    """

    def __init__(self, job: Any, overwrite: Any) -> None:
        self._job = job
        self._overwrite = overwrite

    def __call__(self) -> Request:
        return Request.of(load_job(self._job.get()), overwrite=self._overwrite.get() == "true")


def main(arguments: Sequence[str] | None = None) -> int:
    """Store the template. Exit status: 0 stored, 1 failed, 2 wrong call."""
    parser = argparse.ArgumentParser(
        prog=_PROGRAM, description="Store a classic Dataflow template.", epilog="All other flags go to Beam."
    )
    parser.allow_abbrev = False
    parser.add_argument(
        "--template_location", "--template-location", required=True, metavar="URL", help="where to, on gs://"
    )
    options, beam_flags = parser.parse_known_args(arguments)
    flags = [*spelled(beam_flags), f"--template_location={options.template_location}"]
    silence_logs()
    try:
        DataflowRunner(flags).check()
        check_known(flags)
        Service("", "", anonymous="--no_auth" in flags).check_credentials()
        _store(flags)
        storage.replace_bytes(f"{options.template_location}_metadata", storage.read_bytes(_METADATA))
    except KeyboardInterrupt:
        return stopped_early(_PROGRAM)
    except (BatchPredictError, OSError) as error:
        print(f"{_PROGRAM}: {error}", file=sys.stderr)
        return status_of(error) if isinstance(error, BatchPredictError) else FAILED
    print(options.template_location)
    return SUCCEEDED


def _store(flags: Sequence[str]) -> None:
    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions

    from batchpredict.prediction import BatchPredict

    class TemplateOptions(PipelineOptions):  # type: ignore[misc]
        @classmethod
        def _add_argparse_args(cls, parser: Any) -> None:
            parser.add_value_provider_argument("--job", type=str)
            parser.add_value_provider_argument("--overwrite", type=str, default="false")

    options = PipelineOptions(["--runner=DataflowRunner", "--number_of_worker_harness_threads=1", *flags])
    given = options.view_as(TemplateOptions)
    try:
        pipeline = beam.Pipeline(options=options)
        _ = pipeline | BatchPredict(GivenAtRun(given.job, given.overwrite), placement=Placement(elsewhere=True))
        pipeline.run()
    except Exception as error:
        raise RunnerFailed(f"the template cannot be stored: {summary_line(str(error))}") from error


if __name__ == "__main__":
    sys.exit(main())
