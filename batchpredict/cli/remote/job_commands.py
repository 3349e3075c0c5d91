"""The commands about jobs and what they take; names and flags are those of `gcloud ai-platform jobs`."""

from __future__ import annotations

import argparse

from batchpredict.cli import train_flags
from batchpredict.cli.arguments import EPILOG, Parser, labels, seconds
from batchpredict.cli.flags import add_job
from batchpredict.cli.remote.connection_flags import add_connection, add_labels, add_list, add_policies

_JOBS = """\
Submit, list and watch jobs of the jobs service. Start one with 'batchpredict serve'.

Names and flags are those of 'gcloud ai-platform jobs'.
"""
_SUBMIT = """\
Have the service score files with a SavedModel.

The job is described by flags, by a Job resource (--job), or by both: a flag overrides the field of its name. A path
that is relative is taken from the working directory of this command.
Prints the Job; with --wait or --stream-logs, when it has ended, the PredictionOutput.
"""
_TRAIN = """\
Have the service train a Python package, and search for hyperparameters.

The job is described as for 'batchpredict train'. What follows -- is for the trainer.
Prints the Job; with --wait or --stream-logs, when it has ended, the TrainingOutput.
"""
_WAIT = """\
Wait until a job has ended, with a progress bar if stderr is a terminal. Prints the PredictionOutput.

Ctrl-C ends the waiting and not the job.
"""
_STREAM = "Print the log of a job as it grows, until the job has ended. Ctrl-C ends the printing and not the job."
_FILTERS = "'state=FAILED', 'jobId:census* AND NOT labels.team=blue', 'createTime>\"2017-01-01T00:00:00Z\"'"
_POLLING = 1.0
_ID = "id of the job: letters, digits and _, unique in its project"

Flags = Parser | argparse._ArgumentGroup


def add(parser: Parser) -> None:
    """`batchpredict jobs …`"""
    jobs = parser.add_command("jobs", "jobs of the jobs service", _JOBS)
    submit = jobs.add_command("submit", "have the service run a job")
    _add_submit(submit.add_command("prediction", "score files", _SUBMIT, epilog=EPILOG))
    _add_submit_training(submit.add_command("training", "train a package", _TRAIN, epilog=EPILOG))
    add_list(jobs.add_command("list", "jobs of a project, the newest first"), "jobs", _FILTERS)
    describe = jobs.add_command("describe", "print a job as JSON")
    describe.add_argument("job_id", metavar="JOB")
    add_connection(describe, "json")
    cancel = jobs.add_command("cancel", "stop a job")
    cancel.add_argument("job_id", metavar="JOB")
    add_connection(cancel)
    update = jobs.add_command("update", "change the labels of a job")
    update.add_argument("job_id", metavar="JOB")
    add_labels(update)
    add_connection(update, "json")
    wait = jobs.add_command("wait", "wait for the end of a job", _WAIT, epilog=EPILOG)
    wait.add_argument("job_id", metavar="JOB")
    _add_watching(wait)
    add_connection(wait, "json")
    stream = jobs.add_command("stream-logs", "print the log of a job as it grows", _STREAM)
    stream.add_argument("job_id", metavar="JOB")
    _add_logs(stream)
    add_connection(stream, "text", "json")
    add_policies(jobs, "JOB")


def _add_submit_training(parser: Parser) -> None:
    parser.add_argument("job_id", metavar="JOB", help=_ID)
    train_flags.add_job(parser)
    _add_more(parser.add_argument_group("the job (in the service)"))
    _add_call(parser)


def _add_submit(parser: Parser) -> None:
    parser.add_argument("job_id", metavar="JOB", help=_ID)
    add_job(parser)
    service = parser.add_argument_group("the job (in the service)")
    service.add_argument("--model", metavar="MODEL", help="a model of the project, instead of --model-dir")
    service.add_argument("--version", metavar="VERSION", help="of the model (default: its default version)")
    _add_more(service)
    _add_call(parser)


def _add_more(parser: Flags) -> None:
    parser.add_argument("--labels", metavar="KEY=VALUE,…", type=labels, help="labels of the job")
    parser.add_argument("--webhook", metavar="URL", help="is told of each change of the job's state")


def _add_call(parser: Parser) -> None:
    run = parser.add_argument_group("this call")
    run.add_argument("--validate-only", action="store_true", help="only say whether the job could be run")
    run.add_argument("--wait", action="store_true", help="wait until the job has ended")
    run.add_argument("--stream-logs", action="store_true", help="wait, and print the job's log as it grows")
    run.add_argument("--async", action="store_true", dest="no_wait", help="do not wait: as it is by default")
    _add_watching(run)
    _add_logs(run)
    add_connection(parser, "json")


def _add_watching(parser: Flags) -> None:
    parser.add_argument("--json-logs", action="store_true", help="progress and messages as JSON lines on stderr")


def _add_logs(parser: Flags) -> None:
    parser.add_argument(
        "--polling-interval",
        metavar="SECONDS",
        type=seconds,
        default=_POLLING,
        help=f"between two looks at the log (default: {_POLLING:g})",
    )
    parser.add_argument(
        "--allow-multiline-logs", action="store_true", help="a message of several lines stays in one piece"
    )
    parser.add_argument("--task-name", metavar="NAME", help="only what this task wrote, such as master-replica-0")
