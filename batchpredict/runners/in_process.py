"""One prediction job on this machine, by Beam's in-process FnApiRunner.

The runner is used directly: Beam's own DirectRunner first tries to download and start another one. Beam has a
single bundle thread here, which hands splits to the pool of worker processes; processes rather than threads,
because reading, decoding and encoding hold the interpreter, and because a crash then costs one split's attempt.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator, Sequence

from batchpredict.errors import BatchPredictError, JobCancelled, JobFailed
from batchpredict.job import PredictionOutput
from batchpredict.prediction.pool import WorkerPool
from batchpredict.prediction.progress import ManifestFeed, Observer, Unobserved
from batchpredict.prediction.publish import finished_output
from batchpredict.prediction.session import (
    Prepared,
    Request,
    make_pool,
    offer_pool,
    prepare,
    publish_job,
    take_failure,
    withdraw_pool,
)

# Seconds between two looks at the manifests.
_POLL_SECONDS = 0.25
# How long a cancelled pipeline may take to notice before it is left to die with the process.
_CANCEL_SECONDS = 3.0

_log = logging.getLogger(__name__)


def run(request: Request, observer: Observer | None = None, *, beam_flags: Sequence[str] = ()) -> PredictionOutput:
    """Run a job to its end in this process and worker processes of its own.

    A KeyboardInterrupt stops it within seconds; every committed split stays committed.

    Args:
      request: the job.
      observer: told of progress and warnings.
      beam_flags: further options of the pipeline, as Beam's command line has them.

    Raises:
      JobFailed: the job cannot succeed, and why.
      InvalidJob: it contradicts its model.
      JobCancelled: another thread cancelled its pool.
    """
    watcher = observer or Unobserved()
    prepared = prepare(request)
    if prepared.done is not None:
        return prepared.done
    feed = ManifestFeed(prepared.staging, prepared.plan)
    first = feed.poll()
    watcher.progress(first)
    todo = prepared.todo()
    pool = make_pool(request, prepared.plan, first.resumed, watcher.warning, most=len(todo) or None)
    with _offered(prepared, pool):
        if not todo:
            # Nothing to score: an interrupted publish, perhaps. No need for Beam and TensorFlow.
            return publish_job(request, prepared.plan, prepared.staging)
        # Started before Beam is imported, so that workers load the model meanwhile.
        pool.start(len(todo))
        workers = min(request.processes, len(todo))
        pipeline = _PipelineThread(prepared.submitted(), beam_flags)
        pipeline.start()
        try:
            while pipeline.is_alive():
                pipeline.join(_POLL_SECONDS)
                # What cannot be read now may be read the next time; if not, publishing will say so.
                with contextlib.suppress(BatchPredictError, OSError):
                    watcher.progress(feed.poll(pool.under_way(), workers))
        except BaseException:
            pool.cancel()
            pipeline.join(_CANCEL_SECONDS)
            # What was committed up to the last moment is kept, and whoever asked for the end is told how much.
            with contextlib.suppress(BatchPredictError, OSError):
                watcher.progress(feed.poll())
            raise
        if pipeline.error is not None:
            raise _reason(request, pool, pipeline.error) from pipeline.error
    output = finished_output(prepared.staging)
    if output is None:
        raise JobFailed("The pipeline ended without publishing the results.")
    return output


@contextlib.contextmanager
def _offered(prepared: Prepared, pool: WorkerPool) -> Iterator[None]:
    """Transforms of this process find the pool; whatever happens, none of its processes outlives it."""
    take_failure(prepared.request.spec)
    offer_pool(prepared.staging, pool)
    try:
        yield
    except BaseException:
        # Whatever it was, splits that are still waiting must not be scored for a job that has ended.
        pool.cancel()
        raise
    finally:
        withdraw_pool(prepared.staging, pool)
        pool.close()


def _reason(request: Request, pool: WorkerPool, error: BaseException) -> BatchPredictError:
    noted = take_failure(request.spec)
    failure = pool.failure
    if failure is not None and not isinstance(failure, JobCancelled):
        return failure
    if noted is not None:
        return noted
    return failure or JobFailed(f"The pipeline failed: {type(error).__name__}: {error}")


class _PipelineThread(threading.Thread):
    """Beam, away from the main thread, which must stay free for Ctrl-C."""

    def __init__(self, request: Request, flags: Sequence[str]) -> None:
        super().__init__(name="pipeline", daemon=True)
        self._request = request
        self._flags = [flag for flag in flags if not flag.startswith("--runner=")]
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            import apache_beam as beam
            from apache_beam.options.pipeline_options import PipelineOptions
            from apache_beam.runners.portability.fn_api_runner import FnApiRunner

            from batchpredict.prediction.transforms import BatchPredict

            options = PipelineOptions(["--direct_num_workers=1", *self._flags])
            pipeline = beam.Pipeline(runner=FnApiRunner(), options=options)
            _ = pipeline | BatchPredict(self._request)
            pipeline.run().wait_until_finish()
        except BaseException as error:
            _log.debug("the pipeline failed", exc_info=True)
            self.error = error
