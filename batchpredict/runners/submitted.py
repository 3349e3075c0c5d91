"""A work that a runner elsewhere has taken, or is taking.

The pipeline does all of the work by itself and reports through its channel, so this needs nothing of the runner but
to hand a pipeline over, to learn that it has ended, and to cancel it.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic

from batchpredict.errors import BatchPredictError, JobCancelled, RunnerFailed
from batchpredict.runners.channel import Channel
from batchpredict.runners.log_file import LogFile, summary_line, told_by
from batchpredict.runners.pipeline import Pipeline
from batchpredict.runners.work import Driver, Observer, R, S

# Whoever cancels waits so long for the pipeline to come to its end by itself, then for the runner to end it.
_DRAIN_SECONDS, _CANCEL_SECONDS = 20.0, 10.0
# The same when the job has failed: its user waits for the reason.
_FAILED_SECONDS = 5.0
# A look at the channel that takes a second is followed by a rest of so many.
_REST = 10.0


@dataclass(frozen=True)
class Cluster:
    """Where a job runs, as far as it matters to whoever waits.

    Attributes:
      name: for sentences: "FlinkRunner at host:8099".
      survives: a job goes on without the server that took it, and maybe when that has called it cancelled.
      loopback: its workers are in this process, so it must have ended before this process does.
      soon: seconds after which it is said that no worker has begun.
      at_all: seconds after which nobody waits for one any more; Flink itself waits five minutes for a free slot.
      patience: seconds after which a job that commits nothing is given up, if its runner is out of sight.
      silent: called when no worker has begun for a while: why none will, if that can be told.
      cancel: ends the job by other means than Beam's; whether that worked. None if there are none.
      release: lets go of what was started for the job.
    """

    name: str
    survives: bool = False
    loopback: bool = False
    soon: float = 25.0
    at_all: float = 330.0
    patience: float = 60.0
    silent: Callable[[], str | None] = lambda: None
    cancel: Callable[[], bool] | None = None
    release: Callable[[], None] = lambda: None
    log: LogFile = field(default_factory=LogFile)


class Submitted(Generic[S, R]):
    """The execution of a work elsewhere.

    Args:
      cluster: where.
      driver: of the work.
      channel: between this process and the pipeline.
      pipeline: hands it over; not started yet.
      observer: told of warnings.
    """

    def __init__(
        self,
        cluster: Cluster,
        driver: Driver[S, R],
        channel: Channel,
        pipeline: Pipeline,
        observer: Observer[S],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cluster = cluster
        self._driver = driver
        self._channel = channel
        self._observer = observer
        self._clock = clock
        self._reason: BatchPredictError | None = None
        self._over = False
        self._stopped = self._certain = False
        self._next_look = 0.0
        self._begun = self._said_silent = False
        self._seen_lost = False
        self._last_sign: tuple[float, object] = (0.0, None)
        self._pipeline = pipeline
        pipeline.start()

    def ended(self, seconds: float) -> bool:
        if self._over:
            return True
        if self._pipeline.is_alive():
            self._pipeline.wait(seconds)
        elif self._pipeline.lost:
            time.sleep(seconds)
        if self._pipeline.is_alive():
            self._look()
        elif self._pipeline.lost and self._cluster.survives:
            self._look_after_lost()
        else:
            self._over = True
        return self._over

    def snapshot(self, *, at_once: bool = False) -> S | None:
        return self._driver.snapshot(at_once=at_once)

    def cancel(self) -> str:
        if self._over and not self._pipeline.is_alive():
            return ""
        if self._stop(_DRAIN_SECONDS):
            return f"the job on {self._cluster.name} is cancelled" if self._pipeline.handed_over else ""
        if not self._pipeline.handed_over:
            return (
                f"the job was being handed to {self._cluster.name}, which has not answered yet; "
                "if it begins there, it ends at once"
            )
        return (
            f"the job on {self._cluster.name} was told to stop and has not said that it did; "
            "workers that still run begin no further split"
        )

    def output(self) -> R:
        reason = self._reason or self._failure()
        if reason is not None:
            raise reason
        if self._pipeline.error is not None and not self._pipeline.lost:
            raise self._explain(self._pipeline.error)
        output = self._driver.output()
        if output is not None:
            self._cluster.log.remove()
            return output
        if self._pipeline.lost:
            raise RunnerFailed(
                f"The connection to {self._cluster.name} is lost, and nothing has been committed for a while; run "
                "the same command again to go on from what is committed."
            )
        raise RunnerFailed(
            f"The pipeline ended on {self._cluster.name} ({self._pipeline.state}) without publishing the results."
        )

    def close(self) -> None:
        ended = not self._pipeline.is_alive() and not self._pipeline.lost
        if self._certain if self._stopped else ended:
            with contextlib.suppress(OSError):
                self._channel.forget()
        self._driver.close()
        self._cluster.release()

    def _look(self) -> None:
        """See whether the job has failed, or does not begin."""
        now = self._clock()
        if now < self._next_look:
            return
        self._reason = self._failure()
        waited = now - (self._pipeline.handed_over_at or now)
        if self._reason is None and not self._begun and waited > self._cluster.soon:
            self._reason = self._not_begun(waited)
        if self._reason is not None:
            self._stop(_DRAIN_SECONDS if self._cluster.loopback else _FAILED_SECONDS)
            self._over = True
        self._rest_after(now)

    def _rest_after(self, began: float) -> None:
        """Look seldom where a look takes long."""
        ended = self._clock()
        self._next_look = ended + (ended - began) * _REST

    def _not_begun(self, waited: float) -> RunnerFailed | None:
        with contextlib.suppress(OSError):
            self._begun = self._channel.begun()
        if self._begun:
            return None
        why = self._cluster.silent()
        if why is not None or waited > self._cluster.at_all:
            return RunnerFailed(
                f"No worker has begun on {self._cluster.name} for {waited:.0f} s: "
                f"{why or 'it has no free slot, or its workers do not start'}."
            )
        if not self._said_silent:
            self._said_silent = True
            self._observer.warning(
                f"no worker has begun for {waited:.0f} s; {self._cluster.name} may have no free slot, or its "
                "workers do not start (see --environment_type); waiting"
            )
        return None

    def _look_after_lost(self) -> None:
        """Without the server, what the work leaves behind tells how it goes on, if it does."""
        now = self._clock()
        if not self._seen_lost:
            self._seen_lost = True
            self._last_sign = (now, None)
            self._observer.warning(
                f"the connection to {self._cluster.name} is lost; its cluster may go on with the job, so the "
                "output folder is watched"
            )
        elif now < self._next_look:
            return
        self._reason = self._failure()
        with contextlib.suppress(BatchPredictError, OSError):
            if self._driver.output() is not None:
                self._over = True
                return
            sign = self._driver.sign_of_life()
            if sign != self._last_sign[1]:
                self._last_sign = (now, sign)
        # Judged right after a look, so that a long rest between two looks is not taken for silence.
        if self._reason is not None or now - self._last_sign[0] > self._cluster.patience:
            self._over = True
        self._rest_after(now)

    def _stop(self, seconds: float) -> bool:
        """Have the pipeline come to its end; whether it is certain that it has.

        Where it is not, the wish to stop stays in the channel for whatever may still run.
        """
        self._stopped = True
        self._certain = self._drain(seconds)
        return self._certain

    def _drain(self, seconds: float) -> bool:
        if not self._pipeline.is_alive() and not self._pipeline.lost:
            return True
        self._pipeline.give_up()
        with contextlib.suppress(OSError):
            self._channel.stop()
        end = self._clock() + seconds
        if self._cluster.cancel is not None and self._cluster.cancel():
            # The job server may or may not hear of it.
            self._pipeline.wait(max(end - self._clock(), 1))
            return True
        self._pipeline.wait(max(end - self._clock(), 1))
        if self._pipeline.lost:
            return False
        if self._pipeline.is_alive():
            self._pipeline.cancel(_CANCEL_SECONDS)
            return not self._cluster.survives and not self._pipeline.is_alive()
        return True

    def _failure(self) -> BatchPredictError | None:
        with contextlib.suppress(OSError):
            return self._channel.failure()
        return None

    def _explain(self, error: BaseException) -> BaseException:
        """The sentence that an error of the runner comes to; the rest goes to the log file."""
        if isinstance(error, BatchPredictError):
            return error
        text = self._pipeline.text
        ours = told_by(text)
        if ours is not None:
            return ours
        if self._pipeline.state == "CANCELLED":
            return JobCancelled(f"The job was cancelled on {self._cluster.name}.")
        self._cluster.log.write_error(error)
        what = "The pipeline failed on" if self._pipeline.handed_over else "The job is not taken by"
        return RunnerFailed(
            f"{what} {self._cluster.name}: {summary_line(text)}; all that it said is in {self._cluster.log.path}"
        )
