"""The command line: flags, help, and what is said about a wrong call.

Imports next to nothing but the standard library, so that help and usage errors are instant.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from batchpredict import __version__
from batchpredict.launch import FAILED, INTERRUPTED, SUCCEEDED, TERMINATED, WRONG_CALL
from batchpredict.runners import closest

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

_EPILOG = (
    f"exit status: {SUCCEEDED} succeeded (also with counted errors), {FAILED} failed, {WRONG_CALL} wrong call, "
    f"{INTERRUPTED} stopped by Ctrl-C, {TERMINATED} stopped by SIGTERM"
)


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that suggests what a mistyped flag or command may have been."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("allow_abbrev", False)
        super().__init__(*args, **kwargs)

    def error(self, message: str) -> NoReturn:
        self.exit(WRONG_CALL, f"{self.prog}: {message}\nSee '{self.prog} --help'.\n")

    def flags(self) -> list[str]:
        return [flag for action in self._actions for flag in action.option_strings]


def fields_list(text: str) -> list[str]:
    """A comma list of gcloud's kind."""
    return [part.strip() for part in text.split(",") if part.strip()]


def data_format(text: str) -> str:
    """gcloud took `tf-record` and `TF_RECORD` alike."""
    return text.upper().replace("-", "_")


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse a command line. Exits with status 2 and one message if it is wrong."""
    parser, commands = build()
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given and not given[0].startswith("-") and given[0] not in commands:
        hint = closest(given[0], list(commands)) or f"; there are {', '.join(commands)}"
        parser.error(f"there is no command '{given[0]}'{hint}")
    # Flags of a command before its name: argparse would take their values for the name.
    if given and given[0].startswith("-") and given[0] not in parser.flags():
        parser.error(f"a command comes before '{given[0].partition('=')[0]}': {' or '.join(commands)}")
    known, unknown = parser.parse_known_args(given)
    if known.command is None:
        parser.print_help()
        parser.exit(SUCCEEDED)
    elsewhere = known.command == "predict" and known.runner != "DirectRunner"
    known.beam_flags = unknown if elsewhere else []
    if unknown and not elsewhere:
        command = commands[known.command]
        wrong = unknown[0].partition("=")[0]
        kind = "flag" if wrong.startswith("-") else "argument"
        if kind == "argument" and known.command == "predict":
            command.error(f"there is no argument '{wrong}'; a pattern for --input-paths must stand in quotes")
        command.error(f"there is no {kind} '{wrong}'{closest(wrong, command.flags())}")
    return known


def build() -> tuple[Parser, dict[str, Parser]]:
    """The parser, and those of its commands by name."""
    parser = Parser(prog="batchpredict", description="Batch prediction with SavedModels.", epilog=_EPILOG)
    parser.add_argument("--version", action="version", version=f"batchpredict {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=Parser)
    raw = argparse.RawDescriptionHelpFormatter
    predict = commands.add_parser(
        "predict", help="score files", description=_PREDICT, epilog=_EPILOG, formatter_class=raw
    )
    _add_predict(predict)
    inspect = commands.add_parser("inspect", help="look into a SavedModel", description=_INSPECT)
    inspect.add_argument("model_dir", metavar="MODEL_DIR", help="folder of the SavedModel, any URL")
    inspect.add_argument("--format", choices=("text", "json"), default="text", help="default: text")
    clean = commands.add_parser(
        "clean", help="remove what was left behind", description=_CLEAN, formatter_class=raw
    )
    _add_clean(clean)
    return parser, {"predict": predict, "inspect": inspect, "clean": clean}


def age(text: str) -> float:
    """Seconds of an age such as 7d, 12h, 30m or 90s."""
    match = re.fullmatch(r"(\d{1,9})([smhd])", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"'{text}' is no age; write 7d, 12h, 30m or 90s")
    return int(match[1]) * {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}[match[2]]


def _add_clean(parser: Parser) -> None:
    parser.add_argument("output", metavar="OUTPUT", nargs="?", help="output folder of the jobs, any URL")
    parser.add_argument(
        "--older-than", metavar="AGE", type=age, default="7d", help="what has not changed for so long (default: 7d)"
    )
    parser.add_argument("--cache", action="store_true", help="models of this machine's cache, too")
    parser.add_argument("--dry-run", action="store_true", help="only show what would be removed")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="default: text")


def _add_predict(parser: Parser) -> None:
    job = parser.add_argument_group("the job (names as in gcloud)")
    job.add_argument("--job", metavar="FILE", help="a Job resource with predictionInput, as JSON; - for stdin")
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
    run = parser.add_argument_group("this run")
    run.add_argument(
        "--runner",
        metavar="NAME",
        default="DirectRunner",
        help="DirectRunner (this process), FlinkRunner, DataflowRunner, PrismRunner, PortableRunner; with any but "
        "the first, a flag that is not one of these is passed to Beam",
    )
    run.add_argument("--fresh", action="store_true", help="score everything again, whatever is committed")
    run.add_argument("--overwrite", action="store_true", help="replace another job's results in the output folder")
    run.add_argument("--quiet", action="store_true", help="no progress on stderr")
    run.add_argument("--json-logs", action="store_true", help="progress and messages as JSON lines on stderr")
