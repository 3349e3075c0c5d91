"""The pipeline of `summing`. Importing this module imports Beam."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
from summing import SummingWork, add

from batchpredict import storage
from batchpredict.runners import Channel
from batchpredict.runners.step import Step


class _Step(Step):
    def __init__(self, work: SummingWork, url: str | None) -> None:
        self._work = work
        self._url = url

    def setup(self) -> None:
        self.channel = None if self._url is None else Channel(self._url)


class ListNumbers(_Step):
    """Anything, once -> the numbers that are not added yet."""

    def process(self, element: object) -> Iterator[int]:
        if self.stopped():
            return
        self.begun()
        there = self._work.added()
        yield from (number for number in range(1, self._work.count + 1) if number not in there)


class Add(_Step):
    """A number -> nothing."""

    def process(self, element: int) -> None:
        if self.stopped():
            return
        wanted = iter(lambda: not self.stopped(), None)
        with self.reporting():
            add(self._work, element, wanted)


class Total(_Step):
    """Anything, when all numbers are added -> writes the sum."""

    def process(self, element: object) -> None:
        if self.stopped():
            return
        with self.reporting():
            numbers = self._work.added()
            assert len(numbers) == self._work.count
            storage.replace_bytes(self._work.total_url, json.dumps(sum(numbers)).encode())


def transforms(pipeline: Any, work: SummingWork, channel: Channel | None) -> None:
    job = work, None if channel is None else channel.url
    begun = pipeline | "Begin" >> beam.Create([0])
    numbers = begun | "List" >> beam.ParDo(ListNumbers(*job)) | "Spread" >> beam.Reshuffle()
    added = numbers | "Add" >> beam.ParDo(Add(*job))
    ends = (begun, added) | beam.Flatten() | beam.combiners.Count.Globally()
    _ = ends | "Total" >> beam.ParDo(Total(*job))
