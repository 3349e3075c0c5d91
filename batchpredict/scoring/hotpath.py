"""The hot path: one split from its files to its committed part.

    segments -> runs of records -> instances -> groups of batches -> model -> results -> part -> manifest

A chain of plain loops that knows neither Beam nor processes, so that it can be tested, profiled and timed
alone. Everything is done for many records at a time; only errors are handled one by one.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from batchpredict import storage
from batchpredict.errors import FAILED_TO_RUN_MODEL, BudgetSpent, OutputRefused, RecordRefused
from batchpredict.formats import Border, Damage, ResultWriter, Rows, Run, Segment, Upcoming, fetching
from batchpredict.ledger import Manifest, PartFile, PredictionSpec, SegmentReport, Staging, worker_name
from batchpredict.models import Model
from batchpredict.scoring.batches import Scorer
from batchpredict.scoring.decode import Decoder
from batchpredict.scoring.errorlog import ErrorLog
from batchpredict.scoring.fields import FieldRule
from batchpredict.scoring.instances import Instances, Regrouper
from batchpredict.scoring.merging import Merging
from batchpredict.scoring.picked import beside
from batchpredict.scoring.place import Place, Range
from batchpredict.scoring.reading import Reading
from batchpredict.scoring.rows import Results
from batchpredict.scoring.task import Task, Unwatched, Watch
from batchpredict.scoring.versions import UnchangedSegments


class SplitPredictor:
    """Scores splits of one job with one loaded model. Used by one thread at a time.

    Args:
      spec: the job.
      staging: where its parts go.
      model: the signature to call.
      load_seconds: what loading it took; reported with the first split.
      watch: who looks on.
      tensorflow: version of TensorFlow, for the manifest.
      clock: seconds since the epoch, for the manifest.

    Raises:
      InvalidJob: the job's fields and the model's outputs cannot stand in one result.
    """

    def __init__(
        self,
        spec: PredictionSpec,
        staging: Staging,
        model: Model,
        *,
        load_seconds: float = 0.0,
        watch: Watch | None = None,
        tensorflow: str = "",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._spec = spec
        self._staging = staging
        self._watch = watch or Unwatched()
        self._tensorflow = tensorflow
        self._clock = clock
        self._load_seconds = load_seconds
        rule = FieldRule(spec.key_field, frozenset(spec.included_fields), frozenset(spec.excluded_fields))
        self._decoder = Decoder(model.signature, rule, text=spec.input.text)
        self._reading = Reading(spec, staging)
        self._scorer = Scorer(
            model, spec.batch_size, on_all_refused=self._all_refused, on_too_large=self._too_large
        )
        self._remarks = list(enumerate(model.signature.remarks))
        self._results = Results(spec, model.signature)

    def __call__(self, task: Task) -> Manifest | None:
        """Score a split and commit it. None if another attempt had committed it first.

        Raises:
          JobFailed: an input cannot be read, the output cannot be written, the model or its device fails, or the
            error budget is spent.
        """
        while self._remarks:
            number, remark = self._remarks.pop(0)
            self._watch.warn(f"signature.{number}", remark)
        return _Attempt(
            self._spec,
            self._staging,
            task,
            self._decoder,
            self._reading,
            self._scorer,
            self._results,
            self._watch,
            self._tensorflow,
        ).run(self._clock, self._take_load_seconds())

    def _take_load_seconds(self) -> float:
        seconds, self._load_seconds = self._load_seconds, 0.0
        return seconds

    def _all_refused(self, message: str) -> None:
        self._watch.warn(
            "all_refused",
            f"the model has refused every record of several batches in a row: {message} "
            "(--max-errors ends such a job early)",
        )

    def _too_large(self, rows: int, fitting: int, message: str) -> None:
        self._watch.warn(
            "too_large",
            f"the device's memory does not hold a whole batch: a call of {rows} records failed, {fitting} fit; "
            f"calls get smaller. {message}",
        )


@dataclass
class _Attempt:
    """One attempt at one split: the state that must not outlive it."""

    spec: PredictionSpec
    staging: Staging
    task: Task
    decode: Decoder
    reading: Reading
    scorer: Scorer
    results: Results
    watch: Watch
    tensorflow: str
    predictions: int = 0
    bytes_read: int = 0
    records_read: int = 0
    crashing: frozenset[Place] = field(default_factory=frozenset)

    def run(self, clock: Callable[[], float], load_seconds: float) -> Manifest | None:
        task, split = self.task, self.task.split.index
        started, began = clock(), time.perf_counter()
        self.scorer.begin(grouping=not task.careful)
        stats = self.scorer.stats
        self.crashing = frozenset(task.crashing)
        self.unchanged = UnchangedSegments()
        self.errors = ErrorLog(self.staging, split, self.spec.key_field)
        kept_results = self.task.split.kept
        self.merging = None if kept_results is None else Merging(kept_results, self.results, self.spec.output)
        name = self.staging.new_part(split, self.spec.output.part_suffix)
        url = self.staging.part(name)
        kept = False
        try:
            with storage.writing_to(url) as file:
                writer = self.results.writer(file if self.merging is None else self.merging.file)
                with fetching(self.reading.fetched(self.task.segments)) as upcoming:
                    segments = self._score(writer, upcoming)
                writer.finish()
                if self.merging is not None:
                    self.predictions += self.merging.write(file)
                size = file.tell()
            errors = self.errors.close()
            self.unchanged.done()
            seconds = time.perf_counter() - began
            manifest = Manifest(
                fingerprint=self.staging.fingerprint,
                split=split,
                forced_start=task.forced_start,
                worker=worker_name(),
                start_time=round(started, 3),
                end_time=round(clock(), 3),
                node_seconds=round(seconds + load_seconds, 6),
                columns=self.results.names,
                results=PartFile(name, size),
                errors=errors,
                segments=tuple(segments),
                predictions=self.predictions,
                error_count=self.errors.count,
                error_stats=self.errors.stats(),
                batch_calls=stats.calls,
                batch_rows=stats.rows,
                batch_min=stats.smallest,
                batch_max=stats.largest,
                call_seconds=round(stats.seconds, 6),
                load_seconds=round(load_seconds, 6),
                tensorflow=self.tensorflow,
            )
            # Should the commit raise, it may have taken effect all the same: then the part must stay.
            kept = True
            kept = self.staging.commit(manifest)
            return manifest if kept else None
        except OSError as error:
            raise OutputRefused(f"outputPath: cannot write to '{self.staging.root}': {error}") from error
        finally:
            self.unchanged.close()
            if self.merging is not None:
                self.merging.close()
            if not kept:
                self._discard(name)

    def _discard(self, name: str) -> None:
        """Delete what this attempt wrote. Where that fails it stays, unused, and hides no other error."""
        for discard in (self.errors.discard, lambda: self.staging.discard(name)):
            with contextlib.suppress(OSError):
                discard()

    def _score(self, writer: ResultWriter, upcoming: Upcoming | None) -> list[SegmentReport]:
        reports = []
        regrouper = Regrouper()
        for number, segment in enumerate(self.task.segments):
            for event in self.reading.events(segment, upcoming, self.unchanged):
                if isinstance(event, Border):
                    reports.append(_report(segment, event))
                    self.bytes_read += segment.end - segment.start
                elif isinstance(event, Damage):
                    self.errors.damaged(segment.path, number, event)
                    self.records_read += event.records
                    self._check_budget()
                else:
                    before = self.records_read
                    regrouper.add(self._decode(number, segment, event, before))
                    self.records_read = before + len(event)
                    for group in self._ready(regrouper):
                        self._score_group(group, writer)
        rest = regrouper.rest()
        if rest is not None:
            self._score_group(rest, writer)
        return reports

    def _ready(self, regrouper: Regrouper) -> Iterator[Instances]:
        """Groups as large as the scorer wants them, which changes from one to the next."""
        while True:
            # While many errors wait for the verdict on records before them, groups are as small as they get: what
            # is held back, and so the order in which it is written, must not depend on how large groups are today.
            size = self.spec.batch_size if self.errors.waiting else self.scorer.group_size
            group = next(regrouper.groups(size), None)
            if group is None:
                return
            yield group

    def _decode(self, number: int, segment: Segment, run: Run | Rows, before: int) -> Instances:
        """The instances of a run, which has `before` records of the split before it."""
        instances, refusals = self.decode(number, run)
        for row in sorted(refusals):
            place = Place(number, run.index_of(row))
            self.errors.refuse(segment.path, place, run, row, refusals[row])
            self.records_read = before + row + 1
            self._check_budget()
        return self._without_crashing(instances) if self.crashing else instances

    def _without_crashing(self, instances: Instances) -> Instances:
        crashing = [row for row in range(instances.count) if instances.place(row) in self.crashing]
        for row in crashing:
            self._refuse(instances, row, RecordRefused(FAILED_TO_RUN_MODEL, self.task.crash_message))
        if not crashing:
            return instances
        return instances.take([row for row in range(instances.count) if row not in crashing])

    def _score_group(self, group: Instances, writer: ResultWriter) -> None:
        last = group.place(group.count - 1)
        if self._rows_in(group, self.task.alone):
            for row in range(group.count):
                self._call(group.cut(row, row + 1), writer)
        else:
            for row in self._rows_in(group, self.task.suspects):
                self._probe(group.cut(row, row + 1))
            self._call(group, writer)
        self.errors.settle(last)
        self._check_budget()
        self.watch.scored(self.predictions, self.errors.count, self._position(group, last), self.errors.first)

    def _rows_in(self, group: Instances, ranges: tuple[Range, ...]) -> list[int]:
        if not ranges:
            return []
        return [row for row in range(group.count) if any(one.holds(group.place(row)) for one in ranges)]

    def _probe(self, lone: Instances) -> None:
        """Call the model with one record to see whether the process survives it.

        The outputs are not kept: in its batch the record may get another last bit.
        """
        self.watch.calling(lone.place(0), lone.place(0))
        with contextlib.suppress(RecordRefused):
            self.scorer.model.call(lone.columns, 1)
        self.watch.called()

    def _call(self, group: Instances, writer: ResultWriter) -> None:
        self.watch.calling(group.place(0), group.place(group.count - 1))
        pieces, refusals = self.scorer.score(group.columns, group.count)
        self.watch.called()
        places = beside(group, self.task.segments, self.spec.beside)
        written, refused = self.results.write(writer, pieces, group, places)
        self.predictions += written
        refused = {**refusals, **refused}
        if self.merging is not None:
            self.merging.note(group, refused)
        for row, reason in sorted(refused.items()):
            self._refuse(group, row, reason)

    def _refuse(self, group: Instances, row: int, refused: RecordRefused) -> None:
        origin, position = group.origin(row)
        place = origin.place(position)
        path = self.task.segments[place.segment].path
        key = group.carried[row].get(self.spec.key_field or "") if group.carried else None
        self.errors.refuse(path, place, origin.run, origin.rows[position], refused, key)

    def _position(self, group: Instances, last: Place) -> int:
        """Bytes of the split that lie behind, near enough for a progress bar."""
        run = group.origins[-1].run
        segment = self.task.segments[last.segment]
        return self.bytes_read + min(max(run.offset - segment.start, 0), segment.end - segment.start)

    def _check_budget(self) -> None:
        limit = self.task.error_limit
        if limit is not None and self.errors.count > limit:
            errors, first = self.errors.count, self.errors.first
            # What did not fail may wait for the model, but it has been read, and the user is told of how many.
            self.watch.scored(self.records_read - errors, errors, self.bytes_read, first, at_once=True)
            raise BudgetSpent(f"{first}")


def _report(segment: Segment, border: Border) -> SegmentReport:
    return SegmentReport(
        segment.path, segment.start, segment.end, segment.size, segment.exact,
        border.begin, border.next, border.records, segment.version,
    )  # fmt: skip
