"""The prediction pipeline as a Beam transform. Importing this module imports Beam.

The element is a split, not a record: Beam distributes, retries and scales; what happens to a record is the hot
path's business, in worker processes that know no Beam. Counts come from the manifests; the counters here are
for the runners' own pages, and over-count where a runner retries.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import apache_beam as beam
from apache_beam.transforms.combiners import ToListCombineFn

from batchpredict.job import Job
from batchpredict.prediction.request import Placement, Request
from batchpredict.prediction.steps import (
    Finish,
    ListPages,
    MakePlan,
    PredictSplits,
    Prove,
    PublishPages,
    ReadPlan,
    Settle,
    orders_of,
)


class BatchPredict(beam.PTransform):  # type: ignore[misc]
    """Scores the files of a prediction job and publishes its results.

    Applied to a pipeline (or PBegin); gives a PCollection of one element, the job's PredictionOutput as a dict
    in wire form, once everything is published.

    Args:
      job: a prediction `Job`, or its resolved `Request` for more control; or a picklable function that gives the
        request on the workers, for a pipeline that is made before its job is known: a template.
      overwrite: replace results of another job in the output folder.
      placement: where the pipeline runs, for whoever submits it; by default each step finds that out.
      spread: have the runner spread the splits over its workers. Without, one bundle reads the plan and scores the
        splits as it goes, for a runner that holds what it spreads in memory and has a single worker.

    Example:
      >>> with beam.Pipeline() as pipeline:
      ...     pipeline | BatchPredict(job) | beam.Map(print)
    """

    def __init__(
        self,
        job: Job | Request | Callable[[], Request],
        *,
        overwrite: bool = False,
        placement: Placement | None = None,
        spread: bool = True,
    ) -> None:
        super().__init__()
        self._spread = spread
        self._request = Request.of(job, overwrite=overwrite) if isinstance(job, Job) else job
        self._placement = placement or Placement()
        waited_for = self._placement.channel is not None
        if isinstance(self._request, Request) and self._request.fresh and not waited_for:
            raise ValueError(
                "a runner may repeat any step, so forgetting what was committed is not one: see `prepare`"
            )

    def expand(self, begin: Any) -> Any:
        job = self._request, self._placement
        planned = begin | "Job" >> beam.Create(["job"]) | "Plan" >> beam.ParDo(MakePlan(*job))
        # The pages are read where they are listed: Flink takes what it has rebalanced once for balanced, whatever
        # steps come after it, and would leave all splits of a page where the page is.
        pages = planned | "Pages" >> beam.ParDo(ListPages(*job))
        splits = pages | "ReadPlan" >> beam.ParDo(ReadPlan(*job))
        if self._spread:
            splits = splits | "Distribute" >> beam.Reshuffle()
        scored = splits | "PredictSplit" >> beam.ParDo(PredictSplits(*job))
        proven = (
            _after(planned, scored, "AllCommitted")
            | "CommittedPages" >> beam.ParDo(ListPages(*job))
            | "SpreadProofs" >> beam.Reshuffle()
            | "Prove" >> beam.ParDo(Prove(*job))
        )
        settled = (
            (planned | "IsJob" >> beam.Map(_labelled, "job"), proven | "IsProof" >> beam.Map(_labelled, "proof"))
            | "JobAndProofs" >> beam.Flatten()
            | "AllProven" >> beam.CombineGlobally(ToListCombineFn()).without_defaults()
            | "Settle" >> beam.ParDo(Settle(*job))
        )
        published = (
            settled
            | "Orders" >> beam.FlatMap(orders_of)
            | "SpreadOrders" >> beam.Reshuffle()
            | "PublishPage" >> beam.ParDo(PublishPages(*job))
        )
        return _after(settled, published, "AllPublished") | "Finish" >> beam.ParDo(Finish(*job))


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
