"""The flags of the commands that work on this machine, and those of a job, wherever it runs."""

from __future__ import annotations

import argparse

from batchpredict.cli.arguments import EPILOG, Parser, age, data_format, fields_list

_PREDICT = """\
Score files with a SavedModel on this machine.

The job is described by flags, by a Job resource (--job), or by both: a flag overrides the field of its name.
Prints the PredictionOutput as JSON. A job that was interrupted goes on where it was: run the same command again.
"""
_INSPECT = "Show what a SavedModel takes and gives: tags, signatures, inputs, outputs, and a line of TEXT input."
_CLEAN = """\
Remove what jobs have left behind that were given up: what they had committed, their temporary files and notes.

What belongs to the results that stand in the folder stays, and so does whatever has changed lately: it may be of
a job that runs, or that was interrupted and is to go on.
"""
_JOB = "a Job resource with predictionInput, as JSON; - for stdin"


def add(parser: Parser) -> None:
    """The commands that work on this machine."""
    _add_predict(parser.add_command("predict", "score files", _PREDICT, epilog=EPILOG))
    inspect = parser.add_command("inspect", "look into a SavedModel", _INSPECT)
    inspect.add_argument("model_dir", metavar="MODEL_DIR", help="folder of the SavedModel, any URL")
    inspect.add_argument("--format", choices=("text", "json"), default="text", help="default: text")
    _add_clean(parser.add_command("clean", "remove what was left behind", _CLEAN))


def _add_clean(parser: Parser) -> None:
    parser.add_argument("output", metavar="OUTPUT", nargs="?", help="output folder of the jobs, any URL")
    parser.add_argument(
        "--older-than", metavar="AGE", type=age, default="7d", help="what has not changed for so long (default: 7d)"
    )
    parser.add_argument("--cache", action="store_true", help="models of this machine's cache, too")
    parser.add_argument("--dry-run", action="store_true", help="only show what would be removed")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="default: text")


def _add_predict(parser: Parser) -> None:
    add_job(parser)
    run = add_run(parser, fresh="score everything again, whatever is committed")
    run.add_argument("--overwrite", action="store_true", help="replace another job's results in the output folder")
    again = parser.add_argument_group("records that failed")
    again.add_argument(
        "--only-errors-of",
        metavar="OUTPUT",
        help="score only the records that failed in the finished job whose results are in this folder; what no "
        "flag says is as it was there",
    )
    again.add_argument("--merge", action="store_true", help="write its results and the new ones, in order")


def add_run(parser: Parser, *, fresh: str | None) -> argparse._ArgumentGroup:
    """The flags of a run on a runner. `fresh`: what --fresh does; None where there is no such flag."""
    run = parser.add_argument_group("this run")
    run.add_argument(
        "--runner",
        metavar="NAME",
        default="DirectRunner",
        help="DirectRunner (this process), FlinkRunner, DataflowRunner, PrismRunner, PortableRunner; with any but "
        "the first, a flag that is not one of these is passed to Beam",
    )
    if fresh is not None:
        run.add_argument("--fresh", action="store_true", help=fresh)
    run.add_argument("--quiet", action="store_true", help="no progress on stderr")
    run.add_argument("--json-logs", action="store_true", help="progress and messages as JSON lines on stderr")
    return run


def add_job(parser: Parser, file: str = "--job", holds: str = _JOB) -> None:
    """The flags that describe a prediction job, with a file or without.

    Args:
      file: the flag that names the file, and `holds` what is in it.
    """
    job = parser.add_argument_group("the job (names as in gcloud)")
    job.add_argument(file, metavar="FILE", dest="job", help=holds)
    job.add_argument("--model-dir", metavar="URL", help="folder of the SavedModel")
    job.add_argument(
        "--input-paths",
        metavar="PATTERN,…",
        type=fields_list,
        action="extend",
        help="input files; *, ?, [] and ** at any level, in quotes, or the shell expands them (a path that holds "
        "a comma has to be given in a job file)",
    )
    job.add_argument(
        "--data-format", metavar="FORMAT", type=data_format, help="TEXT, JSON, TF_RECORD, TF_RECORD_GZIP or PARQUET"
    )
    job.add_argument("--output-path", metavar="URL", help="folder for the results")
    job.add_argument(
        "--output-data-format", metavar="FORMAT", type=data_format, help="JSON (default), CSV or PARQUET"
    )
    job.add_argument("--batch-size", metavar="N", help="records of one model call (default 64)")
    job.add_argument("--max-worker-count", metavar="N", help="worker processes (default: the cores)")
    job.add_argument("--signature-name", metavar="NAME", help="default: the only one, else serving_default")
    job.add_argument("--runtime-version", metavar="VERSION", help="accepted; the installed TensorFlow runs")
    job.add_argument("--region", metavar="REGION", help="accepted (default: local)")
    more = parser.add_argument_group("more")
    more.add_argument("--key-field", metavar="NAME", help="field of an instance that comes back on its prediction")
    more.add_argument(
        "--include-fields", metavar="NAME,…", type=fields_list, action="extend", help="only these reach the model"
    )
    more.add_argument(
        "--exclude-fields",
        metavar="NAME,…",
        type=fields_list,
        action="extend",
        help="these do not reach the model; they come back on the prediction",
    )
    more.add_argument("--max-errors", metavar="N|P%", help="give up after more failed records (default: never)")
    more.add_argument("--max-record-bytes", metavar="N", help="skip and count longer records (default 64 MiB)")
    more.add_argument("--split-bytes", metavar="N", help="size of the unit of work (default: from the inputs)")
