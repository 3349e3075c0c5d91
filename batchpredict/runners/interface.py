"""What a runner is to whoever wants a job done: it takes it, shows how far it is, and can be told to stop.

The counts, the results and the guarantees are the same on every runner, because they come from the manifests in
the job's output folder. What differs is where the splits are scored, and how one learns that it has ended.
"""

from __future__ import annotations

from typing import Protocol

from batchpredict.job import PredictionOutput
from batchpredict.ledger.progress import Observer, Snapshot
from batchpredict.prediction.request import Request


class Execution(Protocol):
    """A job that a runner has taken. Used from one thread; every method may be called again.

    Whoever got it calls `close` at the end, whatever happened; a job that still runs then is let go, not stopped.
    """

    def ended(self, seconds: float) -> bool:
        """Wait up to `seconds`; whether the job has ended, well or not."""
        ...

    def snapshot(self, *, at_once: bool = False) -> Snapshot | None:
        """How far the job is; None where that is not known yet.

        Args:
          at_once: as it is now; otherwise it may be what was found a while ago, where looking takes long.

        Raises:
          BatchPredictError, OSError: it cannot be known at this moment; the job goes on.
        """
        ...

    def cancel(self) -> str:
        """Stop the job: no split is begun after this, and what the cluster had given to it is free again.

        Takes seconds at most. Committed splits stay, and the same job submitted again goes on from them.

        Returns:
          What became of the job, as a sentence for its user: that it is cancelled, or why that is not certain.
          "" where nothing needs to be said, because all that ran was in this process.
        """
        ...

    def output(self) -> PredictionOutput:
        """What the job came to; called once `ended` is true.

        Raises:
          JobFailed, InvalidJob: why it failed; RunnerFailed if that was not the job's fault.
          JobCancelled: somebody else stopped it.
        """
        ...

    def close(self) -> None:
        """Let go of whatever this process holds for the job."""
        ...


class Runner(Protocol):
    """Takes jobs. Holds its flags and no state of any job."""

    name: str
    """As `--runner` names it."""

    def check(self) -> None:
        """Refuse flags that are wrong before anything else is done.

        Raises:
          UnknownFlag: names the flag.
        """
        ...

    def submit(self, request: Request, observer: Observer) -> Execution:
        """Hand a job over.

        Args:
          request: the job; its `submission` is the runner's to set.
          observer: told of warnings, from any thread, until the execution is closed.

        Raises:
          JobFailed, InvalidJob: the job cannot succeed, as far as can be seen from here.
          RunnerFailed: the runner is not reachable, within 30 s. One that is, and does not take the job, may say so
            only by `output`: handing over takes its time, and `cancel` ends it.
          WrongFlag: a flag that neither Beam nor the runner knows.
        """
        ...
