"""The steps of the prediction pipeline. Importing this module imports Beam."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from dataclasses import replace
from typing import Any

from apache_beam.metrics import Metrics
from pydantic import TypeAdapter

from batchpredict.errors import JobCancelled
from batchpredict.formats import Split
from batchpredict.ledger import (
    Manifest,
    Plan,
    PredictionSpec,
    Proof,
    PublishOrder,
    Settled,
    Staging,
    finish,
    load_plan,
    prove,
    publish_page,
    settle,
)
from batchpredict.prediction.pools import Lease
from batchpredict.prediction.prepare import left_of_page, prepare, redo_in_pool
from batchpredict.prediction.request import OUTPUT, PLAN, Placement, Request
from batchpredict.runners import Channel, Step
from batchpredict.scoring import Task
from batchpredict.workers import WorkerPool

NAMESPACE = "batchpredict"

# Splits of a bundle that wait in the pool for each of its processes. A bundle may have all splits of a job.
_AHEAD = 2

# Between two looks whether the job is to stop, while a split is scored; each is a request to a store.
_LOOK_SECONDS = 3.0

_PROOF = TypeAdapter(Proof)
_ORDER = TypeAdapter(PublishOrder)
_SETTLED = TypeAdapter(Settled)


class _Step(Step):
    """What all steps of a job share: the request, its stored plan, and the pool of this process.

    Args:
      request: the job, or a function that gives it on the workers.
      placement: where the pipeline runs.
    """

    def __init__(self, request: Request | Callable[[], Request], placement: Placement) -> None:
        self._given = request
        self._placement = placement

    def setup(self) -> None:
        given, placement = self._given, self._placement
        self._request = given if isinstance(given, Request) else given()
        self._spec: PredictionSpec = self._request.spec
        self.channel = None if placement.channel is None else Channel(placement.channel)
        self._processes = placement.processes(self._spec)
        self._lease = Lease(self._spec, self._processes, away=placement.away)
        # Of one run only: the same job may be planned anew in this process, with --fresh.
        self._plans: dict[str, tuple[Plan, Staging]] = {}

    def teardown(self) -> None:
        self._lease.end()

    def after_failure(self) -> None:
        """Leave no pool behind that has ended."""
        self._lease.end()

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
        fingerprint, done = self._placement.fingerprint, None
        if self.stopped():
            return
        self.begun()
        with self.reporting():
            if fingerprint is None:
                if request.fresh and self.channel is not None and self.channel.told(PLAN) is not None:
                    # This step is repeated, and what it has forgotten once may have been scored since.
                    request = replace(request, fresh=False)
                prepared = prepare(request)
                fingerprint = prepared.plan.fingerprint
                done = None if prepared.done is None else prepared.done.to_wire()
            if self.channel is not None:
                self.channel.tell(PLAN, {"fingerprint": fingerprint, "finished": done is not None})
        yield json.dumps([fingerprint, done])


class ListPages(_Step):
    """What `MakePlan` gives -> (fingerprint, number) for every page of splits, unless the job is done."""

    def process(self, element: str) -> Iterator[tuple[str, int]]:
        if self.stopped():
            return
        fingerprint, done = json.loads(element)
        if done is None:
            with self.reporting():
                plan, _ = self._stored(fingerprint)
            for page in plan.pages:
                yield fingerprint, page


class ReadPlan(_Step):
    """(fingerprint, page) -> (fingerprint, split) for every split of the page that is not committed."""

    def process(self, element: tuple[str, int]) -> Iterator[tuple[str, str]]:
        fingerprint, page = element
        if self.stopped():
            return
        with self.reporting():
            plan, staging = self._stored(fingerprint)
            for split in left_of_page(staging, plan, page):
                yield fingerprint, split.to_json()


class PredictSplits(_Step):
    """(fingerprint, split) -> nothing; the split is committed when its bundle ends.

    In the process that made the pipeline, splits of a bundle are handed to the pool as they come, so one bundle
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
        if self.stopped():
            return
        split = Split.from_json(encoded)
        with self.reporting():
            plan, staging = self._stored(fingerprint)
            # It was not when the page was read, but that may have been long ago.
            if staging.is_committed(split.index):
                return
            pool = self._lease.pool(plan, staging)
            self._pending[pool.submit(Task(split))] = pool
            self._await(0 if self._placement.away else _AHEAD * self._processes)

    def finish_bundle(self) -> None:
        with self.reporting():
            self._await(0)

    def _await(self, most: int) -> None:
        """Wait until no more than `most` splits are pending."""
        seconds = None if self.channel is None else _LOOK_SECONDS
        while len(self._pending) > most:
            done, _ = wait(self._pending, timeout=seconds, return_when=FIRST_COMPLETED)
            if not done and self.stopped():
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
        if self.stopped():
            return
        with self.reporting():
            plan, staging = self._stored(fingerprint)
            proof = prove(self._spec, staging, plan, page, redo_in_pool(plan, staging, self._lease))
        yield _PROOF.dump_json(proof).decode()


class Settle(_Step):
    """What `MakePlan` gave, and all proofs -> fingerprint and `Settled` as JSON."""

    def process(self, element: list[tuple[str, str]]) -> Iterator[str]:
        if self.stopped():
            return
        jobs = [json.loads(text) for label, text in element if label == "job"]
        if not jobs:
            return
        fingerprint, done = jobs[0]
        if done is not None:
            settled = Settled(done, done=True)
        else:
            with self.reporting():
                plan, staging = self._stored(fingerprint)
                proofs = [_PROOF.validate_json(text) for label, text in element if label == "proof"]
                settled = settle(
                    self._spec,
                    staging,
                    plan,
                    sorted(proofs, key=lambda proof: proof.page),
                    overwrite=self._request.overwrite,
                    redo=redo_in_pool(plan, staging, self._lease),
                )
        yield json.dumps([fingerprint, _SETTLED.dump_json(settled).decode()])


class PublishPages(_Step):
    """(fingerprint, `PublishOrder` as JSON) -> nothing, when the page is published."""

    def process(self, element: tuple[str, str]) -> None:
        fingerprint, order = element
        if self.stopped():
            return
        with self.reporting():
            plan, staging = self._stored(fingerprint)
            publish_page(self._spec, staging, plan, _ORDER.validate_json(order))


class Finish(_Step):
    """What `Settle` gave -> PredictionOutput in wire form, when everything is published."""

    def process(self, element: str) -> Iterator[dict[str, Any]]:
        if self.stopped():
            return
        fingerprint, text = json.loads(element)
        settled = _SETTLED.validate_json(text)
        if settled.done:
            yield settled.output
            return
        with self.reporting():
            plan, staging = self._stored(fingerprint)
            output = finish(self._spec, staging, plan, settled)
        if self.channel is not None:
            # Nothing that goes wrong from here on fails the job, and this is only said to spare a look.
            with contextlib.suppress(OSError):
                self.channel.tell(OUTPUT, output.to_wire())
        yield output.to_wire()


def orders_of(settled: str) -> Iterator[tuple[str, str]]:
    """What `Settle` gives -> (fingerprint, `PublishOrder` as JSON) for every page that is to be published."""
    fingerprint, text = json.loads(settled)
    for order in _SETTLED.validate_json(text).orders:
        yield fingerprint, _ORDER.dump_json(order).decode()
