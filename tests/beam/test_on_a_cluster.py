"""`RunInference` on workers that are processes of their own: what a handler needs must go there with it."""

from __future__ import annotations

import json
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
    def tell(value: Any, name: str) -> None:
        # Both machines of the cluster are this one.
        with open(tmp_path / name, "a", encoding="utf-8") as file:
            file.write(json.dumps(value) + "\n")

    _, *flags = (flag.replace("-", "_").replace("__", "--", 1) for flag in flink_cluster.flags)
    options = PipelineOptions(["--runner=PortableRunner", *flags, "--parallelism=2"])
    handler = SavedModelHandler(support.model("refuses_negative"), as_json=True, keyed=True, max_batch_size=4)
    elements = [(f"key {number}", number**2 if number % 10 else None) for number in range(40)]
    with beam.Pipeline(options=options) as pipeline:
        results, others = (
            pipeline | beam.Create(elements, reshuffle=False) | RunInference(handler).with_exception_handling()
        )
        told = results | beam.MapTuple(lambda key, result: [key, result.inference["y"]])
        _ = told | "Found" >> beam.Map(tell, "found")
        refused = others.failed_inferences | beam.MapTuple(lambda batch, error: [batch, error[1]])
        _ = refused | "Failed" >> beam.Map(tell, "failed")
    assert sorted(lines(tmp_path / "found")) == sorted([f"key {n}", float(n)] for n in range(40) if n % 10)
    failed = lines(tmp_path / "failed")
    assert sorted(batch for batch, _ in failed) == [[[f"key {number}", None]] for number in (0, 10, 20, 30)]
    assert all("got null" in reason for _, reason in failed)


def lines(path: pathlib.Path) -> list[list[Any]]:
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]
