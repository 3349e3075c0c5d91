"""The prediction pipeline as Beam transforms. Importing this module imports Beam.

The element is a split, not a record: Beam distributes, retries and scales; what happens to a record is the hot
path's business, in worker processes that know no Beam. Counts come from the manifests; the counters here are
for the runners' own pages, and over-count where a runner retries.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import asdict
from typing import Any

import apache_beam as beam
from apache_beam.metrics import Metrics
from apache_beam.transforms.window import GlobalWindows

from batchpredict.errors import BatchPredictError, JobCancelled
from batchpredict.formats import Split
from batchpredict.job import Job
from batchpredict.prediction.manifest import Manifest
from batchpredict.prediction.plan import load_plan
from batchpredict.prediction.pool import WorkerPool
from batchpredict.prediction.session import (
    Request,
    end_pool,
    note_failure,
    noting_failure,
    pool_of,
    prepare,
    publish_job,
    stored_plan,
)
from batchpredict.prediction.spec import PredictionSpec
from batchpredict.prediction.staging import Staging
from batchpredict.prediction.task import Task

NAMESPACE = "batchpredict"


class BatchPredict(beam.PTransform):  # type: ignore[misc]
    """Scores the files of a prediction job and publishes its results.

    Applied to a pipeline (or PBegin); gives a PCollection of one element, the job's PredictionOutput as a dict
    in wire form, once everything is published.

    Args:
      job: a prediction `Job`, or its resolved `Request` for more control.
      overwrite: replace results of another job in the output folder.

    Example:
      >>> with beam.Pipeline() as pipeline:
      ...     pipeline | BatchPredict(job) | beam.Map(print)
    """

    def __init__(self, job: Job | Request, *, overwrite: bool = False) -> None:
        super().__init__()
        self._request = job if isinstance(job, Request) else Request(PredictionSpec.of(job), overwrite=overwrite)
        if self._request.fresh:
            raise ValueError(
                "a runner may repeat any step, so forgetting what was committed is not one: see `prepare`"
            )

    def expand(self, begin: Any) -> Any:
        request = encode_request(self._request)
        return (
            begin
            | "Job" >> beam.Create([request])
            | "Split" >> beam.ParDo(PlanSplits())
            | "Distribute" >> beam.Reshuffle()
            | "PredictSplit" >> beam.ParDo(PredictSplits(request))
            | "AllCommitted" >> beam.CombineGlobally(_Last())
            | "Publish" >> beam.ParDo(Publish(request))
        )


def encode_request(request: Request) -> str:
    """A request as text, which is how it travels in a pipeline."""
    return json.dumps({**asdict(request), "spec": request.spec.to_json()})


def decode_request(text: str) -> Request:
    fields = json.loads(text)
    return Request(**{**fields, "spec": PredictionSpec.from_json(fields["spec"])})


class PlanSplits(beam.DoFn):  # type: ignore[misc]
    """Request -> (fingerprint, split) for every split: of the stored plan, or matched, cut and packed here."""

    def process(self, element: str) -> Iterator[tuple[str, str]]:
        request = decode_request(element)
        with noting_failure(request.spec):
            fingerprint, splits = _plan(request)
        if not splits:
            # Finished already; the last step answers with the output that is there.
            yield fingerprint, ""
        for split in splits:
            yield fingerprint, split.to_json()


def _plan(request: Request) -> tuple[str, Sequence[Split]]:
    if request.fingerprint is not None:
        _, splits = load_plan(Staging(request.spec.output_path, request.fingerprint))
        return request.fingerprint, list(splits)
    prepared = prepare(request)
    return prepared.plan.fingerprint, prepared.splits if prepared.done is None else ()


class PredictSplits(beam.DoFn):  # type: ignore[misc]
    """(fingerprint, split) -> fingerprint, when the split is committed.

    Splits of a bundle are handed to the pool as they come and awaited when the bundle ends, so one bundle keeps
    all worker processes of a machine busy, whatever a runner makes of bundles.
    """

    def __init__(self, request: str) -> None:
        self._request = request

    def setup(self) -> None:
        self._records = Metrics.counter(NAMESPACE, "records")
        self._errors = Metrics.counter(NAMESPACE, "errors")
        self._batch_size = Metrics.distribution(NAMESPACE, "batch_size")
        self._load = Metrics.distribution(NAMESPACE, "model_load_milliseconds")
        self._call = Metrics.distribution(NAMESPACE, "model_call_microseconds")

    def start_bundle(self) -> None:
        self._fingerprint = ""
        self._pending: list[tuple[WorkerPool, Future[Manifest | None]]] = []

    def process(self, element: tuple[str, str]) -> None:
        self._fingerprint, encoded = element
        if not encoded:
            return
        request = decode_request(self._request)
        split = Split.from_json(encoded)
        plan, staging = _stored(request, self._fingerprint)
        self._staging = staging
        if staging.is_committed(split.index):
            return
        pool = pool_of(request, plan, staging)
        with self._ending_pool():
            self._pending.append((pool, pool.submit(Task(split))))

    def finish_bundle(self) -> Iterator[Any]:
        with self._ending_pool():
            for pool, future in self._pending:
                try:
                    manifest = future.result()
                except CancelledError:
                    raise pool.failure or JobCancelled("The job was cancelled.") from None
                if manifest is not None:
                    self._count(manifest)
        if self._fingerprint:
            yield GlobalWindows.windowed_value(self._fingerprint)

    @contextlib.contextmanager
    def _ending_pool(self) -> Iterator[None]:
        """Note what fails the job, and leave no pool behind that has ended."""
        try:
            yield
        except BatchPredictError as error:
            note_failure(decode_request(self._request).spec, error)
            end_pool(self._staging)
            raise

    def _count(self, manifest: Manifest) -> None:
        self._records.inc(manifest.predictions + manifest.error_count)
        self._errors.inc(manifest.error_count)
        if manifest.batch_calls:
            self._batch_size.update(round(manifest.batch_rows / manifest.batch_calls))
            self._call.update(round(manifest.call_seconds * 1e6 / manifest.batch_calls))
        if manifest.load_seconds:
            self._load.update(round(manifest.load_seconds * 1e3))


_plans: dict[tuple[str, str], Any] = {}


def _stored(request: Request, fingerprint: str) -> tuple[Any, Staging]:
    """The stored plan, read once in a process."""
    key = request.spec.output_path, fingerprint
    found: tuple[Any, Staging] | None = _plans.get(key)
    if found is None:
        found = _plans[key] = stored_plan(request, fingerprint)
    return found


class _Last(beam.CombineFn):  # type: ignore[misc]
    """The fingerprint, once every bundle has given it."""

    def create_accumulator(self) -> str:
        return ""

    def add_input(self, accumulator: str, element: str) -> str:
        return element or accumulator

    def merge_accumulators(self, accumulators: Any) -> str:
        return max(accumulators, default="")

    def extract_output(self, accumulator: str) -> str:
        return accumulator


class Publish(beam.DoFn):  # type: ignore[misc]
    """Fingerprint -> PredictionOutput in wire form, when everything is published."""

    def __init__(self, request: str) -> None:
        self._request = request

    def process(self, element: str) -> Iterator[dict[str, Any]]:
        request = decode_request(self._request)
        with noting_failure(request.spec):
            plan, staging = stored_plan(request, element)
            try:
                output = publish_job(request, plan, staging)
            finally:
                end_pool(staging)
        yield output.to_wire()
