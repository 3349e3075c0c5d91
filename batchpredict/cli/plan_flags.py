"""The flags of `batchpredict plan`: those of `predict`, and what is to be known of the job."""

from __future__ import annotations

import argparse

from batchpredict.cli.arguments import EPILOG, Parser, count, fields_list
from batchpredict.cli.flags import add_job, add_run

_PLAN = """\
Say what a job would be, and write nothing to its output folder.

The job is described as for predict, by the same flags. Records from all over its files are scored as the job would
score them, which takes about half a minute: how many records there are, which of them fail, how large the results
get, how fast it goes and what limits that, and so time, node hours and cost.
"""


def add(parser: Parser) -> None:
    """The command."""
    plan = parser.add_command("plan", "say what a job would take", _PLAN, epilog=EPILOG)
    add_job(plan)
    run = add_run(plan, fresh="as if nothing of the job were committed")
    run.add_argument("--overwrite", action="store_true", help="as if it might replace another job's results")
    wanted = plan.add_argument_group("what is to be known")
    wanted.add_argument("--sample", metavar="N", type=count, default=2000, help="records to look at (default 2000)")
    wanted.add_argument(
        "--workers",
        metavar="N,…",
        type=counts,
        default=(),
        help="counts of workers to estimate time and cost for (default: as many as predict would start)",
    )
    wanted.add_argument("--price-per-node-hour", metavar="PRICE", type=price, help="in any currency, for the cost")
    wanted.add_argument("--format", choices=("text", "json"), default="text", help="default: text")


def counts(text: str) -> tuple[int, ...]:
    """Positive numbers with commas between them."""
    found = tuple(map(count, fields_list(text)))
    if not found:
        raise argparse.ArgumentTypeError(f"'{text}' is no list of numbers")
    return found


def price(text: str) -> float:
    """A number of 0 or more."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < float("inf"):
        raise argparse.ArgumentTypeError(f"'{text}' is no price")
    return number
