"""The job of an epoch: which model it is scored with, what it is called, and that there is one of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from batchpredict import storage
from batchpredict.errors import ModelUnusable, RunnerFailed
from batchpredict.job import WATCH_LABEL, Watch
from batchpredict.ledger import most_splits
from batchpredict.resources import MAX_ID_LENGTH
from batchpredict.service.registry.errors import ResourceInUse, ResourceMissing
from batchpredict.service.registry.pinning import Pinned, version_now
from batchpredict.service.store.interface import Exists, NewJob, Store, StoredJob
from batchpredict.service.store.watching import StoredWatch
from batchpredict.service.worker.watches.protocol import Submit

# Jobs of one epoch: tries, and such as have the name for another reason.
_MOST_NAMES = 1000


def model_of(store: Store, asked: Watch) -> Pinned:
    """What the name of a watch's model means now. Raises ModelUnusable."""
    try:
        return version_now(asked.prediction_input, store)
    except (ResourceMissing, ResourceInUse) as error:
        raise ModelUnusable(str(error)) from error


def epoch_job(store: Store, watch: StoredWatch, asked: Watch, epoch: Submit) -> NewJob:
    """The job of an epoch, under the first of its names."""
    source = asked.prediction_input
    version = ""
    model = {"uri": epoch.model}
    if not (source.uri or "").strip():
        version = store.version_of(epoch.model) or "a version that was deleted"
        model = {"versionName": version} if version.startswith("projects/") else model
    job_id = f"{watch.watch_id}_epoch_{epoch.epoch:08d}"
    document = {
        "jobId": job_id,
        "predictionInput": {**epoch.source, **model, "outputPath": epoch.output_path},
    }
    pinned: dict[str, Any] = {
        "uri": epoch.model,
        "inputPaths": list(watch.new.pinned["inputPaths"]),
        "outputPath": epoch.output_path,
        "inputList": epoch.input_list,
        **({"version": version} if version else {}),
        **({"overwrite": True} if epoch.overwrite else {}),
        **({"fresh": True} if epoch.fresh else {}),
    }
    remote = not storage.is_local(str(watch.new.pinned["inputPaths"][0]))
    workers = min(source.effective_max_worker_count, most_splits(epoch.bytes, source.split_bytes, remote=remote))
    return NewJob(
        project=watch.project,
        job_id=job_id,
        document=document,
        labels={**watch.new.labels, WATCH_LABEL: watch.watch_id.lower()[:63]},
        creator=watch.new.creator,
        workers=workers,
        pinned=pinned,
        webhook=watch.new.webhook,
    )


def submit(store: Store, new: NewJob, watch: StoredWatch) -> StoredJob:
    """Create the job of an epoch, or find the one that an earlier leader has created and that goes on.

    A try that has ended keeps its name; the next one has a number behind it.

    Raises:
      RunnerFailed: no name is free.
      QueueFull, StoreFailed.
    """
    for number in range(1, _MOST_NAMES):
        tail = "" if number == 1 else f"_{number}"
        job_id = new.job_id[: MAX_ID_LENGTH - len(tail)] + tail
        one = replace(new, job_id=job_id, document={**new.document, "jobId": job_id})
        try:
            return store.create_job(one)
        except Exists:
            found = store.job(new.project, job_id)
        if not found.standing.end_time and found.new.pinned.get("inputList") == new.pinned["inputList"]:
            return found
    raise RunnerFailed(f"No name is free for a job of the watch {watch.watch_id}: {new.job_id} and those after it.")
