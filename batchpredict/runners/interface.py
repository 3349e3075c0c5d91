"""What a runner is to whoever wants a work done: it takes it, shows how far it is, and can be told to stop.

What a work comes to is the same on every runner, because it follows from what the work leaves in its folders. What
differs is where its steps run, and how one learns that they have ended.
"""

from __future__ import annotations

from typing import Protocol

from batchpredict.runners.work import Observer, R, R_co, S, S_co, Work


class Execution(Protocol[S_co, R_co]):
    """A work that a runner has taken. Used from one thread; every method may be called again.

    Whoever got it calls `close` at the end, whatever happened; a work that still runs then is let go, not stopped.
    """

    def ended(self, seconds: float) -> bool:
        """Wait up to `seconds`; whether the work has ended, well or not."""
        ...

    def snapshot(self, *, at_once: bool = False) -> S_co | None:
        """How far the work is; see `Driver.snapshot`."""
        ...

    def cancel(self) -> str:
        """Stop the work: nothing of it is begun after this, and what the cluster had given to it is free again.

        Takes seconds at most. What is committed stays, and the same work submitted again goes on from there.

        Returns:
          What became of the work, as a sentence for its user: that it is cancelled, or why that is not certain.
          "" where nothing needs to be said, because all that ran was in this process.
        """
        ...

    def output(self) -> R_co:
        """What the work came to; called once `ended` is true.

        Raises:
          JobFailed, InvalidJob: why it failed; RunnerFailed if that was not the job's fault.
          JobCancelled: somebody else stopped it.
        """
        ...

    def close(self) -> None:
        """Let go of whatever this process holds for the work."""
        ...


class Runner(Protocol):
    """Takes works. Holds its flags and no state of any work."""

    name: str
    """As `--runner` names it."""

    def check(self) -> None:
        """Refuse flags that are wrong before anything else is done.

        Raises:
          WrongFlag: names the flag.
        """
        ...

    def submit(self, work: Work[S, R], observer: Observer[S]) -> Execution[S, R]:
        """Hand a work over.

        Args:
          work: of any kind.
          observer: told of warnings, from any thread, until the execution is closed.

        Raises:
          JobFailed, InvalidJob: the job cannot succeed, as far as can be seen from here.
          RunnerFailed: the runner is not reachable, within 30 s. One that is, and does not take the work, may say
            so only by `output`: handing over takes its time, and `cancel` ends it.
          WrongFlag: a flag that neither Beam nor the runner knows.
        """
        ...
