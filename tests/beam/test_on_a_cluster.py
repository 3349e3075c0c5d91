"""`RunInference` on workers that are processes of their own: what a handler needs must go there with it."""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
from typing import Any

import apache_beam as beam
import pytest
import support
from apache_beam.ml.inference.base import RunInference
from apache_beam.options.pipeline_options import PipelineOptions

from batchpredict.beam import SavedModelHandler


@pytest.mark.flink
def test_a_cluster_scores_records_and_sets_bad_ones_aside(flink_cluster, tmp_path):
    def keep(line: str, begin: str) -> None:
        # Of the test itself: workers cannot import its module. A file for each line: a bundle may be run again.
        with open(f"{begin}-{hashlib.sha256(line.encode()).hexdigest()}", "w", encoding="utf-8") as file:
            file.write(f"{line}\n")

    _, *flags = (flag.replace("-", "_").replace("__", "--", 1) for flag in flink_cluster.flags)
    options = PipelineOptions(["--runner=PortableRunner", *flags, "--parallelism=2"])
    handler = SavedModelHandler(support.model("refuses_negative"), as_json=True, keyed=True, max_batch_size=4)
    with beam.Pipeline(options=options) as pipeline:
        results, others = (
            pipeline
            | beam.Create([(f"key {number}", number**2 if number % 10 else None) for number in range(40)])
            | RunInference(handler).with_exception_handling()
        )
        told = results | beam.MapTuple(lambda key, result: json.dumps([key, result.inference["y"]]))
        refused = others.failed_inferences | beam.MapTuple(lambda batch, error: json.dumps([batch, error[1]]))
        # A sink of Beam's has shuffles of its own, and two of them more than a small TaskManager has buffers for.
        _ = told | "Found" >> beam.Map(keep, str(tmp_path / "found"))
        _ = refused | "Failed" >> beam.Map(keep, str(tmp_path / "failed"))
    assert sorted(lines(tmp_path, "found")) == sorted([f"key {n}", float(n)] for n in range(40) if n % 10)
    assert sorted(batch for batch, _ in lines(tmp_path, "failed")) == [
        [[f"key {n}", None]] for n in (0, 10, 20, 30)
    ]
    assert all("got null" in reason for _, reason in lines(tmp_path, "failed"))


def lines(folder: pathlib.Path, begins: str) -> list[list[Any]]:
    """The lines of all files whose names begin so, each a JSON list."""
    found: list[list[Any]] = []
    for name in sorted(os.listdir(folder)):
        if name.startswith(begins):
            with open(folder / name, encoding="utf-8") as file:
                found += map(json.loads, file)
    return found
