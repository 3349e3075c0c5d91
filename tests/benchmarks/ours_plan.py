"""The plan of a job of ours alone, as a program that makes and stores it."""

from __future__ import annotations

import json
import sys
import time


def main() -> None:
    """Plan the job of the argument, `{"job": ...}`, as a step of a pipeline does."""
    order = json.loads(sys.argv[1])
    from batchpredict.job import Job
    from batchpredict.ledger.plan import make_plan
    from batchpredict.ledger.spec import PredictionSpec
    from batchpredict.ledger.staging import Staging
    from batchpredict.models.fetch import model_digest

    spec = PredictionSpec.of(Job.submitted(order["job"]))
    began = time.perf_counter()
    with make_plan(spec, model_digest(spec.model_uri)) as draft:
        plan = draft.store(Staging(spec.output_path, draft.plan.fingerprint))
    print(json.dumps({"seconds": time.perf_counter() - began, "files": plan.files, "splits": plan.splits}))
