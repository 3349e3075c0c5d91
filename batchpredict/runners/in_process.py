"""One work on this machine, by Beam's in-process FnApiRunner.

The runner is used directly: Beam's own DirectRunner first tries to download and start another one. Beam has a
single bundle thread here; a work that wants to use all cores has processes of its own.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any, Generic

from batchpredict.errors import BatchPredictError, JobFailed
from batchpredict.runners.channel import Channel
from batchpredict.runners.flags import check_known
from batchpredict.runners.log_file import told_by
from batchpredict.runners.pipeline import Launch, Pipeline
from batchpredict.runners.work import Driver, Observer, R, S, Work

# How long a cancelled pipeline may take to notice before it is left to die with the process.
_CANCEL_SECONDS = 3.0


class InProcess:
    """The runner of this process.

    Args:
      beam_flags: further options of the pipeline, as Beam's command line has them.
    """

    name = "DirectRunner"

    def __init__(self, beam_flags: Sequence[str] = ()) -> None:
        self._flags = beam_flags

    def check(self) -> None:
        check_known(self._flags)

    def submit(self, work: Work[S, R], observer: Observer[S]) -> Running[S, R]:
        channel = Channel.in_memory()
        driver = work.here(channel, observer)
        try:
            pipeline = None if driver.done else Pipeline(_launcher(driver, self._flags))
            if pipeline is not None:
                pipeline.start()
            return Running(driver, channel, pipeline)
        except BaseException:
            driver.stop()
            driver.close()
            raise


class Running(Generic[S, R]):
    """A work that is being done in this process, or was done before it was submitted."""

    def __init__(self, driver: Driver[S, R], channel: Channel, pipeline: Pipeline | None) -> None:
        self._driver = driver
        self._channel = channel
        self._pipeline = pipeline

    def ended(self, seconds: float) -> bool:
        if self._pipeline is None:
            return True
        self._pipeline.wait(seconds)
        return not self._pipeline.is_alive()

    def snapshot(self, *, at_once: bool = False) -> S | None:
        return self._driver.snapshot(at_once=at_once)

    def cancel(self) -> str:
        self._channel.stop()
        self._driver.stop()
        if self._pipeline is not None:
            self._pipeline.give_up()
            self._pipeline.wait(_CANCEL_SECONDS)
        return ""

    def output(self) -> R:
        if self._pipeline is not None and self._pipeline.error is not None:
            reason = self._channel.failure() or _explained(self._pipeline.error, self._pipeline.text)
            # What still waits must not be done for a work that has ended.
            self._driver.stop()
            raise reason from self._pipeline.error
        output = self._driver.output()
        if output is None:
            raise JobFailed("The pipeline ended without publishing the results.")
        return output

    def close(self) -> None:
        self._driver.close()
        with contextlib.suppress(OSError):
            self._channel.forget()


def _explained(error: BaseException, text: str) -> BatchPredictError:
    """What an error of Beam's, which says `text`, comes to where no step has given a reason."""
    if isinstance(error, BatchPredictError):
        return error
    return told_by(text) or JobFailed(f"The pipeline failed: {type(error).__name__}: {error}")


def _launcher(driver: Driver[S, R], flags: Sequence[str]) -> Launch:
    """Runs a work's pipeline by Beam in this process, to its end."""

    def launch(last_moment: Any) -> Any:
        import apache_beam as beam
        from apache_beam.options.pipeline_options import PipelineOptions
        from apache_beam.runners.portability.fn_api_runner import FnApiRunner

        options = PipelineOptions(["--direct_num_workers=1", *flags])
        pipeline = beam.Pipeline(runner=FnApiRunner(), options=options)
        driver.expand(pipeline)
        last_moment()
        return pipeline.run()

    return launch
