"""What pages show of a watch and its epochs, computed from how they are stored. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from batchpredict.job import DEFAULT_EVERY, DEFAULT_SETTLE, DEFAULT_TRIES, WATCH_LABEL, watch_label
from batchpredict.service.console.values import count, text
from batchpredict.service.console.views import prediction_input
from batchpredict.service.queue.leading import WatchState
from batchpredict.service.store.interface import StoredJob
from batchpredict.service.store.watching import Note, StoredEpoch, StoredWatch

_WARNING = "WARNING"

# Patterns that a list shows of each watch, which may have ten thousand.
_SHOWN_PATTERNS = 2

# "night_epoch_00000012" and, of the next try, "night_epoch_00000012_2".
_EPOCH_JOB = re.compile(r"(.+)_epoch_[0-9]{8,}(?:_[0-9]+)?")


@dataclass(frozen=True)
class WatchView:
    """A watch as a page shows it.

    Attributes:
      patterns: the first of its inputs, and `more` how many there are beside.
      trouble: what is wrong now, or the last warning; "" for none. `since`: of a warning.
      notes: latest first.
      spoken: a sentence that changes seldom, for who listens to the page.
    """

    project: str
    watch_id: str
    state: str
    paused: bool
    patterns: Sequence[str]
    more: int
    epochs: int
    set_aside: int
    message: str
    trouble: str
    since: datetime | None
    notes: Sequence[Note]
    created: datetime
    creator: str
    worker: str
    model: str
    newest: bool
    output_path: str
    every: str
    settle: str
    max_files: int | None
    max_bytes: int | None
    changed: str
    tries: int
    labels: Mapping[str, str]
    webhook: str
    spoken: str


def watch_view(watch: StoredWatch) -> WatchView:
    document, leading = watch.new.document, watch.leading
    source = prediction_input(document)
    patterns = source.get("inputPaths") or source.get("input_paths") or ()
    patterns = [str(one) for one in patterns] if isinstance(patterns, Sequence) else []
    warning = next((one for one in reversed(watch.notes) if one.severity == _WARNING), None)
    paused = leading.state is WatchState.PAUSED
    spoken = f"The watch is {leading.state.value.lower()}: {watch.epochs:,} epochs, {watch.set_aside:,} set aside."
    return WatchView(
        project=watch.project,
        watch_id=watch.watch_id,
        state=leading.state.value,
        paused=paused,
        patterns=patterns[:_SHOWN_PATTERNS],
        more=max(len(patterns) - _SHOWN_PATTERNS, 0),
        epochs=watch.epochs,
        set_aside=watch.set_aside,
        message=leading.message,
        trouble=leading.message or (warning.text if warning else ""),
        since=warning.at if warning and not leading.message else None,
        notes=list(reversed(watch.notes)),
        created=watch.created,
        creator=watch.new.creator,
        worker="" if paused else leading.worker,
        model=text(source, "versionName", "version_name")
        or text(source, "modelName", "model_name")
        or text(source, "uri"),
        newest=document.get("newestVersion") is True,
        output_path=text(source, "outputPath", "output_path"),
        every=text(document, "every") or f"{DEFAULT_EVERY:g}s",
        settle=text(document, "settle") or f"{DEFAULT_SETTLE:g}s",
        max_files=count(document.get("maxFiles")),
        max_bytes=count(document.get("maxBytes")),
        changed=text(document, "changed") or "RESCORE",
        tries=count(document.get("tries")) or DEFAULT_TRIES,
        labels=watch.new.labels,
        webhook=watch.new.webhook,
        spoken=spoken,
    )


@dataclass(frozen=True)
class EpochView:
    """An epoch as a page shows it. `took`: from its begin to its end; None before that."""

    epoch: int
    state: str
    files: int
    bytes: int
    model: str
    job_id: str
    failures: int
    message: str
    begun: datetime | None
    took: timedelta | None


def epoch_view(epoch: StoredEpoch) -> EpochView:
    took = None
    if epoch.begun is not None and epoch.ended is not None:
        took = max(epoch.ended - epoch.begun, timedelta(0))
    return EpochView(
        epoch=epoch.epoch,
        state=epoch.state,
        files=epoch.files,
        bytes=epoch.bytes,
        model=epoch.model,
        job_id=epoch.job_id,
        failures=epoch.failures,
        message=epoch.message,
        begun=epoch.begun,
        took=took,
    )


def watch_of(job: StoredJob) -> str:
    """The id of the watch whose epoch a job does, by its name and its label; "" for a job of nobody's watch.

    The label alone is the id in lower case.
    """
    match = _EPOCH_JOB.fullmatch(job.job_id)
    if match is None or job.new.labels.get(WATCH_LABEL) != watch_label(match[1]):
        return ""
    return match[1]
