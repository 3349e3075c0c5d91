"""A prediction job that is under way, in the process that submitted it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any

from batchpredict import storage
from batchpredict.errors import BatchPredictError, OutputRefused
from batchpredict.job import PredictionOutput
from batchpredict.ledger import ManifestFeed, Snapshot, Staging, finished_output, load_plan
from batchpredict.prediction.early import take_early
from batchpredict.prediction.pools import make_pool, offer_pool, withdraw_pool
from batchpredict.prediction.prepare import Prepared, prepare, publish_job
from batchpredict.prediction.request import FINISHED_BEFORE, OUTPUT, PLAN, Placement, Request
from batchpredict.runners import Channel, Observer
from batchpredict.workers import WorkerPool

# A question to the output folder that takes a second is followed by a rest of so many.
_REST = 10.0


class _Resumption:
    """Warns, once, of a job that goes on under another TensorFlow than it began under."""

    def __init__(self, observer: Observer[Snapshot]) -> None:
        self._observer = observer
        self._warned = False

    def watched(self, snapshot: Snapshot) -> Snapshot:
        """The snapshot, looked at."""
        if not self._warned and (said := snapshot.version_sentence()):
            self._warned = True
            self._observer.warning(said)
        return snapshot


class DriverHere:
    """The driver of a job that this process does with worker processes of its own.

    Processes rather than threads, because reading, decoding and encoding hold the interpreter, and because a crash
    then costs one split's attempt.
    """

    def __init__(
        self,
        prepared: Prepared,
        channel: Channel,
        observer: Observer[Snapshot],
        *,
        workers: int = 0,
        pool: WorkerPool | None = None,
        feed: ManifestFeed | None = None,
        output: PredictionOutput | None = None,
    ) -> None:
        self._prepared = prepared
        self._channel = channel
        self._resumption = _Resumption(observer)
        self._workers = workers
        self._pool = pool
        self._feed = feed
        self._output = output

    @classmethod
    def begin(
        cls, request: Request, workers: int | None, channel: Channel, observer: Observer[Snapshot]
    ) -> DriverHere:
        """Plan a job and start its workers; where nothing is left to score, do what is left at once."""
        with contextlib.ExitStack() as undo:
            # Most jobs need a worker: one imports TensorFlow while this plans, and ends if there is nothing to do.
            early = take_early()
            undo.callback(early.close)
            prepared = prepare(request)
            if prepared.done is not None:
                observer.message(FINISHED_BEFORE)
                return cls(prepared, channel, observer, output=prepared.done)
            plan, staging = prepared.plan, prepared.staging
            feed = ManifestFeed(staging, plan)
            first = feed.poll()
            observer.progress(first)
            todo = first.splits - first.splits_done
            processes = min(Placement(workers=workers).processes(request.spec), max(todo, 1))
            if not todo:
                # An interrupted publish, perhaps. There is no need for Beam and TensorFlow.
                return cls(prepared, channel, observer, feed=feed, output=publish_job(prepared, processes))
            pool = make_pool(request.spec, plan, processes, before=first.resumed, on_warning=observer.warning)
            undo.callback(pool.close)
            offer_pool(staging, pool)
            undo.callback(withdraw_pool, staging, pool)
            undo.callback(pool.cancel)
            # Before Beam is imported, so that workers load the model meanwhile.
            pool.adopt(early)
            pool.start(todo)
            undo.pop_all()
        return cls(prepared, channel, observer, workers=processes, pool=pool, feed=feed)

    @property
    def done(self) -> bool:
        return self._output is not None

    def expand(self, pipeline: Any) -> None:
        from batchpredict.prediction.transforms import BatchPredict

        placement = Placement(
            channel=self._channel.url,
            fingerprint=self._prepared.plan.fingerprint,
            workers=self._workers,
            elsewhere=False,
        )
        _ = pipeline | BatchPredict(self._prepared.request, placement=placement, spread=False)

    def snapshot(self, *, at_once: bool = False) -> Snapshot | None:
        if self._feed is None:
            return None
        under_way = None if self._pool is None else self._pool.under_way()
        return self._resumption.watched(self._feed.poll(under_way, self._workers, at_once=at_once))

    def sign_of_life(self) -> object:
        return self.snapshot(at_once=True)

    def output(self) -> PredictionOutput | None:
        if self._output is not None:
            return self._output
        with contextlib.suppress(BatchPredictError):
            # A short job may end before anybody has looked.
            self.snapshot(at_once=True)
        return _finished(self._prepared.staging, self._channel)

    def unrun(self) -> PredictionOutput:
        return PredictionOutput(output_path=self._prepared.request.spec.output_path)

    def stop(self) -> None:
        if self._pool is not None:
            self._pool.cancel()

    def close(self) -> None:
        if self._pool is not None:
            withdraw_pool(self._prepared.staging, self._pool)
            self._pool.close()


class DriverElsewhere:
    """The driver of a job whose pipeline plans, scores and publishes by itself, and is watched by what it leaves.

    Args:
      request: the job, with paths that mean the same on every machine.
      channel: to the pipeline; None if nobody waits for it.
      observer: told of warnings.
    """

    done = False

    def __init__(
        self,
        request: Request,
        channel: Channel | None,
        observer: Observer[Snapshot],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._request = request
        self._channel = channel
        self._observer = observer
        self._resumption = _Resumption(observer)
        self._clock = clock
        self._staging: Staging | None = None
        self._feed: ManifestFeed | None = None
        self._next_question = 0.0

    def expand(self, pipeline: Any) -> None:
        from batchpredict.prediction.transforms import BatchPredict

        url = None if self._channel is None else self._channel.url
        _ = pipeline | BatchPredict(self._request, placement=Placement(channel=url, elsewhere=True))

    def snapshot(self, *, at_once: bool = False) -> Snapshot | None:
        if self._feed is None:
            now = self._clock()
            if not at_once and now < self._next_question:
                return None
            staging = self._planned()
            self._next_question = self._clock() + (self._clock() - now) * _REST
            if staging is None:
                return None
            self._feed = ManifestFeed(staging, load_plan(staging))
        return self._resumption.watched(self._feed.poll(at_once=at_once))

    def sign_of_life(self) -> object:
        snapshot = self.snapshot(at_once=True)
        pages = [] if self._staging is None else storage.list_names(self._staging.published_pages)
        return None if snapshot is None else snapshot.splits_done, len(pages)

    def output(self) -> PredictionOutput | None:
        staging = self._planned()
        return None if staging is None or self._channel is None else _finished(staging, self._channel)

    def unrun(self) -> PredictionOutput:
        return PredictionOutput(output_path=self._request.spec.output_path)

    def stop(self) -> None:
        """Nothing of the job runs in this process."""

    def close(self) -> None:
        """Nothing is held."""

    def _planned(self) -> Staging | None:
        if self._staging is None and self._channel is not None:
            document = self._channel.told(PLAN)
            if document is not None:
                self._staging = Staging(self._request.spec.output_path, str(document["fingerprint"]))
                if document.get("finished"):
                    self._observer.message(FINISHED_BEFORE)
        return self._staging


def _finished(staging: Staging, channel: Channel) -> PredictionOutput | None:
    """What a job came to, from its folder, or by its last step's own words where the folder cannot be read.

    Raises:
      OutputRefused: neither is to be had.
      StagingDamaged: it was published, and a file is gone.
    """
    try:
        return finished_output(staging)
    except OutputRefused:
        told = None
        with contextlib.suppress(OSError):
            told = channel.told(OUTPUT)
        if told is None:
            raise
        return PredictionOutput.model_validate(told)
