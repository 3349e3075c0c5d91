"""`RunInference` in pipelines of tests, and what came out of them.

Workers are threads of this process, so what a step collects is here when the pipeline has ended. Results are
compared as plain values: an array as a list.
"""

from __future__ import annotations

import functools
import uuid
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import apache_beam as beam
import numpy as np
import support
from apache_beam.ml.inference.base import PredictionResult, RunInference
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from batchpredict.beam import SavedModelHandler
from batchpredict.beam.loaded import LoadedModel

_collected: defaultdict[str, list[Any]] = defaultdict(list)


def _collect(element: Any, place: str) -> None:
    _collected[place].append(element)


class Collection:
    """What reaches some place of a pipeline."""

    def __init__(self) -> None:
        self._place = uuid.uuid4().hex

    def of(self, elements: Any) -> None:
        _ = elements | f"Collect{self._place}" >> beam.Map(_collect, self._place)

    @property
    def elements(self) -> list[Any]:
        return _collected[self._place]


def in_process(*flags: str) -> beam.Pipeline:
    return beam.Pipeline(runner=FnApiRunner(), options=PipelineOptions(["--direct_num_workers=1", *flags]))


def infer(handler: Any, elements: Iterable[Any], **options: Any) -> list[Any]:
    """Results of `RunInference` without exception handling."""
    found = Collection()
    with in_process() as pipeline:
        found.of(pipeline | beam.Create(list(elements), reshuffle=False) | RunInference(handler, **options))
    return found.elements


def infer_apart(handler: Any, elements: Iterable[Any], **handling: Any) -> tuple[list[Any], list[Any]]:
    """Results and failed inferences of `RunInference` with exception handling."""
    found, failed = Collection(), Collection()
    with in_process() as pipeline:
        results, others = (
            pipeline
            | beam.Create(list(elements), reshuffle=False)
            | RunInference(handler).with_exception_handling(**handling)
        )
        found.of(results)
        failed.of(others.failed_inferences)
    return found.elements, failed.elements


def plain(value: Any) -> Any:
    """A value that can be compared."""
    if isinstance(value, PredictionResult):
        return plain(value.inference)
    if isinstance(value, dict):
        return {name: plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(plain, value))
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


@functools.cache
def held(name: str, signature_name: str | None = None) -> LoadedModel:
    """A model of the test data as a worker holds it, loaded once in this process."""
    return SavedModelHandler(support.model(name), signature_name).load_model()


def scored(name: str, elements: Iterable[Any], signature_name: str | None = None, **how: Any) -> list[Any]:
    """Predictions of a batch as plain values, and where there is none the reason's code and message."""
    handler = SavedModelHandler(support.model(name), signature_name, **how)
    model = held(name, signature_name)
    batch = list(elements)
    refused = model.score(batch, as_json=False).refused
    good = [row for row in range(len(batch)) if row not in refused]
    results = dict(zip(good, handler.run_inference([batch[row] for row in good], model), strict=True))
    return [
        f"{refused[row].code}: {refused[row].message}" if row in refused else plain(results[row])
        for row in range(len(batch))
    ]
