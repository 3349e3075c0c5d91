"""Finding out what a job would be: plan it, score a sample, and measure how fast that goes."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from time import monotonic

from batchpredict.counted import counted
from batchpredict.estimate.amounts import Amounts
from batchpredict.estimate.batch_sizes import LARGEST, BatchSizes, try_sizes
from batchpredict.estimate.failures import kinds, verdict
from batchpredict.estimate.folder import look
from batchpredict.estimate.places import chosen_splits, places, spread
from batchpredict.estimate.pool import SamplePool
from batchpredict.estimate.ranges import Range, share
from batchpredict.estimate.report import Estimate, Sample, Speed, Wishes
from batchpredict.estimate.sampled import Measured, Span
from batchpredict.estimate.speeds import DRIVER_SECONDS, forecast, pools, speed_of
from batchpredict.formats import Segment, Split
from batchpredict.ledger import Plan, PredictionSpec, make_plan, parse_budget, spooling
from batchpredict.models import Signature, TensorSpec, model_digest

# Records of a place: enough for a batch or so, and the fewer they are the more places there are.
_ROWS_OF_PLACE = 50
_MOST_PLACES = 200
# A place is as long as its records would be if they were so many times as long as the first ones, and this.
_PLACE_FACTOR = 4
_PLACE_BYTES = 64 << 10
# Splits that a speed is measured with, as far as there is time for them.
_SPLITS = 256
_SAMPLE_SECONDS = 8.0
_SPEED_SECONDS = 6.0
_OTHER_SPEED_SECONDS = 4.0
_BATCH_SIZE_SECONDS = 5.0
# A reader hands over no more than a model scores in this time, so that an attempt can end when it should.
_RUN_SECONDS = 0.25


class Telling:
    """Whoever is told how far an estimate is."""

    def progress(self, text: str) -> None:
        """What is done now."""

    def warning(self, text: str) -> None:
        """What the user should hear at once."""


def estimate(spec: PredictionSpec, wishes: Wishes, *, engine: Callable[[], None], telling: Telling) -> Estimate:
    """Find out what a job would be. Writes nothing to its output folder; takes about half a minute.

    Args:
      spec: the job.
      wishes: what is to be known of it.
      engine: imports what the job's runner needs, as a job does while its workers start.
      telling: told of progress.

    Raises:
      JobFailed, InvalidJob: what the job itself would fail with before it has scored anything.
    """
    began = monotonic()
    telling.progress("planning")
    digest = model_digest(spec.model_uri)
    with ExitStack() as opened:
        draft = opened.enter_context(make_plan(spec, digest))
        folder = look(spec.output_path, draft.plan, overwrite=wishes.overwrite, fresh=wishes.fresh)
        if folder.refusal:
            telling.warning(f"predict would fail: {folder.refusal}")
        with spooling():
            scratch = tempfile.TemporaryDirectory(prefix="batchpredict-plan-", ignore_cleanup_errors=True)
        opened.enter_context(scratch)
        job = _Job(spec, digest, draft.plan, draft.splits, scratch.name, Amounts(spec.input), telling)
        found = _Measuring(job, wishes, engine).run()
        records = job.amounts.records(found.spans, job.plan.bytes, job.files)
    sizes, asked = job.sizes, wishes.workers or (job.workers(wishes.default_workers),)
    start = found.start_seconds + DRIVER_SECONDS
    publish = found.publish_seconds * job.plan.splits
    return Estimate(
        spec=spec,
        plan=job.plan,
        folder=folder,
        records=records,
        sample=found.sample(spec, records.count),
        outputs=found.outputs,
        carried=((spec.key_field,) if spec.key_field else ()) + spec.excluded_fields,
        output_bytes=found.speeds[0].output_ratio.times(job.plan.bytes) if found.speeds else None,
        speeds=tuple(found.speeds),
        batch_sizes=found.batch_sizes,
        no_batch_sizes=found.no_batch_sizes,
        start_seconds=start,
        publish_seconds=publish,
        forecasts=tuple(
            forecast(count, sizes, found.speeds, start_seconds=start, publish_seconds=publish, wishes=wishes)
            for count in asked
        ),
        seconds=monotonic() - began,
    )


class _Job:
    """A planned job, and where a sample of it may go."""

    def __init__(
        self,
        spec: PredictionSpec,
        digest: str,
        plan: Plan,
        splits: Callable[[], Iterator[Split]],
        scratch: str,
        amounts: Amounts,
        telling: Telling,
    ) -> None:
        self.spec, self.digest, self.plan, self.splits = spec, digest, plan, splits
        self.amounts, self.telling = amounts, telling
        self.sizes = [split.size for split in splits()]
        self._scratch = scratch
        self._folders = 0

    def workers(self, wanted: int) -> int:
        """The workers that have something to do, of those that are wanted."""
        return max(min(wanted, self.plan.splits), 1)

    def files(self) -> Iterator[tuple[str, int]]:
        """URL and size of every file, in order: the segments of one follow each other."""
        last = ""
        for segment in (segment for split in self.splits() for segment in split.segments):
            if segment.path != last:
                last = segment.path
                yield segment.path, segment.size

    def new_folder(self) -> str:
        self._folders += 1
        return os.path.join(self._scratch, str(self._folders))

    def pool(self, processes: int) -> SamplePool:
        return SamplePool(self.spec, self.new_folder(), self.digest, processes, self.telling.warning)


@dataclass
class _Found:
    """What measuring has found so far.

    Attributes:
      sampled: attempts at places, the same number of records of each.
      scored: attempts at splits for the speed; no split twice.
    """

    start_seconds: float = 0.0
    sampled: list[Measured] = field(default_factory=list)
    scored: list[Measured] = field(default_factory=list)
    cut_short: bool = False
    speeds: list[Speed] = field(default_factory=list)
    batch_sizes: BatchSizes | None = None
    no_batch_sizes: str = "there are no records"
    signature: Signature | None = None

    @property
    def spans(self) -> list[Span]:
        return [span for one in self.sampled for span in one.spans]

    @property
    def publish_seconds(self) -> float:
        """For each split."""
        return sum(one.publish_seconds for one in self.sampled) / max(len(self.sampled), 1)

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        return () if self.signature is None else self.signature.outputs

    def _attempts(self, records: Range) -> list[Measured]:
        """What errors are known from; what was scored for the speed has them too, of more records at fewer places.

        In a small job both are of the same records, of which each counts once.
        """
        sampled, scored = (sum(one.records for one in some) for some in (self.sampled, self.scored))
        if sampled + scored <= records.estimate:
            return [*self.sampled, *self.scored]
        return self.sampled if sampled >= scored else self.scored

    def sample(self, spec: PredictionSpec, records: Range) -> Sample | None:
        if not self.sampled:
            return None
        sampled = sum(one.records for one in self.sampled)
        whole = records.exact and records.estimate == sampled
        attempts = self.sampled if whole else self._attempts(records)
        counts = [(one.error_count, one.records) for one in attempts]
        read, failed = sum(count for _, count in counts), sum(count for count, _ in counts)
        found = Range.exactly(failed / read) if whole and read else share(counts)
        budget = parse_budget(spec.max_errors)
        return Sample(
            records=sampled,
            places=len(self.sampled),
            scored=read,
            errors=failed,
            share=found,
            kinds=tuple(kinds(attempts)),
            verdict="" if budget is None else verdict(budget, found, records),
            cut_short=self.cut_short,
        )


class _Measuring:
    """The part of an estimate for which processes are started."""

    def __init__(self, job: _Job, wishes: Wishes, engine: Callable[[], None]) -> None:
        self._job = job
        self._wishes = wishes
        self._engine = engine
        self._found = _Found()
        plan = job.plan
        wanted = min(max(wishes.sample // _ROWS_OF_PLACE, 1), _MOST_PLACES)
        self._places = places(job.splits(), plan.bytes, wanted, anywhere=job.amounts.anywhere)
        self._splits = spread(chosen_splits(job.splits(), plan.bytes, _SPLITS))

    def run(self) -> _Found:
        asked = self._wishes.workers or (self._job.workers(self._wishes.default_workers),)
        first, *others = pools(asked, self._job.plan.splits)
        self._measure_first(first)
        if not self._places:
            return self._found
        for processes in others:
            self._job.telling.progress(f"measuring {counted(processes, 'worker')}")
            with self._job.pool(processes) as pool:
                self._measure_speed(pool, _OTHER_SPEED_SECONDS)
        self._try_batch_sizes(first)
        return self._found

    def _measure_first(self, processes: int) -> None:
        """Start a pool as a job does, sample the job with it, and measure its speed."""
        telling, found = self._job.telling, self._found
        telling.progress(f"starting {counted(processes, 'worker')}")
        began = monotonic()
        with self._job.pool(processes) as pool:
            self._engine()
            if not self._places:
                # Nothing can be read, but whether the model loads is to be known.
                found.signature = pool.warm_up([], 1)[0].signature
                found.start_seconds = monotonic() - began
                return
            warm_up = pool.warm_up(self._places[:1], self._job.spec.batch_size)
            found.start_seconds = monotonic() - began
            found.signature = warm_up[0].signature
            telling.progress(f"sampling {self._wishes.sample:,} records at {len(self._places):,} places")
            self._sample(pool, warm_up)
            telling.progress(f"measuring {counted(processes, 'worker')}")
            self._measure_speed(pool, _SPEED_SECONDS, warm_up)

    def _sample(self, pool: SamplePool, warm_up: Sequence[Measured]) -> None:
        found = self._found
        rows = -(-self._wishes.sample // len(self._places))
        places = self._shortened(rows, [span for one in warm_up for span in one.spans])
        found.sampled = pool.sample(spread(places), rows, _SAMPLE_SECONDS)
        found.cut_short = len(found.sampled) < len(self._places)

    def _shortened(self, rows: int, first: Sequence[Span]) -> list[Segment]:
        """The places, none much longer than it takes: a reader fetches from a store what it may need, in megabytes.

        Args:
          rows: records of each.
          first: what was read of the job so far.
        """
        amounts = self._job.amounts
        records = sum(span.records for span in first)
        if not records:
            return self._places
        longest = _PLACE_BYTES + int(_PLACE_FACTOR * rows * sum(map(amounts.bytes_of, first)) / records)
        return [
            replace(place, end=min(place.end, place.start + longest)) if amounts.anywhere(place) else place
            for place in self._places
        ]

    def _measure_speed(self, pool: SamplePool, seconds: float, warm_up: Sequence[Measured] = ()) -> None:
        warm_up = warm_up or pool.warm_up(self._places[:1], self._job.spec.batch_size)
        # The first attempts are slower: calls are put together only when it is known how long they take.
        pool.keep_busy(self._splits, seconds / 8, self._run_rows())
        measured = pool.keep_busy(self._splits, seconds, self._run_rows())
        speed = speed_of(self._job.amounts, pool.processes, warm_up, measured)
        if speed is not None:
            self._found.speeds.append(speed)
        self._found.scored = self._found.scored or measured[: len(self._splits)]

    def _run_rows(self) -> int:
        """Records that a reader hands over at a time, whole batches."""
        sampled = self._found.sampled
        seconds = sum(one.stages.loop for one in sampled)
        batch = self._job.spec.batch_size
        rows = sum(one.records for one in sampled) / max(seconds, 1e-6) * _RUN_SECONDS
        return max(int(rows) // batch, 1) * batch

    def _try_batch_sizes(self, processes: int) -> None:
        found = self._found
        signature = found.signature
        if signature is None or not found.speeds:
            return
        if signature.unbatched or signature.fixed_batch is not None:
            size = signature.fixed_batch or 1
            found.no_batch_sizes = f"the model takes {counted(size, 'record')} a call"
            return
        self._job.telling.progress("trying batch sizes")
        segment = max(
            (one for split in self._splits for one in split.segments), key=lambda one: one.end - one.start
        )
        estimated = self._job.amounts.records(found.spans, self._job.plan.bytes, self._job.files).count.estimate
        found.no_batch_sizes = ""
        found.batch_sizes = try_sizes(
            self._job.spec,
            self._job.new_folder(),
            self._job.digest,
            Split(0, (segment,)),
            processes=processes,
            largest=min(LARGEST, max(int(estimated), 1)),
            seconds=_BATCH_SIZE_SECONDS,
        )
