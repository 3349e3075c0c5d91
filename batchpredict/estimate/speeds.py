"""From what workers of this machine have measured to their speed, and from their speeds to the time of a job."""

from __future__ import annotations

from collections.abc import Sequence

from batchpredict.estimate.amounts import Amounts
from batchpredict.estimate.ranges import Range, ratio
from batchpredict.estimate.report import Forecast, Speed, Wishes
from batchpredict.estimate.sampled import Measured, Stages
from batchpredict.estimate.schedule import makespan, split_seconds
from batchpredict.workers import cores

# Pools whose speed is measured; each takes its seconds.
_MOST_POOLS = 3
# Processes of a pool at most: beyond it, more of a machine's cores differ little, and each takes half a gigabyte.
_MOST_PROCESSES = 16
# The same work takes a tenth more or less from one minute to the next, however much of it is measured in one.
_SCATTER = 0.1
# Python's start, the building of the pipeline, and the end of everything, in a job of no records
# (docs/planning.md).
DRIVER_SECONDS = 1.5


def pools(asked: Sequence[int], splits: int) -> list[int]:
    """Which numbers of processes to measure on this machine, the largest first.

    Args:
      asked: counts of workers that are wanted.
      splits: of the job; a worker without a split is none.
    """
    most = min(cores(), _MOST_PROCESSES)
    wanted = sorted({min(count, splits, most) for count in asked}, reverse=True)
    if len(wanted) > _MOST_POOLS:
        return [wanted[0], wanted[len(wanted) // 2], wanted[-1]]
    return wanted


def nearest(speeds: Sequence[Speed], used: int) -> Speed:
    """The speed of the largest pool of at most `used` workers, else of the smallest one."""
    smaller = [speed for speed in speeds if speed.processes <= used]
    if smaller:
        return max(smaller, key=lambda speed: speed.processes)
    return min(speeds, key=lambda speed: speed.processes)


def speed_of(
    amounts: Amounts, processes: int, warm_up: Sequence[Measured], measured: Sequence[Measured]
) -> Speed | None:
    """The speed of a pool; None if nothing was read.

    Args:
      amounts: of the job's files.
      processes: of the pool.
      warm_up: of each of its processes, the first batch.
      measured: what they did afterwards.
    """
    read = [(one, sum(map(amounts.bytes_of, one.spans))) for one in measured]
    read = [(one, size) for one, size in read if size and one.records]
    if not read:
        return None
    stages = sum((one.stages for one, _ in read), Stages())
    waited = stages.waited / stages.loop
    per_byte = ratio([(one.stages.loop, size) for one, size in read], floor=max(_SCATTER, waited))
    return Speed(
        processes=processes,
        threads=max(1, cores() // processes),
        records=sum(one.records for one, _ in read),
        bytes=sum(size for _, size in read),
        seconds_per_byte=per_byte,
        output_ratio=ratio([(float(one.results.bytes), size) for one, size in read]),
        stages=stages,
        commit_seconds=stages.commit / len(read),
        load_seconds=sum(one.load_seconds + one.stages.loop for one in warm_up) / max(len(warm_up), 1),
        peak_bytes=max(one.peak_bytes for one, _ in read),
    )


def forecast(
    workers: int,
    sizes: Sequence[int],
    speeds: Sequence[Speed],
    *,
    start_seconds: float,
    publish_seconds: float,
    wishes: Wishes,
) -> Forecast:
    """The job with so many workers.

    Args:
      workers: how many.
      sizes: bytes of its splits, in order.
      speeds: of workers of this machine; none if the job has no records.
      start_seconds, publish_seconds: what comes before and after the splits.
      wishes: for the price.
    """
    used = max(min(workers, len(sizes)), 1)
    if not speeds:
        elapsed, node_hours, measured = Range.exactly(start_seconds + publish_seconds), Range.exactly(0.0), used
    else:
        speed = nearest(speeds, used)
        measured = speed.processes
        per_byte = speed.seconds_per_byte
        each = [
            split_seconds(sizes, seconds, speed.commit_seconds)
            for seconds in (per_byte.estimate, per_byte.low, per_byte.high)
        ]
        elapsed = Range(*(start_seconds + makespan(one, used) + publish_seconds for one in each))
        node_hours = Range(*((sum(one) + used * speed.load_seconds) / 3600 for one in each))
    price = wishes.price_per_node_hour
    return Forecast(
        workers, used, measured, elapsed, node_hours, None if price is None else node_hours.times(price)
    )
