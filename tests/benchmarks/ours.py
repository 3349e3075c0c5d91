"""One job of ours: as a document, and as a program that runs it."""

from __future__ import annotations

import json
import os
import resource
import sys
from typing import Any

SIGNATURES = {"TF_RECORD": "serving_default", "TEXT": "dense"}


def job(
    data_format: str, inputs: list[str], output: str, model: str, batch: int, *, job_id: str = "benchmark"
) -> dict[str, Any]:
    """The Job resource that scores some files or patterns with one of the two benchmark models."""
    return {
        "jobId": job_id,
        "predictionInput": {
            "dataFormat": data_format,
            "inputPaths": inputs,
            "outputPath": output,
            "region": "local",
            "uri": model,
            "signatureName": SIGNATURES[data_format],
            "batchSize": str(batch),
        },
    }


def pin(cores: int | None) -> None:
    """Keep this process, and all that it will start, on the first few cores. None for all of them."""
    if cores is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])


def main() -> None:
    """Run the job of the argument: `{"job": ..., "workers": n, "cores": n or null}`."""
    order = json.loads(sys.argv[1])
    pin(order["cores"])

    import batchpredict

    output = batchpredict.predict(order["job"], workers=order["workers"])
    # Kibibytes on Linux; of this process, which is the driver, and not of its workers.
    driver = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    said = {"predictions": output.prediction_count, "errors": output.error_count, "driver_bytes": driver}
    print(json.dumps(said))
