"""Streams: elements that arrive one after the other, in windows, with a model that changes meanwhile."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable
from typing import Any

import apache_beam as beam
import pytest
import support
from apache_beam.ml.inference.base import ModelMetadata, RunInference
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.direct.direct_runner import BundleBasedDirectRunner
from apache_beam.testing.test_stream import TestStream
from apache_beam.transforms import window
from inference import Collection, plain

from batchpredict.beam import SavedModelHandler

DOUBLE = support.model("double")
SQRT = support.model("refuses_negative")

Streaming = Callable[[], beam.Pipeline]


@pytest.fixture(params=["direct", pytest.param("prism", marks=pytest.mark.prism)])
def streaming(request) -> Streaming:
    """Pipelines of a runner that knows streams."""
    if request.param == "direct":
        return lambda: beam.Pipeline(runner=BundleBasedDirectRunner(), options=PipelineOptions(["--streaming"]))
    return of_prism(request.getfixturevalue("prism_server"))


def of_prism(server: Any) -> Streaming:
    flags = [
        "--runner=PortableRunner",
        f"--job_endpoint={server.endpoint}",
        "--environment_type=LOOPBACK",
        "--streaming",
    ]
    return lambda: beam.Pipeline(options=PipelineOptions(flags))


def windows(results: Any) -> Any:
    """Results with the window that each is in."""
    return results | beam.Map(lambda result, one=beam.DoFn.WindowParam: (int(one.end), result))


def test_records_of_a_stream_are_scored_in_their_windows(streaming):
    stream = (
        TestStream(coder=beam.coders.BytesCoder())
        .advance_watermark_to(0)
        .add_elements([window.TimestampedValue(b'{"x": 4}', 1), window.TimestampedValue(b'{"x": 9}', 2)])
        .advance_watermark_to(10)
        .add_elements([window.TimestampedValue(b'{"x": 16}', 11)])
        .add_elements([window.TimestampedValue(b'{"x": -1}', 12), window.TimestampedValue(b"what", 13)])
        .advance_watermark_to_infinity()
    )
    found, failed = Collection(), Collection()
    with streaming() as pipeline:
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
