"""What version 1 of the formats wrote is still read, to the last field."""

from __future__ import annotations

import json
import os
import shutil

import pytest
import support

from batchpredict.errors import StagingDamaged
from batchpredict.ledger.finished import finished_output
from batchpredict.ledger.manifest import Manifest, PartFile, SegmentReport
from batchpredict.ledger.staging import Staging

FINGERPRINT = "fa249684d724e8b3"
INPUT = "memory:///golden/in.json"


@pytest.fixture
def golden(tmp_path) -> Staging:
    """The folder that version 1 published, moved to another place."""
    output = str(tmp_path / "elsewhere")
    shutil.copytree(os.path.join(support.TESTDATA, "golden", "v1", "out"), output)
    return Staging(output, FINGERPRINT)


def test_the_manifest(golden):
    assert support.committed(golden) == [(0, None), (1, None)]
    assert golden.read(0) == Manifest(
        fingerprint=FINGERPRINT,
        split=0,
        forced_start=None,
        worker="worker-1",
        start_time=1795472810.806,
        end_time=1795472810.834,
        node_seconds=1.278004,
        columns=("id", "y"),
        results=PartFile("00000000-8ec9f9964d0f.results.jsonl", 86),
        errors=PartFile("00000000-04f8d3c50f0d.errors.jsonl", 176),
        segments=(SegmentReport(INPUT, 0, 90, 200, False, 0, 105, 6),),
        predictions=5,
        error_count=1,
        error_stats=(("Input mismatch: input x takes one float32, got a string.", 1),),
        batch_calls=2,
        batch_rows=5,
        batch_min=1,
        batch_max=4,
        call_seconds=0.026251,
        load_seconds=1.25,
    )


def test_the_published_output(golden):
    output = finished_output(golden)
    assert output is not None
    assert output.to_wire() == {
        "outputPath": golden.output_path,
        "predictionCount": "10",
        "errorCount": "2",
        "nodeHours": 0.00035621499999999995,
    }
    assert support.results(golden.output_path)[0] == {"id": 0, "y": 1.0}
    assert [error["line"] for error in support.errors(golden.output_path)] == [5, 12]


def test_a_published_output_that_lost_a_file(golden):
    os.remove(os.path.join(golden.output_path, "prediction.results-00001-of-00002"))
    with pytest.raises(StagingDamaged, match=r"prediction\.results-00001-of-00002 is gone"):
        finished_output(golden)


def test_a_manifest_of_a_later_version_is_refused(golden):
    path = os.path.join(golden.manifests, "00000000.json")
    with open(path) as file:
        fields = json.load(file)
    with open(path, "w") as file:
        json.dump({**fields, "format": 2}, file)
    with pytest.raises(StagingDamaged, match="has format 2; this program reads 1"):
        golden.read(0)


def test_nothing_of_the_machine_that_made_it_is_in_it():
    for folder, _, files in os.walk(os.path.join(support.TESTDATA, "golden", "v1")):
        for name in files:
            with open(os.path.join(folder, name), "rb") as file:
                data = file.read()
            assert os.uname().nodename.encode() not in data
            assert b'"/' not in data
