"""What pages show of a job, computed from how it is stored. Pure functions of the job and the time."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from batchpredict.job import TERMINAL, State
from batchpredict.service.console.values import count, mapping, number, text
from batchpredict.service.store.interface import Change, StoredJob

# Spoken progress changes by so many percent at a time: a screen reader that hears each is no use.
_SPOKEN_STEP = 10


@dataclass(frozen=True)
class JobView:
    """A job as a page shows it.

    Attributes:
      state: its name on the wire; `over` if nothing follows it.
      created, age: when it was created, and how long ago.
      running: how long it has run, or ran; None before it did.
      percent: how much of its input is done, 0 to 100; None if that is not known.
      predictions, errors: records so far; None before the first report.
      node_hours: so far.
      rate: records a second over the whole run; None before anything is known.
      workers: processes that it has, or had; None before it has been given any.
      spoken: a sentence that changes seldom, for who listens to the page.
    """

    project: str
    job_id: str
    state: str
    over: bool
    created: datetime
    age: timedelta
    started: datetime | None
    ended: datetime | None
    running: timedelta | None
    percent: int | None
    predictions: int | None
    errors: int | None
    node_hours: float | None
    rate: float | None
    workers: int | None
    worker: str
    generation: int
    losses: int
    not_before: datetime | None
    position: int | None
    message: str
    creator: str
    model: str
    output_path: str
    labels: Mapping[str, str]
    spoken: str

    @property
    def records(self) -> int | None:
        if self.predictions is None and self.errors is None:
            return None
        return (self.predictions or 0) + (self.errors or 0)

    @property
    def may_be_cancelled(self) -> bool:
        return not self.over and self.state != State.CANCELLING.value


def job_view(job: StoredJob, now: datetime) -> JobView:
    standing = job.standing
    over = standing.state in TERMINAL
    output = job.output or {}
    predictions, errors = count(output.get("predictionCount")), count(output.get("errorCount"))
    running = None
    if standing.start_time is not None:
        running = max((standing.end_time or now) - standing.start_time, timedelta(0))
    percent = _percent(job)
    source = prediction_input(job.new.document)
    lease = standing.lease
    seconds = 0.0 if running is None else running.total_seconds()
    records = (predictions or 0) + (errors or 0)
    return JobView(
        project=job.project,
        job_id=job.job_id,
        state=standing.state.value,
        over=over,
        created=job.created,
        age=max(now - job.created, timedelta(0)),
        started=standing.start_time,
        ended=standing.end_time,
        running=running,
        percent=percent,
        predictions=predictions,
        errors=errors,
        node_hours=number(output.get("nodeHours")),
        rate=records / seconds if records and seconds >= 1 else None,
        workers=count((job.progress or {}).get("workers")) or (None if lease is None else lease.workers),
        worker=lease.worker if lease is not None else "",
        generation=standing.generation,
        losses=standing.losses,
        not_before=standing.not_before,
        position=job.position,
        message=standing.message,
        creator=job.new.creator,
        model=text(source, "versionName", "version_name")
        or text(source, "modelName", "model_name")
        or text(source, "uri"),
        output_path=text(source, "outputPath", "output_path"),
        labels=job.new.labels,
        spoken=_spoken(standing.state, percent, errors),
    )


def prediction_input(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """The predictionInput of a job as it was sent, in either spelling; empty if it has none."""
    return mapping(document, "predictionInput", "prediction_input")


def training_input(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """The trainingInput of a job as it was sent, in either spelling; empty if it has none."""
    return mapping(document, "trainingInput", "training_input")


@dataclass(frozen=True)
class Step:
    """One step of a job's history.

    Attributes:
      lasted: until the next step, or until now in a state that something follows; None in one that nothing does.
      again: the job went back to its queue.
    """

    state: str
    at: datetime
    lasted: timedelta | None
    generation: int
    message: str
    again: bool


def timeline(history: Sequence[Change], now: datetime) -> list[Step]:
    steps = []
    for change, following in zip(history, [*history[1:], None], strict=True):
        lasted = None
        if change.after not in TERMINAL:
            lasted = max((now if following is None else following.at) - change.at, timedelta(0))
        again = change.before is not None and change.after is State.QUEUED
        steps.append(Step(change.after.value, change.at, lasted, change.generation, change.message, again))
    return steps


def json_text(value: Any) -> str:
    """JSON as people read it."""
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


def cut(whole: str, most: int) -> str:
    """The beginning of a text, and how much is left out."""
    return whole if len(whole) <= most else f"{whole[:most]}\n… and {len(whole) - most:,} more characters"


def _percent(job: StoredJob) -> int | None:
    if job.standing.state is State.SUCCEEDED:
        return 100
    asked = training_input(job.new.document)
    if asked and not mapping(asked, "hyperparameters"):
        # What is counted is replicas that are up, of which none is work that is done.
        return None
    progress = job.progress or {}
    done, total = number(progress.get("done")), number(progress.get("total"))
    if done is None or not total:
        return None
    # All read is not all published: a hundred is what has succeeded.
    return min(int(100 * done / total), 99)


def _spoken(state: State, percent: int | None, errors: int | None) -> str:
    said = f"The job is {state.value.lower()}"
    if state in (State.RUNNING, State.CANCELLING) and percent is not None:
        said += f", {percent // _SPOKEN_STEP * _SPOKEN_STEP} percent done"
    if state in TERMINAL and errors:
        said += f", {errors:,} records failed"
    return said + "."
