"""One job as a pipeline on a runner elsewhere, through Beam's own client of that runner.

The pipeline reports through the output folder (see `Submission`), so the client needs nothing of the runner but
to hand a pipeline over, to learn that it has ended, and to cancel it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from batchpredict.errors import BatchPredictError, RunnerFailed
from batchpredict.job import PredictionOutput
from batchpredict.prediction.progress import ManifestFeed, Observer, Snapshot
from batchpredict.prediction.publish import finished_output
from batchpredict.prediction.request import Request
from batchpredict.prediction.session import Prepared, prepare
from batchpredict.prediction.submission import Submission
from batchpredict.runners.in_process import Finished

# How long a runner may take to say that a job is cancelled.
_CANCEL_SECONDS = 30.0

_log = logging.getLogger(__name__)


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

    def submit(self, request: Request, observer: Observer) -> Finished | Submitted:
        del observer
        prepared = prepare(request)
        if prepared.done is not None:
            return Finished(prepared.done)
        request = replace(prepared.submitted(), submission=Submission.new_name())
        return Submitted(self.name, prepared, request, _run(self.name, request, self._flags))


def _run(name: str, request: Request, flags: Sequence[str]) -> Any:
    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions

    from batchpredict.prediction.transforms import BatchPredict

    pipeline = beam.Pipeline(options=PipelineOptions(list(flags)))
    _ = pipeline | BatchPredict(request)
    try:
        return pipeline.run()
    except BatchPredictError:
        raise
    except Exception as error:
        _log.debug("the pipeline was not taken", exc_info=True)
        raise RunnerFailed(f"{name} does not take the job: {error}") from error


class Submitted:
    """A job that a runner elsewhere has taken."""

    def __init__(self, name: str, prepared: Prepared, request: Request, result: Any) -> None:
        assert request.submission is not None
        self._name = name
        self._staging = prepared.staging
        self._submission = Submission(request.spec.output_path, request.submission)
        self._result = result
        self._feed = ManifestFeed(prepared.staging, prepared.plan)
        self._waiting = _Waiting(result)
        self._waiting.start()

    def ended(self, seconds: float) -> bool:
        self._waiting.join(seconds)
        return not self._waiting.is_alive()

    def snapshot(self, *, at_once: bool = False) -> Snapshot | None:
        return self._feed.poll(at_once=at_once)

    def cancel(self) -> str:
        try:
            self._result.cancel()
        except Exception as error:
            return f"the job on {self._name} could not be cancelled ({error}); it may go on"
        self._waiting.join(_CANCEL_SECONDS)
        if self._waiting.is_alive():
            return f"the job on {self._name} was told to stop and has not said that it did"
        return f"the job on {self._name} is cancelled"

    def output(self) -> PredictionOutput:
        failure = self._submission.failure()
        if failure is not None:
            raise failure
        error = self._waiting.error
        if error is not None:
            raise RunnerFailed(f"The pipeline failed on {self._name}: {error}") from error
        output = finished_output(self._staging)
        if output is None:
            raise RunnerFailed(f"The pipeline ended in state {self._waiting.state} without publishing the results.")
        return output

    def close(self) -> None:
        self._submission.forget()


class _Waiting(threading.Thread):
    """Waits for the end of a pipeline, which Beam's clients can do only without a limit of time."""

    def __init__(self, result: Any) -> None:
        super().__init__(name="pipeline", daemon=True)
        self._result = result
        self.state = ""
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            self.state = str(self._result.wait_until_finish())
        except Exception as error:
            self.error = error
