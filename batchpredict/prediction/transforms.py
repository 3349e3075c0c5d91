"""The prediction pipeline as Beam transforms. Importing this module imports Beam.

The element is a split, not a record: Beam distributes, retries and scales; what happens to a record is the hot
path's business, in worker processes that know no Beam. Counts come from the manifests; the counters here are
for the runners' own pages, and over-count where a runner retries.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from dataclasses import replace
from typing import Any

import apache_beam as beam
from apache_beam.metrics import Metrics
from apache_beam.transforms.combiners import ToListCombineFn
from pydantic import TypeAdapter

from batchpredict.errors import BatchPredictError, InvalidJob, JobCancelled, JobFailed
from batchpredict.formats import Split
from batchpredict.job import Job
from batchpredict.ledger.manifest import Manifest
from batchpredict.ledger.plan import Plan, load_plan
from batchpredict.ledger.proof import Proof, prove
from batchpredict.ledger.publish import Order, Settled, finish, publish_page, settle
from batchpredict.ledger.spec import PredictionSpec
from batchpredict.ledger.staging import Staging
from batchpredict.ledger.submission import Submission
from batchpredict.prediction.pools import Lease, note_failure
from batchpredict.prediction.request import Request
from batchpredict.prediction.session import left_of_page, prepare, redo_in_pool
from batchpredict.scoring.task import Task
from batchpredict.workers.pool import WorkerPool

NAMESPACE = "batchpredict"

# Splits of a bundle that wait in the pool for each of its processes. A bundle may have all splits of a job.
_AHEAD = 2

# Between two looks whether the job is to stop, while a split is scored; each is a request to a store.
_LOOK_SECONDS = 3.0

_PROOF = TypeAdapter(Proof)
_ORDER = TypeAdapter(Order)
_SETTLED = TypeAdapter(Settled)


class BatchPredict(beam.PTransform):  # type: ignore[misc]
    """Scores the files of a prediction job and publishes its results.

    Applied to a pipeline (or PBegin); gives a PCollection of one element, the job's PredictionOutput as a dict
    in wire form, once everything is published.

    Args:
      job: a prediction `Job`, or its resolved `Request` for more control; or a picklable function that gives the
        request on the workers, for a pipeline that is made before its job is known: a template.
      overwrite: replace results of another job in the output folder.
      spread: have the runner spread the splits over its workers. Without, one bundle reads the plan and scores the
        splits as it goes, for a runner that holds what it spreads in memory and has a single worker.

    Example:
      >>> with beam.Pipeline() as pipeline:
      ...     pipeline | BatchPredict(job) | beam.Map(print)
    """

    def __init__(
        self, job: Job | Request | Callable[[], Request], *, overwrite: bool = False, spread: bool = True
    ) -> None:
        super().__init__()
        self._spread = spread
        if isinstance(job, Job):
            job = Request.of(job, overwrite=overwrite)
        self._request = job
        if isinstance(job, Request) and job.fresh and job.submission is None:
            raise ValueError(
                "a runner may repeat any step, so forgetting what was committed is not one: see `prepare`"
            )

    def expand(self, begin: Any) -> Any:
        request = self._request.to_json() if isinstance(self._request, Request) else self._request
        planned = begin | "Job" >> beam.Create(["job"]) | "Plan" >> beam.ParDo(MakePlan(request))
        # The pages are read where they are listed: Flink takes what it has rebalanced once for balanced, whatever
        # steps come after it, and would leave all splits of a page where the page is.
        pages = planned | "Pages" >> beam.ParDo(ListPages(request))
        splits = pages | "ReadPlan" >> beam.ParDo(ReadPlan(request))
        if self._spread:
            splits = splits | "Distribute" >> beam.Reshuffle()
        scored = splits | "PredictSplit" >> beam.ParDo(PredictSplits(request))
        proven = (
            _after(planned, scored, "AllCommitted")
            | "CommittedPages" >> beam.ParDo(ListPages(request))
            | "SpreadProofs" >> beam.Reshuffle()
            | "Prove" >> beam.ParDo(Prove(request))
        )
        settled = (
            (planned | "IsJob" >> beam.Map(_labelled, "job"), proven | "IsProof" >> beam.Map(_labelled, "proof"))
            | "JobAndProofs" >> beam.Flatten()
            | "AllProven" >> beam.CombineGlobally(ToListCombineFn()).without_defaults()
            | "Settle" >> beam.ParDo(Settle(request))
        )
        published = (
            settled
            | "Orders" >> beam.FlatMap(_orders)
            | "SpreadOrders" >> beam.Reshuffle()
            | "PublishPage" >> beam.ParDo(PublishPages(request))
        )
        return _after(settled, published, "AllPublished") | "Finish" >> beam.ParDo(Finish(request))


def _after(one: Any, others: Any, name: str) -> Any:
    """A collection of one text that is there when another collection, of nothing, is complete.

    There is none if a step before has found that the job is to stop. Without a default for that case, which would
    cost a runner some stages.
    """
    return (
        (one, others) | f"{name}Too" >> beam.Flatten() | name >> beam.CombineGlobally(_Longest()).without_defaults()
    )


class _Longest(beam.CombineFn):  # type: ignore[misc]
    """The one text that there is."""

    def create_accumulator(self) -> str:
        return ""

    def add_input(self, accumulator: str, element: str) -> str:
        return max(accumulator, element, key=len)

    def merge_accumulators(self, accumulators: Iterable[str]) -> str:
        return max(accumulators, default="", key=len)

    def extract_output(self, accumulator: str) -> str:
        return accumulator


def _labelled(element: str, label: str) -> tuple[str, str]:
    return label, element


def _orders(settled: str) -> Iterator[tuple[str, str]]:
    fingerprint, text = json.loads(settled)
    for order in _SETTLED.validate_json(text).orders:
        yield fingerprint, _ORDER.dump_json(order).decode()


class _Step(beam.DoFn):  # type: ignore[misc]
    """What all steps of a job share: the request, its stored plan, and where a failure is told.

    A step that finds that the job has failed fails too, at the beginning of a bundle: runners that retry what
    cannot succeed get to their end sooner.
    """

    def __init__(self, request: str | Callable[[], Request]) -> None:
        self._given = request

    def setup(self) -> None:
        given = self._given
        self._request = Request.from_json(given) if isinstance(given, str) else given()
        self._spec: PredictionSpec = self._request.spec
        name = self._request.submission
        self._submission = None if name is None else Submission(self._spec.output_path, name)
        self._lease = Lease()
        # Of one run only: the same job may be planned anew in this process, with --fresh.
        self._plans: dict[str, tuple[Plan, Staging]] = {}

    def start_bundle(self) -> None:
        failure = None if self._submission is None else self._submission.failure()
        if failure is not None and not self._stopped():
            raise failure

    def _stopped(self) -> bool:
        return self._submission is not None and self._submission.stopped()

    def teardown(self) -> None:
        self._lease.end()

    @contextlib.contextmanager
    def _reporting(self) -> Iterator[None]:
        """Tell whoever submitted the job why it failed, and leave no pool behind that has ended."""
        try:
            yield
        except BatchPredictError as error:
            note_failure(self._spec, error)
            if self._submission is not None:
                self._submission.fail(error)
            self._lease.end()
            if isinstance(error, InvalidJob):
                # Beam raises the class of it again with a text, which is not what this one is made of.
                raise JobFailed(str(error)) from error
            raise

    def _stored(self, fingerprint: str) -> tuple[Plan, Staging]:
        """The stored plan, read once."""
        if fingerprint not in self._plans:
            staging = Staging(self._spec.output_path, fingerprint)
            self._plans[fingerprint] = load_plan(staging), staging
        return self._plans[fingerprint]


class MakePlan(_Step):
    """Anything, once -> what the pipeline works on: the fingerprint of the plan, and the output if there is one."""

    def process(self, element: str) -> Iterator[str]:
        del element
        request = self._request
        done = None
        if self._stopped():
            return
        if self._submission is not None:
            with contextlib.suppress(OSError):
                # What is wrong with the folder is said by whoever needs it.
                self._submission.begin()
        with self._reporting():
            fingerprint = request.fingerprint
            if fingerprint is None:
                if request.fresh and self._submission is not None and self._submission.fingerprint() is not None:
                    # This step is repeated, and what it has forgotten once may have been scored since.
                    request = replace(request, fresh=False)
                prepared = prepare(request)
                fingerprint = prepared.plan.fingerprint
                done = None if prepared.done is None else prepared.done.to_wire()
            if self._submission is not None:
                self._submission.planned(fingerprint)
        yield json.dumps([fingerprint, done])


class ListPages(_Step):
    """What `MakePlan` gives -> (fingerprint, number) for every page of splits, unless the job is done."""

    def process(self, element: str) -> Iterator[tuple[str, int]]:
        if self._stopped():
            return
        fingerprint, done = json.loads(element)
        if done is None:
            with self._reporting():
                plan, _ = self._stored(fingerprint)
            for page in plan.pages:
                yield fingerprint, page


class ReadPlan(_Step):
    """(fingerprint, page) -> (fingerprint, split) for every split of the page that is not committed."""

    def process(self, element: tuple[str, int]) -> Iterator[tuple[str, str]]:
        fingerprint, page = element
        if self._stopped():
            return
        with self._reporting():
            plan, staging = self._stored(fingerprint)
            for split in left_of_page(staging, plan, page):
                yield fingerprint, split.to_json()


class PredictSplits(_Step):
    """(fingerprint, split) -> nothing; the split is committed when its bundle ends.

    In the process that submits the job, splits of a bundle are handed to the pool as they come, so one bundle
    keeps all worker processes of the machine busy. Elsewhere a bundle is scored split by split: there the runner
    has as many bundles at a time as it wants workers.
    """

    def setup(self) -> None:
        super().setup()
        self._records = Metrics.counter(NAMESPACE, "records")
        self._errors = Metrics.counter(NAMESPACE, "errors")
        self._batch_size = Metrics.distribution(NAMESPACE, "batch_size")
        self._load = Metrics.distribution(NAMESPACE, "model_load_milliseconds")
        self._call = Metrics.distribution(NAMESPACE, "model_call_microseconds")

    def start_bundle(self) -> None:
        super().start_bundle()
        self._pending: dict[Future[Manifest | None], WorkerPool] = {}

    def process(self, element: tuple[str, str]) -> None:
        fingerprint, encoded = element
        if self._stopped():
            return
        split = Split.from_json(encoded)
        with self._reporting():
            plan, staging = self._stored(fingerprint)
            # It was not when the page was read, but that may have been long ago.
            if staging.is_committed(split.index):
                return
            pool = self._lease.pool(self._request, plan, staging)
            self._pending[pool.submit(Task(split))] = pool
            self._await(0 if self._request.elsewhere else _AHEAD * self._request.processes)

    def finish_bundle(self) -> None:
        with self._reporting():
            self._await(0)

    def _await(self, most: int) -> None:
        """Wait until no more than `most` splits are pending."""
        seconds = None if self._submission is None else _LOOK_SECONDS
        while len(self._pending) > most:
            done, _ = wait(self._pending, timeout=seconds, return_when=FIRST_COMPLETED)
            if not done and self._stopped():
                for pool in self._pending.values():
                    pool.cancel()
                self._pending.clear()
                return
            for future in done:
                pool = self._pending.pop(future)
                try:
                    manifest = future.result()
                except CancelledError:
                    raise pool.failure or JobCancelled("The job was cancelled.") from None
                if manifest is not None:
                    self._count(manifest)

    def _count(self, manifest: Manifest) -> None:
        self._records.inc(manifest.predictions + manifest.error_count)
        self._errors.inc(manifest.error_count)
        if manifest.batch_calls:
            self._batch_size.update(round(manifest.batch_rows / manifest.batch_calls))
            self._call.update(round(manifest.call_seconds * 1e6 / manifest.batch_calls))
        if manifest.load_seconds:
            self._load.update(round(manifest.load_seconds * 1e3))


class Prove(_Step):
    """(fingerprint, page) -> the page's `Proof` as JSON."""

    def process(self, element: tuple[str, int]) -> Iterator[str]:
        fingerprint, page = element
        if self._stopped():
            return
        with self._reporting():
            plan, staging = self._stored(fingerprint)
            proof = prove(self._spec, staging, plan, page, redo_in_pool(self._request, plan, staging, self._lease))
        yield _PROOF.dump_json(proof).decode()


