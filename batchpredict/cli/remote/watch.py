"""Waiting for a job: its progress or its log while it runs, and what it came to."""

from __future__ import annotations

import argparse
import sys
import time
from typing import TYPE_CHECKING, Any

from batchpredict.cli.remote import logs
from batchpredict.cli.remote.connection import Refused, Service, Unreachable
from batchpredict.cli.remote.names import job_name
from batchpredict.cli.remote.patience import Patience
from batchpredict.cli.remote.render import plain, print_resource
from batchpredict.cli.remote.running import command
from batchpredict.launch import FAILED, INTERRUPTED, SUCCEEDED

if TYPE_CHECKING:
    from batchpredict.cli.observers import Reading
    from batchpredict.launch import Reporter
    from batchpredict.ledger import Snapshot

# Seconds between two looks at a job: a twentieth of what was waited so far, so that nobody waits much longer than
# the job takes, and a long one is no burden to the service.
_SHORTEST_LOOK = 0.2
_LONGEST_LOOK = 2.0
_SHARE = 0.05

Job = dict[str, Any]


@command
def wait(service: Service, options: argparse.Namespace) -> int:
    return follow(service, job_name(service, options.job_id), options, with_logs=False)


def follow(service: Service, name: str, options: argparse.Namespace, *, with_logs: bool) -> int:
    """Watch a job to its end, print what it came to, and give the exit status that `predict` would have."""
    job_id = name.rpartition("/")[2]
    try:
        job = _with_logs(service, name, options) if with_logs else _with_progress(service, name, options)
    except KeyboardInterrupt:
        print(
            f"batchpredict {options.command}: stopped waiting; the job goes on. {advice(job_id, 'wait')}, "
            f"'batchpredict jobs cancel {job_id}' ends it.",
            file=sys.stderr,
        )
        return INTERRUPTED
    if job.get("state") == "SUCCEEDED":
        print_resource(job.get("predictionOutput", job.get("trainingOutput", {})), options.format)
        return SUCCEEDED
    verb = "was cancelled" if job.get("state") == "CANCELLED" else "failed"
    message = plain(" ".join(str(job.get("errorMessage", "")).split()))
    print(f"batchpredict {options.command}: the job {verb}{': ' if message else ''}{message}", file=sys.stderr)
    return FAILED


def advice(job_id: str, verb: str) -> str:
    """What to type to see how a job does."""
    does = {"describe": "shows it", "wait": "watches it"}[verb]
    return f"'batchpredict jobs {verb} {job_id}' {does}"


def _with_logs(service: Service, name: str, options: argparse.Namespace) -> Job:
    for line in logs.lines(service, name, options):
        logs.show(line, options)
    return service.get(name)


def _with_progress(service: Service, name: str, options: argparse.Namespace) -> Job:
    from batchpredict.cli.observers import choose

    reporter: Reporter[Any] = choose(_Gauge(), quiet=options.quiet, json_logs=options.json_logs)
    try:
        return _watch(service, name, reporter)
    finally:
        reporter.close()


class _Gauge:
    """Reads the progress off a job of either kind."""

    def __init__(self) -> None:
        from batchpredict.cli.observers import PredictionGauge

        self._of_prediction = PredictionGauge()

    def read(self, job: Job) -> Reading:
        return _training(job) if "trainingInput" in job else self._of_prediction.read(snapshot(job))


def _training(job: Job) -> Reading:
    """How far a training job is."""
    from batchpredict.cli.observers import Reading

    output, progress = job.get("trainingOutput", {}), job.get("progress", {})
    done, total = int(progress.get("done", 0)), int(progress.get("total", 0))
    searching = bool(output.get("isHyperparameterTuningJob"))
    text = f"{done} of {total} {'trials done' if searching else 'replicas up'}"
    trials = output.get("trials", ())
    first = trials[0].get("finalMetric") if trials else None
    if first is not None:
        text += f", best so far {float(first['objectiveValue']):.6g}"
    fields = {"trialsDone" if searching else "replicasUp": done, "trials" if searching else "replicas": total}
    return Reading("searching" if searching else "training", done if searching else 0, total, text, fields)


def _watch(service: Service, name: str, reporter: Reporter[Any]) -> Job:
    patience = Patience(warn=lambda text: reporter.warning(text.removeprefix("warning: ")))
    began, said = time.monotonic(), ""
    while True:
        try:
            job = service.get(name, progress="true")
            patience.met()
        except (Unreachable, Refused) as error:
            patience.lost(error)
        else:
            if job.get("state") in logs.ENDED:
                return job
            if job.get("state") == "RUNNING":
                reporter.progress(job)
            elif (news := logs.where(job)) != said:
                reporter.message(news)
                said = news
        time.sleep(min(max(_SHORTEST_LOOK, (time.monotonic() - began) * _SHARE), _LONGEST_LOOK))


def snapshot(job: Job) -> Snapshot:
    """How far a job is, as those see it who run one themselves."""
    from batchpredict.ledger import Snapshot, Tally

    output, progress = job.get("predictionOutput", {}), job.get("progress", {})
    tally = Tally(
        int(output.get("predictionCount", 0)), int(output.get("errorCount", 0)), int(progress.get("done", 0))
    )
    total, workers = int(progress.get("total", 0)), int(progress.get("workers", 0))
    return Snapshot(tally, Tally(), total, 0, 0, workers)
