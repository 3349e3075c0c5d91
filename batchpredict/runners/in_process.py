"""One prediction job on this machine, by Beam's in-process FnApiRunner.

The runner is used directly: Beam's own DirectRunner first tries to download and start another one. Beam has a
single bundle thread here, which hands splits to the pool of worker processes; processes rather than threads,
because reading, decoding and encoding hold the interpreter, and because a crash then costs one split's attempt.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from batchpredict.errors import BatchPredictError, JobCancelled, JobFailed
from batchpredict.job import PredictionOutput
from batchpredict.ledger.progress import ManifestFeed, Observer, Snapshot
from batchpredict.ledger.publish import finished_output
from batchpredict.prediction.pools import make_pool, offer_pool, take_failure, withdraw_pool
from batchpredict.prediction.request import Request
from batchpredict.prediction.session import Prepared, prepare, publish_job
from batchpredict.runners.flags import check_known
from batchpredict.runners.pipeline import Pipeline
from batchpredict.workers.pool import WorkerPool

# How long a cancelled pipeline may take to notice before it is left to die with the process.
_CANCEL_SECONDS = 3.0


class InProcess:
    """The runner of this process.

    Args:
      beam_flags: further options of the pipeline, as Beam's command line has them.
    """

    name = "DirectRunner"

    def __init__(self, beam_flags: Sequence[str] = ()) -> None:
        self._flags = beam_flags

    def check(self) -> None:
        check_known(self._flags)

    def submit(self, request: Request, observer: Observer) -> Finished | Running:
        prepared = prepare(request)
        if prepared.done is not None:
            return Finished(prepared.done)
        feed = ManifestFeed(prepared.staging, prepared.plan)
        first = feed.poll()
        observer.progress(first)
        todo = first.splits - first.splits_done
        pool = make_pool(request, prepared.plan, first.resumed, observer.warning, most=todo or None)
        running = Running(prepared, pool, feed, min(request.processes, todo))
        try:
            running.start(todo, self._flags)
        except BaseException:
            running.cancel()
            running.close()
            raise
        return running


class Finished:
    """The execution of a job that was finished before it was submitted."""

    def __init__(self, output: PredictionOutput) -> None:
        self._output = output

    def ended(self, seconds: float) -> bool:
        del seconds
        return True

    def snapshot(self, *, at_once: bool = False) -> Snapshot | None:
        del at_once
        return None

    def cancel(self) -> str:
        return ""

    def output(self) -> PredictionOutput:
        return self._output

    def close(self) -> None:
        pass


class Running:
    """A job that is being done by this process and worker processes of its own."""

    def __init__(self, prepared: Prepared, pool: WorkerPool, feed: ManifestFeed, workers: int) -> None:
        self._prepared = prepared
        self._pool = pool
        self._feed = feed
        self._workers = workers
        self._pipeline: Pipeline | None = None
        self._published: PredictionOutput | None = None
        take_failure(prepared.request.spec)
        offer_pool(prepared.staging, pool)

    def start(self, todo: int, flags: Sequence[str]) -> None:
        """Begin; with nothing to score (an interrupted publish, perhaps), do what is left at once."""
        if not todo:
            # No need for Beam and TensorFlow.
            prepared = self._prepared
            self._published = publish_job(prepared.request, prepared.plan, prepared.staging)
            return
        # Started before Beam is imported, so that workers load the model meanwhile.
        self._pool.start(todo)
        self._pipeline = Pipeline(_launcher(self._prepared.submitted(), flags))
        self._pipeline.start()

    def ended(self, seconds: float) -> bool:
        if self._pipeline is None:
            return True
        self._pipeline.wait(seconds)
        return not self._pipeline.is_alive()

    def snapshot(self, *, at_once: bool = False) -> Snapshot | None:
        return self._feed.poll(self._pool.under_way(), self._workers, at_once=at_once)

    def cancel(self) -> str:
        self._pool.cancel()
        if self._pipeline is not None:
            self._pipeline.give_up()
            self._pipeline.wait(_CANCEL_SECONDS)
        return ""

    def output(self) -> PredictionOutput:
        if self._published is not None:
            return self._published
        if self._pipeline is not None and self._pipeline.error is not None:
            reason = self._reason(self._pipeline.error)
            # Splits that are still waiting must not be scored for a job that has ended.
            self._pool.cancel()
            raise reason from self._pipeline.error
        output = finished_output(self._prepared.staging)
        if output is None:
            raise JobFailed("The pipeline ended without publishing the results.")
        return output

    def close(self) -> None:
        """None of the job's processes outlives this."""
        withdraw_pool(self._prepared.staging, self._pool)
        self._pool.close()

    def _reason(self, error: BaseException) -> BatchPredictError:
        noted = take_failure(self._prepared.request.spec)
        failure = self._pool.failure
        if failure is not None and not isinstance(failure, JobCancelled):
            return failure
        if noted is not None:
            return noted
        return failure or JobFailed(f"The pipeline failed: {type(error).__name__}: {error}")


def _launcher(request: Request, flags: Sequence[str]) -> Callable[[Callable[[], None]], Any]:
    """Runs the job's pipeline by Beam in this process, to its end."""

    def launch(last_moment: Callable[[], None]) -> Any:
        import apache_beam as beam
        from apache_beam.options.pipeline_options import PipelineOptions
        from apache_beam.runners.portability.fn_api_runner import FnApiRunner

        from batchpredict.prediction.transforms import BatchPredict

        options = PipelineOptions(["--direct_num_workers=1", *flags])
        pipeline = beam.Pipeline(runner=FnApiRunner(), options=options)
        _ = pipeline | BatchPredict(request, spread=False)
        last_moment()
        return pipeline.run()

    return launch
