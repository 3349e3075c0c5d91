"""What a runner carries: one work, of whatever kind.

A work is a job as the runners see it. Each kind of job implements it once, and every runner can carry it then,
without knowing which kind it is. The process that submits a work keeps a `Driver` for it, the pipeline runs
wherever the runner takes it, and between the two there is a `Channel`.

    Work --here/elsewhere--> Driver --expand--> Beam pipeline
                               ^                    |
                               +------ Channel -----+

What the steps of a pipeline owe to whoever waits (`step.Step` does it for them):

* the first one to run says `channel.begin()`;
* one that finds `channel.stopped()` does nothing, so that the pipeline comes to its end;
* one that fails for good says `channel.fail(error)` before it raises; it may be repeated by its runner all the
  same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from batchpredict.runners.channel import Channel

S = TypeVar("S")
S_co = TypeVar("S_co", covariant=True)
S_contra = TypeVar("S_contra", contravariant=True)
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class Observer(Protocol[S_contra]):
    """Whoever watches a work. Warnings come from any thread, the rest from the one that waits for the work.

    `S_contra` is the work's kind of snapshot.
    """

    def progress(self, snapshot: S_contra) -> None:
        """How far the work is."""
        ...

    def warning(self, message: str) -> None:
        """Something that is not as it should be, and does not end the work."""
        ...

    def message(self, text: str, task: str = "") -> None:
        """Something worth knowing. `task`: the process of the work that has written it; "" for the work itself."""
        ...


class Unobserved:
    """An `Observer` that looks away."""

    def progress(self, snapshot: object) -> None:
        del snapshot

    def warning(self, message: str) -> None:
        del message

    def message(self, text: str, task: str = "") -> None:
        del text, task


@dataclass(frozen=True)
class Needs:
    """What a work asks of the machines that it runs on, for runners that can choose them.

    Attributes:
      region: where to run; "" to leave it to the runner.
      max_workers: most workers at a time; None to leave it to the runner.
      machine_type: of each worker; None to leave it to the runner.
      accelerator: type of the accelerators of a worker, as the job has it; None for none.
      accelerator_count: how many of them each worker has.
      labels: of the job.
    """

    region: str = ""
    max_workers: int | None = None
    machine_type: str | None = None
    accelerator: str | None = None
    accelerator_count: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)


class Driver(Protocol[S_co, R_co]):
    """A work that is under way, in the process that submitted it. Used from one thread, `expand` from another.

    Whoever got it calls `close` at the end, whatever happened.
    """

    @property
    def done(self) -> bool:
        """Nothing is left for a pipeline: `output` has the answer already."""
        ...

    def expand(self, pipeline: Any) -> None:
        """Apply the work's transforms to an `apache_beam.Pipeline`. Called once, unless the work is done."""
        ...

    def snapshot(self, *, at_once: bool = False) -> S_co | None:
        """How far the work is; None where that is not known yet.

        Args:
          at_once: as it is now; otherwise it may be what was found a while ago, where looking takes long.

        Raises:
          BatchPredictError, OSError: it cannot be known at this moment; the work goes on.
        """
        ...

    def sign_of_life(self) -> object:
        """Something that changes when the work gets on, as it is now; asked for where its runner is out of sight.

        Raises:
          BatchPredictError, OSError: as `snapshot`.
        """
        ...

    def output(self) -> R_co | None:
        """What the work came to, found from what it has left; None if it has not come to its end.

        Raises:
          BatchPredictError: it had, and what it left is gone or cannot be read.
        """
        ...

    def unrun(self) -> R_co:
        """What to answer for a pipeline that was stored, to be run by others later."""
        ...

    def stop(self) -> None:
        """End at once whatever this process itself runs for the work; what is committed stays."""
        ...

    def close(self) -> None:
        """Let go of whatever this process holds for the work. No process of the work's own outlives this."""
        ...


class Work(Protocol[S_co, R_co]):
    """A job as runners carry it. `S_co` is its kind of snapshot, `R_co` what it comes to.

    A work holds no state: it may be carried by several runners at once, and twice by the same one. What two
    carriages of one work do must not contradict each other; prediction has its manifests for that.
    """

    @property
    def job_id(self) -> str:
        """Name of the job, for people; "" if it has none."""
        ...

    @property
    def needs(self) -> Needs:
        """What it asks of machines."""
        ...

    @property
    def folder(self) -> str:
        """URL of a folder that the driver and all workers reach, for channels; made as it is needed."""
        ...

    def places(self) -> Sequence[tuple[str, str]]:
        """Everything that workers must reach: the field of the job that names it, and its URL."""
        ...

    def here(self, channel: Channel, observer: Observer[S_co]) -> Driver[S_co, R_co]:
        """Begin it for a pipeline that runs in this process.

        What can be known to be wrong is said here, and what takes its time is started (processes, for one) before
        Beam is imported.

        Args:
          channel: between this process and itself.
          observer: told of warnings until the driver is closed, and how far earlier runs had come.

        Raises:
          BatchPredictError: the job cannot succeed, and why.
        """
        ...

    def elsewhere(self, channel: Channel | None, observer: Observer[S_co]) -> Driver[S_co, R_co]:
        """Begin it for a pipeline that runs on other machines. Returns at once, and asks no store for anything.

        Args:
          channel: between this process and the pipeline; None if nobody will wait for it, because it is stored now
            and run by others, any number of times.
          observer: told of warnings until the driver is closed.

        Raises:
          WrongFlag: what was asked for cannot be done each time that a stored pipeline runs.
        """
        ...
