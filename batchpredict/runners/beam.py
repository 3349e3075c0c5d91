"""One work as a pipeline on any runner that Beam knows by name, through Beam's own client of that runner."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from batchpredict.runners.channel import Channel
from batchpredict.runners.pipeline import Pipeline
from batchpredict.runners.submitted import Cluster, Submitted
from batchpredict.runners.work import Driver, Observer, R, S, Work


class BeamRunner:
    """Any runner that Beam knows by name.

    Args:
      name: of the runner, as Beam's `--runner` takes it.
      beam_flags: options of the pipeline, as Beam's command line has them, without `--runner`.
    """

    def __init__(self, name: str, beam_flags: Sequence[str] = ()) -> None:
        self.name = name
        self._flags = [f"--runner={name}", *beam_flags]

    def check(self) -> None:
        """Nothing: a runner elsewhere has flags that only its own job service knows."""

    def submit(self, work: Work[S, R], observer: Observer[S]) -> Submitted[S, R]:
        channel = Channel.new(work.folder)
        driver = work.elsewhere(channel)

        def launch(last_moment: Callable[[], None]) -> Any:
            return hand_over(driver, self._flags, last_moment)

        return Submitted(Cluster(self.name), driver, channel, Pipeline(launch), observer)


def hand_over(driver: Driver[S, R], flags: Sequence[str], last_moment: Callable[[], None]) -> Any:
    """Give a work's pipeline to the runner that the flags name; Beam's PipelineResult."""
    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions

    pipeline = beam.Pipeline(options=PipelineOptions(list(flags)))
    driver.expand(pipeline)
    last_moment()
    return pipeline.run()
