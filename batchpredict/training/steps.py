"""The pipeline of a training job. Importing this module imports Beam.

    Create(one) -> Prepare -> offers -> Reshuffle -> Host

Beam has no barrier, and a runner gives no promise which bundles run at a time, on which worker. So a step does not
carry a role: it offers a slot, and whoever runs it takes what role is free (`hosting`). There are many more offers
than roles, as a keyed exchange may give one worker many and another few; an offer that is not needed any more
returns at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import apache_beam as beam

from batchpredict.runners import Channel, Step
from batchpredict.training.early import begun
from batchpredict.training.hosting import host
from batchpredict.training.prepare import PLAN, Prepared, prepare
from batchpredict.training.spec import TrainingSpec

Offer = tuple[int, dict[str, Any]]
"""Its number, and where the job's folder is."""

# Offers for each replica that may be up at a time.
_OFFERS = 30


class _Step(Step):
    def __init__(self, spec: TrainingSpec, channel: str | None) -> None:
        self._spec = spec
        self._channel = channel

    def setup(self) -> None:
        self.channel = None if self._channel is None else Channel(self._channel)


class Prepare(_Step):
    """Anything, once -> the numbers of the offers; none if the job is finished."""

    def process(self, element: int) -> Iterator[Offer]:
        del element
        if self.stopped():
            return
        self.begun()
        with self.reporting():
            document = self._prepared()
            if not document["finished"]:
                for number in range(self._spec.slots * _OFFERS):
                    yield number, document

    def _prepared(self) -> dict[str, Any]:
        """What was prepared before, if a runner repeats this: what --fresh has forgotten it forgets once."""
        told = None if self.channel is None else self.channel.told(PLAN)
        if told is not None:
            return told
        document = prepare(self._spec).to_document()
        if self.channel is not None:
            self.channel.tell(PLAN, document)
        return document


class Host(_Step):
    """An offer -> nothing, when the job is over or nobody wants it any more."""

    def __init__(self, spec: TrainingSpec, channel: str | None, *, away: bool) -> None:
        super().__init__(spec, channel)
        self._away = away

    def process(self, element: Offer) -> None:
        if self.stopped():
            return
        folder = Prepared.of_document(element[1]).folder
        with self.reporting():
            hosting = None if self._away else begun(folder.url)
            if hosting is not None:
                hosting.wait()
            else:
                host(self._spec, folder, lambda: not self.stopped(), away=self._away)


def transforms(pipeline: Any, spec: TrainingSpec, channel: str | None, prepared: Prepared | None) -> None:
    """Apply the steps of a job.

    Args:
      prepared: by this process, which is to host all of it; None for a pipeline that runs on other machines.
    """
    if prepared is not None:
        begun = pipeline | "Job" >> beam.Create([(0, prepared.to_document())])
        _ = begun | "Host" >> beam.ParDo(Host(spec, channel, away=False))
        return
    begun = pipeline | "Job" >> beam.Create([0])
    offers = begun | "Prepare" >> beam.ParDo(Prepare(spec, channel)) | "Spread" >> beam.Reshuffle()
    _ = offers | "Host" >> beam.ParDo(Host(spec, channel, away=True))
