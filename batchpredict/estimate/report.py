"""What a job would be, as far as it can be told without running it: the values that an estimate consists of."""

from __future__ import annotations

from dataclasses import dataclass

from batchpredict.estimate.amounts import Records
from batchpredict.estimate.batch_sizes import BatchSizes
from batchpredict.estimate.failures import Kind
from batchpredict.estimate.folder import Folder
from batchpredict.estimate.ranges import Range
from batchpredict.estimate.sampled import Stages
from batchpredict.ledger import Plan, PredictionSpec
from batchpredict.models import TensorSpec


@dataclass(frozen=True)
class Wishes:
    """What the user of an estimate wants to know.

    Attributes:
      sample: records that are looked at for errors and sizes.
      workers: counts of workers for which time and cost are estimated; none for the one that `predict` would take.
      default_workers: that one, before it is known how many splits there are.
      price_per_node_hour: in whatever currency; None for no cost.
      overwrite, fresh: as the job would be run.
    """

    sample: int = 2000
    workers: tuple[int, ...] = ()
    default_workers: int = 1
    price_per_node_hour: float | None = None
    overwrite: bool = False
    fresh: bool = False


@dataclass(frozen=True)
class Sample:
    """Records from all over the job, scored as the job would.

    Attributes:
      records, places: how many, and at how many places.
      scored: these, and what was scored to measure the speed.
      errors: of all that was scored, what failed.
      share: of the job's records that fail.
      kinds: what fails, and why.
      verdict: on the job's error budget; "" if it has none.
      cut_short: the time was over before all places were done.
    """

    records: int
    places: int
    scored: int
    errors: int
    share: Range
    kinds: tuple[Kind, ...]
    verdict: str
    cut_short: bool


@dataclass(frozen=True)
class Speed:
    """Workers of this machine at work, each on its splits, all at the same time.

    Attributes:
      processes: how many.
      threads: of TensorFlow for each of them.
      records, bytes: scored and read by all of them together.
      seconds_per_byte: what a worker takes for a byte of input, the commit of splits not counted.
      output_ratio: bytes of results for each byte of input.
      stages: where the time of all of them went.
      commit_seconds: of a worker, for each split.
      load_seconds: of a worker, to load the model and to call it for the first time.
      peak_bytes: peak of the resident memory of the largest of them.
    """

    processes: int
    threads: int
    records: int
    bytes: float
    seconds_per_byte: Range
    output_ratio: Range
    stages: Stages
    commit_seconds: float
    load_seconds: float
    peak_bytes: int

    @property
    def rate(self) -> float:
        """Records per second of one worker."""
        return self.records / self.stages.loop


@dataclass(frozen=True)
class Forecast:
    """The job with so many workers.

    Attributes:
      workers: as asked for.
      used: of them that get a split.
      measured: workers of this machine whose speed was measured for it; as many as are used, or the nearest number.
      elapsed_seconds: from the start of the command to its end.
      node_hours: as the job would count them: what workers spend on splits and on loading the model.
      cost: of these; None without a price.
    """

    workers: int
    used: int
    measured: int
    elapsed_seconds: Range
    node_hours: Range
    cost: Range | None


@dataclass(frozen=True)
class Estimate:
    """What a job would be.

    Attributes:
      spec, plan: the job and its plan, which is not stored.
      folder: its output folder, as it is.
      records: how many it has.
      sample: what was looked at; None if the job has no bytes.
      outputs: outputs of the model.
      carried: fields that come back on a prediction, before its outputs.
      output_bytes: of all its results; None if nothing is known of them.
      speeds: of workers of this machine, by their number, the largest first.
      batch_sizes: other batch sizes; None if the model has its own, for `no_batch_sizes`.
      start_seconds: until all workers are at work.
      publish_seconds: from the last commit to the end.
      forecasts: by number of workers, as asked for.
      seconds: what it took to find all this out.
    """

    spec: PredictionSpec
    plan: Plan
    folder: Folder
    records: Records
    sample: Sample | None
    outputs: tuple[TensorSpec, ...]
    carried: tuple[str, ...]
    output_bytes: Range | None
    speeds: tuple[Speed, ...]
    batch_sizes: BatchSizes | None
    no_batch_sizes: str
    start_seconds: float
    publish_seconds: float
    forecasts: tuple[Forecast, ...]
    seconds: float
