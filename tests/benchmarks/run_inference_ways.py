"""Elements of a pipeline through a SavedModel: by `RunInference` with our handler, and by DoFns that users write.

The pipeline is the same but for one step: elements that lie in memory, the model, a step that counts results.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import apache_beam as beam
import numpy as np
from apache_beam.metrics import Metrics, MetricsFilter
from apache_beam.ml.inference.base import RunInference
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

WIDTH = 16
# Elements that are made; a pipeline gets them again and again.
_DISTINCT = 4096


class Elements(beam.DoFn):  # type: ignore[misc]
    """So many elements of a form."""

    def __init__(self, form: str) -> None:
        self._form = form

    def setup(self) -> None:
        rows = np.random.default_rng(0).standard_normal((_DISTINCT, WIDTH)).astype(np.float32)
        self._elements = list(map(FORMS[self._form], rows))

    def process(self, element: int) -> Iterator[Any]:
        for at in range(element):
            yield self._elements[at % _DISTINCT]


class ByRecord(beam.DoFn):  # type: ignore[misc]
    """What one writes first: the signature for each element."""

    def __init__(self, model: str, form: str) -> None:
        self._model, self._form = model, form

    def setup(self) -> None:
        import tensorflow as tf

        self._loaded = tf.saved_model.load(self._model)
        self._signature = self._loaded.signatures[signature_of(self._form)]
        self._constant = tf.constant

    def call(self, elements: list[Any]) -> Iterator[dict[str, Any]]:
        if self._form == "dicts":
            elements = [element["x"] for element in elements]
        if self._form == "examples":
            outputs = self._signature(examples=self._constant(elements))
        else:
            outputs = self._signature(x=self._constant(np.array(elements, np.float32)))
        found = {name: output.numpy() for name, output in outputs.items()}
        for row in range(len(elements)):
            yield {name: output[row] for name, output in found.items()}

    def process(self, element: Any) -> Iterator[Any]:
        yield from self.call([element])


class ByBatch(ByRecord):
    """The same behind `BatchElements`."""

    def process(self, element: list[Any]) -> Iterator[Any]:
        yield from self.call(element)


def _count(element: Any) -> None:
    del element
    Metrics.counter("bench", "results").inc()


def _example(row: Any) -> bytes:
    from tensorflow.core.example import example_pb2, feature_pb2

    feature = feature_pb2.Feature(float_list=feature_pb2.FloatList(value=row))
    message = example_pb2.Example(features=feature_pb2.Features(feature={"x": feature}))
    return bytes(message.SerializeToString())


FORMS: dict[str, Callable[[Any], Any]] = {
    "rows": lambda row: row,
    "dicts": lambda row: {"x": row.tolist()},
    "examples": _example,
}
"""Elements by the name of their form, of a row of numbers."""


def signature_of(form: str) -> str:
    return "serving_default" if form == "examples" else "dense"


def scored(way: str, model: str, form: str, batch: int) -> beam.PTransform:
    if way == "record":
        return beam.ParDo(ByRecord(model, form))
    if way == "batch":
        batches = beam.BatchElements(min_batch_size=batch, max_batch_size=batch)
        return batches | beam.ParDo(ByBatch(model, form))
    from batchpredict.beam import SavedModelHandler

    handler = SavedModelHandler(model, signature_of(form), min_batch_size=batch, max_batch_size=batch)
    return RunInference(handler)


def main() -> None:
    """Run the pipeline of `{"way", "model", "form", "batch", "records"}`, and print its processor's seconds."""
    order = json.loads(sys.argv[1])
    pipeline = beam.Pipeline(runner=FnApiRunner(), options=PipelineOptions(["--direct_num_workers=1"]))
    _ = (
        pipeline
        | beam.Create([order["records"]], reshuffle=False)
        | beam.ParDo(Elements(order["form"]))
        | scored(order["way"], order["model"], order["form"], order["batch"])
        | beam.Map(_count)
    )
    result = pipeline.run()
    result.wait_until_finish()
    (counted,) = result.metrics().query(MetricsFilter().with_name("results"))["counters"]
    assert counted.result == order["records"], counted.result
    print(json.dumps({"cpu": time.process_time()}))
