"""A step of a work's pipeline. Importing this module imports Beam."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import apache_beam as beam

from batchpredict.errors import BatchPredictError, InvalidJob, JobFailed
from batchpredict.runners.channel import Channel


class Step(beam.DoFn):  # type: ignore[misc]
    """What every step owes to whoever waits for its work; see `work`.

    A step that finds that the work has failed fails too, at the beginning of a bundle: runners that retry what
    cannot succeed get to their end sooner. What cannot be asked at this moment is as if nobody had said it, so that
    a bundle which is fine does not fail for that.

    Attributes:
      channel: set by `setup` of the steps themselves; None if nobody waits.
    """

    channel: Channel | None = None

    def start_bundle(self) -> None:
        failure = None
        if self.channel is not None:
            with contextlib.suppress(OSError):
                failure = self.channel.failure()
        if failure is not None and not self.stopped():
            raise _raisable(failure)

    def stopped(self) -> bool:
        """Whether nobody wants the work any more."""
        if self.channel is None:
            return False
        try:
            return self.channel.stopped()
        except OSError:
            # There is a next look, or a next step.
            return False

    def begun(self) -> None:
        """Say that a worker has begun. What is wrong with the channel's folder is said by whoever needs it."""
        if self.channel is not None:
            with contextlib.suppress(OSError):
                self.channel.begin()

    @contextlib.contextmanager
    def reporting(self) -> Iterator[None]:
        """Tell whoever waits why the work failed."""
        try:
            yield
        except BatchPredictError as error:
            if self.channel is not None:
                # Where even that cannot be written, the reason reaches them by the runner's own message.
                with contextlib.suppress(OSError):
                    self.channel.fail(error)
            self.after_failure()
            raise _raisable(error) from error

    def after_failure(self) -> None:
        """Let go of what a step that has failed must not keep."""


def _raisable(error: BatchPredictError) -> BatchPredictError:
    # Beam raises the class of an error again with a text, which is not what an InvalidJob is made of.
    return JobFailed(str(error)) if isinstance(error, InvalidJob) else error
