"""The same job as one would write it in Beam: a record is an element.

Read, BatchElements, the model in a DoFn, JSON lines, write; on the runner that ours uses too.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

import apache_beam as beam
import orjson
from apache_beam.coders import BytesCoder
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner


class CallModel(beam.DoFn):  # type: ignore[misc]
    """Batches of records to JSON lines, one element each."""

    def __init__(self, model: str, data_format: str) -> None:
        self._model = model
        self._text = data_format == "TEXT"

    def setup(self) -> None:
        import tensorflow as tf

        self._loaded = tf.saved_model.load(self._model)
        self._signature = self._loaded.signatures["dense" if self._text else "serving_default"]
        self._constant = tf.constant

    def process(self, element: list[bytes]) -> Iterator[bytes]:
        if self._text:
            import numpy as np

            rows = np.array([orjson.loads(line)["x"] for line in element], np.float32)
            outputs = self._signature(x=self._constant(rows))
        else:
            outputs = self._signature(examples=self._constant(element))
        for row in outputs["scores"].numpy().tolist():
            yield orjson.dumps({"scores": row})


def main() -> None:
    """Run the pipeline of `{"pattern", "data_format", "output", "model", "batch", "workers", "mode"}`."""
    order = json.loads(sys.argv[1])
    options = PipelineOptions(
        [f"--direct_num_workers={order['workers']}", f"--direct_running_mode={order['mode']}"]
    )
    pipeline = beam.Pipeline(runner=FnApiRunner(), options=options)
    if order["data_format"] == "TEXT":
        read = beam.io.ReadFromText(order["pattern"], coder=BytesCoder())
    else:
        read = beam.io.ReadFromTFRecord(order["pattern"])
    _ = (
        pipeline
        | read
        | beam.BatchElements(min_batch_size=order["batch"], max_batch_size=order["batch"])
        | beam.ParDo(CallModel(order["model"], order["data_format"]))
        | beam.io.WriteToText(order["output"], coder=BytesCoder())
    )
    pipeline.run().wait_until_finish()
    print(json.dumps({}))
