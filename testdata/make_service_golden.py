"""Make the golden database of the jobs service: a store in SQLite, as this version's schema keeps it.

    python testdata/make_service_golden.py

It is made once, when a schema is new, and never again: tests read it to show that what an earlier version left is
still understood. The script refuses to replace one. It has a job in every state, and a bit of everything else.
"""

from __future__ import annotations

import os
import sys
from datetime import datetime, timedelta, timezone

from batchpredict.service.queue import Begin, Cancel, Fail, Stop, Succeed
from batchpredict.service.store import (
    NewJob,
    Operation,
    Store,
    StoredModel,
    StoredVersion,
    Visitor,
    Worker,
    open_store,
)
from batchpredict.service.store.schema import HEAD

HERE = os.path.dirname(os.path.abspath(__file__))
PROJECT = "census"
START = datetime(2026, 1, 31, 12, tzinfo=timezone.utc)
LEASE = timedelta(seconds=15)
VISITOR = Visitor(PROJECT, "runs", "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")
DOCUMENT = {
    "predictionInput": {
        "dataFormat": "JSON",
        "inputPaths": ["/data/in/*.json"],
        "outputPath": "/data/out",
        "maxWorkerCount": "9007199254740993",
        "versionName": "projects/census/models/income/versions/v1",
    }
}


def main() -> int:
    path = os.path.join(HERE, "golden", f"service-{HEAD}.db")
    if os.path.exists(path):
        print(f"{path} is there, and is not replaced.", file=sys.stderr)
        return 1
    time = START

    def clock() -> datetime:
        nonlocal time
        time += timedelta(milliseconds=250)
        return time

    store = open_store(path, clock)
    _models(store)
    _jobs(store)
    policy = {"bindings": [{"role": "roles/ml.viewer", "members": ["allUsers"]}]}
    store.set_policy(f"projects/{PROJECT}", policy, None)
    store.report_worker(Worker("machine-1", "machine", 4, 2, START))
    store.close()
    return 0


def _models(store: Store) -> None:
    store.create_model(StoredModel(PROJECT, "income", {"name": "income"}, {"team": "blue"}, "allUsers", START, ""))
    version = StoredVersion(PROJECT, "income", "v1", {"name": "v1", "deploymentUri": "/data/model"}, {}, START, "")
    document = {"name": f"projects/{PROJECT}/operations/create_income_v1", "metadata": {}}
    store.create_version(version, Operation(PROJECT, "create_income_v1", document, False))
    found = {"state": "READY", "uri": "/data/copies/1", "details": {"signatures": ["serving_default"]}}
    store.patch_version(PROJECT, "income", "v1", found, None)
    store.finish_operation(PROJECT, "create_income_v1", response={"name": "v1"})


def _jobs(store: Store) -> None:
    for job_id in ("waits", "runs", "stops", "done", "failed", "cancelled"):
        labels = {"team": "blue", "größe": "é"} if job_id == "done" else {}
        hook = "https://example.org/hook" if job_id == "done" else ""
        store.create_job(
            NewJob(PROJECT, job_id, DOCUMENT, labels, "user:ann@example.org", 4, {"uri": "/data/copies/1"}, hook)
        )
        if job_id != "waits":
            store.claim(PROJECT, job_id, "machine-1", LEASE, 4)
            store.tell(PROJECT, job_id, Begin(1))
    counts = {"predictionCount": "9007199254740993", "errorCount": "2", "nodeHours": 0.25}
    lines = [
        (START, "INFO", "service", "The job begins."),
        (START, "INFO", "master-replica-0", "9007199254740993 ✓"),
    ]
    store.append_log(PROJECT, "done", 1, lines)
    store.tell(PROJECT, "done", Succeed(1), counts, {"done": 10, "total": 10})
    store.tell(PROJECT, "failed", Fail(1, "Input not found: /data/in/*.json"))
    for job_id in ("stops", "cancelled"):
        store.cancel(PROJECT, job_id, Cancel("Cancelled by user:ann@example.org."))
    store.tell(PROJECT, "cancelled", Stop(1))
    store.admit(PROJECT, "runs", 1, VISITOR.digest)
    store.create_document(VISITOR, "f/gang-001", "gang.1.claim.master-0", {"host": "größe"})
    store.put_document(VISITOR, "f/gang-001", "host.a", {"beat": 1}, 0)


if __name__ == "__main__":
    raise SystemExit(main())