class Settle(_Step):
    """What `MakePlan` gave, and all proofs -> fingerprint and `Settled` as JSON."""

    def process(self, element: list[tuple[str, str]]) -> Iterator[str]:
        if self._stopped():
            return
        jobs = [json.loads(text) for label, text in element if label == "job"]
        if not jobs:
            return
        fingerprint, done = jobs[0]
        if done is not None:
            settled = Settled(done, done=True)
        else:
            with self._reporting():
                plan, staging = self._stored(fingerprint)
                proofs = [_PROOF.validate_json(text) for label, text in element if label == "proof"]
                settled = settle(
                    self._spec,
                    staging,
                    plan,
                    sorted(proofs, key=lambda proof: proof.page),
                    overwrite=self._request.overwrite,
                    redo=redo_in_pool(self._request, plan, staging, self._lease),
                )
        yield json.dumps([fingerprint, _SETTLED.dump_json(settled).decode()])


class PublishPages(_Step):
    """(fingerprint, `Order` as JSON) -> nothing, when the page is published."""

    def process(self, element: tuple[str, str]) -> None:
        fingerprint, order = element
        if self._stopped():
            return
        with self._reporting():
            plan, staging = self._stored(fingerprint)
            publish_page(self._spec, staging, plan, _ORDER.validate_json(order))


class Finish(_Step):
    """What `Settle` gave -> PredictionOutput in wire form, when everything is published."""

    def process(self, element: str) -> Iterator[dict[str, Any]]:
        if self._stopped():
            return
        fingerprint, text = json.loads(element)
        settled = _SETTLED.validate_json(text)
        if settled.done:
            yield settled.output
            return
        with self._reporting():
            plan, staging = self._stored(fingerprint)
            output = finish(self._spec, staging, plan, settled)
        yield output.to_wire()
