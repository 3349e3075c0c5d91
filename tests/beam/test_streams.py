"""Streams: elements that arrive one after the other, in windows, with a model that changes meanwhile."""

from __future__ import annotations

from typing import Any

import apache_beam as beam
import pytest
import support
from apache_beam.ml.inference.base import ModelMetadata, RunInference
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.direct.direct_runner import BundleBasedDirectRunner
from apache_beam.testing.test_stream import TestStream as Stream
from apache_beam.transforms import window
from inference import Collection, plain

from batchpredict.beam import SavedModelHandler

DOUBLE = support.model("double")
SQRT = support.model("refuses_negative")


@pytest.fixture(params=["direct", pytest.param("prism", marks=pytest.mark.prism)])
def streaming(request) -> beam.Pipeline:
    """A pipeline of a runner that knows streams."""
    if request.param == "direct":
        return beam.Pipeline(runner=BundleBasedDirectRunner(), options=PipelineOptions(["--streaming"]))
    return on_prism(request.getfixturevalue("prism_server"))


def on_prism(server: Any) -> beam.Pipeline:
    flags = [f"--job_endpoint={server.endpoint}", "--environment_type=LOOPBACK", "--streaming"]
    return beam.Pipeline(options=PipelineOptions(["--runner=PortableRunner", *flags]))


def windows(results: Any) -> Any:
    """Results with the window that each is in."""
    return results | beam.Map(lambda result, one=beam.DoFn.WindowParam: (int(one.end), result))


def test_records_of_a_stream_are_scored_in_their_windows(streaming):
    stream = (
        Stream(coder=beam.coders.BytesCoder())
        .advance_watermark_to(0)
        .add_elements([window.TimestampedValue(b'{"x": 4}', 1), window.TimestampedValue(b'{"x": 9}', 2)])
        .advance_watermark_to(10)
        .add_elements([window.TimestampedValue(b'{"x": 16}', 11)])
        .add_elements([window.TimestampedValue(b'{"x": -1}', 12), window.TimestampedValue(b"what", 13)])
        .advance_watermark_to_infinity()
    )
    found, failed = Collection(), Collection()
    with streaming as pipeline:
        results, others = (
            pipeline
            | stream
            | beam.WindowInto(window.FixedWindows(10))
            | RunInference(SavedModelHandler(SQRT)).with_exception_handling()
        )
        found.of(windows(results))
        failed.of(others.failed_inferences)
    assert sorted(plain(found.elements), key=str) == [(10, {"y": 2.0}), (10, {"y": 3.0}), (20, {"y": 4.0})]
    assert sorted(batch for batch, _ in failed.elements) == [[b"what"], [b'{"x": -1}']]


# Beam's local runner of streams waits for ever for a side input.
@pytest.mark.prism
def test_a_stream_goes_on_with_the_model_that_its_side_input_names(prism_server):
    stream = (
        Stream(coder=beam.coders.StrUtf8Coder())
        .advance_watermark_to(0)
        .add_elements([window.TimestampedValue(f"model {SQRT}/saved_model.pb", 1)])
        .add_elements([window.TimestampedValue("4", 2), window.TimestampedValue("16", 3)])
        .advance_watermark_to(10)
        .add_elements([window.TimestampedValue(f"model {DOUBLE}", 11), window.TimestampedValue("4", 12)])
        .advance_watermark_to_infinity()
    )
    found = Collection()
    with on_prism(prism_server) as pipeline:
        texts = pipeline | stream | beam.WindowInto(window.FixedWindows(10))
        models = (
            texts
            | "Models" >> beam.Filter(lambda text: text.startswith("model "))
            | beam.Map(lambda text: ModelMetadata(text.partition(" ")[2], "new"))
        )
        elements = texts | "Elements" >> beam.Filter(lambda text: not text.startswith("model "))
        handler = SavedModelHandler(support.model("examples16"))
        found.of(elements | RunInference(handler, model_metadata_pcoll=models))
    said = [(result.model_id, plain(result)) for result in found.elements]
    assert sorted(said, key=str) == [(DOUBLE, {"y": 8.0}), (SQRT, {"y": 2.0}), (SQRT, {"y": 4.0})]
