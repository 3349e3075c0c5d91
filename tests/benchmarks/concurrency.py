"""The hot path alone, shared by processes or by threads: what the choice of processes is worth."""

from __future__ import annotations

import json
import multiprocessing
import queue
import sys
import threading
import time
from typing import Any

from ours import pin


def main() -> None:
    """Score the splits of a job in `{"job", "workers", "cores", "kind"}`; kind is "processes" or "threads".

    Each worker has loaded its model before the clock starts, and has every n-th split.
    """
    order = json.loads(sys.argv[1])
    pin(order["cores"])
    from batchpredict.job import Job
    from batchpredict.ledger.plan import make_plan
    from batchpredict.ledger.spec import PredictionSpec
    from batchpredict.models.fetch import model_digest
    from batchpredict.workers.protocol import Setup

    spec = PredictionSpec.of(Job.submitted(order["job"]))
    with make_plan(spec, model_digest(spec.model_uri)) as draft:
        plan, splits = draft.plan, list(draft.splits())
    setup = Setup(spec.to_json(), plan.fingerprint, 1)
    workers = order["workers"]
    ready: Any
    times: Any
    start: Any
    if order["kind"] == "processes":
        context = multiprocessing.get_context("spawn")
        ready, times, start = context.Barrier(workers), context.Queue(), context.Process
    else:
        ready, times, start = threading.Barrier(workers), queue.Queue(), threading.Thread
    for number in range(workers):
        start(target=_score, args=(setup, splits[number::workers], ready, times), daemon=True).start()
    spans = [times.get(timeout=500) for _ in range(workers)]
    seconds = max(end for _, end, _ in spans) - min(begin for begin, _, _ in spans)
    print(json.dumps({"predictions": sum(count for _, _, count in spans), "seconds": seconds}))


def _score(setup: Any, splits: list[Any], ready: Any, times: Any) -> None:
    from batchpredict.scoring.task import Task
    from batchpredict.workers.worker import load

    predictor = load(setup)
    ready.wait()
    begin = time.time()
    manifests = [predictor(Task(split)) for split in splits]
    times.put((begin, time.time(), sum(manifest.predictions for manifest in manifests if manifest)))
