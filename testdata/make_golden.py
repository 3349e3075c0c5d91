"""Make a golden folder: a published job, as this version of the formats writes it.

    python testdata/make_golden.py v1

A golden folder is made once, when the version of its formats is new, and never again: tests read it to show
that what an earlier version wrote is still understood. The script refuses to replace one.

`VERSION/out` is an output folder with all that a job leaves in it, its plan and manifests under
`_batchpredict`. The job's inputs and outputs were in memory, so no path of any machine is in it.
"""

from __future__ import annotations

import os
import sys
from unittest import mock

import fsspec

from batchpredict.formats import Split
from batchpredict.job import Job
from batchpredict.ledger import PredictionSpec, publish_all
from batchpredict.models.fetch import fetch_model
from batchpredict.models.saved_model import SavedModel
from batchpredict.prediction import Request
from batchpredict.prediction.prepare import prepare
from batchpredict.scoring import hotpath
from batchpredict.scoring.task import Task

HERE = os.path.dirname(os.path.abspath(__file__))

ROWS = [f'{{"id":{number},"x":{number}.5}}' for number in range(12)]
ROWS[4] = '{"id":4,"x":"four"}'
ROWS[11] = "not JSON"

JOB = {
    "jobId": "golden",
    "predictionInput": {
        "uri": os.path.join(HERE, "models", "double"),
        "inputPaths": ["memory://golden/in.json"],
        "outputPath": "memory://golden/out",
        "dataFormat": "TEXT",
        "region": "local",
        "batchSize": "4",
        "splitBytes": "90",
        "instanceConfig": {"keyField": "id"},
    },
}


def main(version: str) -> None:
    target = os.path.join(HERE, "golden", version)
    if os.path.exists(target):
        sys.exit(f"{version} is there; a golden folder is not made twice")
    memory = fsspec.filesystem("memory")
    memory.pipe_file("/golden/in.json", "\n".join(ROWS).encode())
    prepared = prepare(Request(PredictionSpec.of(Job.submitted(JOB))))
    spec, staging = prepared.request.spec, prepared.staging
    predict = hotpath.SplitPredictor(spec, staging, SavedModel(fetch_model(spec.model_uri)), load_seconds=1.25)
    with mock.patch.object(hotpath, "worker_name", return_value="worker-1"):
        for split in prepared.todo():
            predict(Task(split))
    publish_all(spec, staging, prepared.plan, overwrite=False, redo=needless)
    for path in memory.find("/golden/out"):
        file = os.path.join(target, os.path.relpath(path, "/golden"))
        os.makedirs(os.path.dirname(file), exist_ok=True)
        memory.get_file(path, file)


def needless(split: Split, start: int | None) -> None:
    raise AssertionError(f"split {split.index} of text would be read again from {start}")


if __name__ == "__main__":
    main(*sys.argv[1:])
