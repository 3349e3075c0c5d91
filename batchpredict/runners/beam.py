"""One job as a pipeline on any runner that Beam knows by name, through Beam's own client of that runner."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from batchpredict.ledger.progress import Observer
from batchpredict.ledger.submission import Submission
from batchpredict.prediction.request import Request
from batchpredict.runners.pipeline import Pipeline
from batchpredict.runners.submitted import Cluster, Submitted


class BeamRunner:
    """Any runner that Beam knows by name.

    Args:
      name: of the runner, as Beam's `--runner` takes it.
      beam_flags: options of the pipeline, as Beam's command line has them, without `--runner`.
    """

    def __init__(self, name: str, beam_flags: Sequence[str] = ()) -> None:
        self.name = name
        self._flags = [f"--runner={name}", *beam_flags]

    def check(self) -> None:
        """Nothing: a runner elsewhere has flags that only its own job service knows."""

    def submit(self, request: Request, observer: Observer) -> Submitted:
        request = elsewhere(request)

        def launch(last_moment: Callable[[], None]) -> Any:
            return hand_over(request, self._flags, last_moment)

        return Submitted(Cluster(self.name), request, Pipeline(launch), observer)


def elsewhere(request: Request) -> Request:
    """A request as it travels to workers elsewhere: planned there, with paths that mean the same there."""
    spec = request.spec
    spec = replace(
        spec,
        inputs=tuple(map(_absolute, spec.inputs)),
        output_path=_absolute(spec.output_path),
        model_uri=_absolute(spec.model_uri),
    )
    # How many processes were asked for is the cluster's business: see maxWorkerCount in the runner's own terms.
    return replace(
        request, spec=spec, workers=None, fingerprint=None, submission=Submission.new_name(), elsewhere=True
    )


def _absolute(url: str) -> str:
    return url if "://" in url else os.path.abspath(url)


def hand_over(request: Request, flags: Sequence[str], last_moment: Callable[[], None]) -> Any:
    """Give the job's pipeline to the runner that the flags name; Beam's PipelineResult."""
    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions

    from batchpredict.prediction.transforms import BatchPredict

    pipeline = beam.Pipeline(options=PipelineOptions(list(flags)))
    _ = pipeline | BatchPredict(request)
    last_moment()
    return pipeline.run()
