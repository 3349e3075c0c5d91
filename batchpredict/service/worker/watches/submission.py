"""The job of an epoch: which model it is scored with, what it is called, and that there is one of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from batchpredict import storage
from batchpredict.errors import ModelUnusable, RunnerFailed
from batchpredict.job import WATCH_LABEL, Watch, watch_label
from batchpredict.ledger import most_splits
from batchpredict.service.registry.errors import ResourceInUse, ResourceMissing
from batchpredict.service.registry.pinning import Pinned, version_now
from batchpredict.service.store.interface import Exists, NewJob, Store, StoredJob
from batchpredict.service.store.watching import StoredWatch
from batchpredict.service.worker.watches.protocol import Submit

# Jobs of one epoch: tries, and such as have the name for another reason.
_MOST_NAMES = 1000
# In the place of the name of a version whose copy is still to be scored with.
_DELETED = "a version that was deleted"


def model_of(store: Store, asked: Watch) -> Pinned:
    """What the name of a watch's model means now. Raises ModelUnusable."""
    try:
        return version_now(asked.prediction_input, store)
    except (ResourceMissing, ResourceInUse) as error:
        raise ModelUnusable(str(error)) from error


def epoch_job(store: Store, watch: StoredWatch, asked: Watch, epoch: Submit) -> NewJob:
    """The job of an epoch, under the first of its names."""
    source = asked.prediction_input
    by_name = not (source.uri or "").strip()
    version = store.version_of(epoch.model) if by_name else ""
    model = {"versionName": version} if version else {"uri": epoch.model}
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
        **({"version": version or _DELETED} if by_name else {}),
        **({"overwrite": True} if epoch.overwrite else {}),
        **({"fresh": True} if epoch.fresh else {}),
    }
    remote = not storage.is_local(str(watch.new.pinned["inputPaths"][0]))
    workers = min(source.effective_max_worker_count, most_splits(epoch.bytes, source.split_bytes, remote=remote))
    return NewJob(
        project=watch.project,
        job_id=job_id,
        document=document,
        labels={**watch.new.labels, WATCH_LABEL: watch_label(watch.watch_id)},
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
        # The id of a watch is short enough for this to be one of a job.
        job_id = new.job_id if number == 1 else f"{new.job_id}_{number}"
        one = replace(new, job_id=job_id, document={**new.document, "jobId": job_id})
        try:
            return store.create_job(one)
        except Exists:
            found = store.job(new.project, job_id)
        if not found.standing.end_time and found.new.pinned.get("inputList") == new.pinned["inputList"]:
            return found
    raise RunnerFailed(f"No name is free for a job of the watch {watch.watch_id}: {new.job_id} and those after it.")
