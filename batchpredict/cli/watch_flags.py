"""The flags of `batchpredict watch`, and those of any watch."""

from __future__ import annotations

import argparse
import re

from batchpredict.cli.arguments import EPILOG, Parser, age, count
from batchpredict.cli.flags import add_job, add_run

_WATCH = """\
Score files as they arrive, until it is stopped: in epochs, each a job over the files that no epoch has taken.

The results of an epoch are in OUTPUT/epoch=NNNNNNNN/, as of any job, with its _SUCCESS; stdout gets a line of JSON
for each. Whatever is killed, the same command goes on; several may run on one output folder. Every file is scored
once. The first Ctrl-C ends it after what is under way, the second one at once.
"""


def add(parser: Parser) -> None:
    """The command."""
    watch = parser.add_command("watch", "score files as they arrive", _WATCH, epilog=EPILOG)
    add_job(watch)
    group = watch.add_argument_group("watching")
    add_watching(group)
    group.add_argument("--once", action="store_true", help="end when everything that is there is scored")
    group.add_argument("--retry", action="store_true", help="take up the epochs that were set aside")
    add_run(watch, fresh=None)


def add_watching(group: argparse._ArgumentGroup) -> None:
    """What a watch is, beside its job; wherever it runs."""
    group.add_argument(
        "--model-base",
        metavar="URL",
        help="in the place of --model-dir: a folder of versions of a model, of which each epoch takes "
        "the one with the highest number",
    )
    group.add_argument(
        "--every", metavar="TIME", type=_pause, default="30s", help="pause between two listings (default: 30s)"
    )
    group.add_argument(
        "--settle",
        metavar="TIME",
        type=_time,
        default="10s",
        help="take a file that has not changed for so long (default: 10s)",
    )
    group.add_argument(
        "--max-files", metavar="N", type=count, help="files of an epoch (default: all that are there)"
    )
    group.add_argument(
        "--max-bytes", metavar="N", type=_bytes, help="bytes of an epoch (default: all that are there)"
    )
    group.add_argument(
        "--changed",
        choices=("rescore", "ignore", "fail"),
        default="rescore",
        help="what to do with a file that has changed since it was scored: score it again in a new epoch "
        "(default), leave it, or end the watch",
    )
    group.add_argument(
        "--tries", metavar="N", type=count, default=5, help="tries of an epoch before it is set aside (default: 5)"
    )


def _time(text: str) -> float:
    """Seconds of a time such as 10s, 5m or 1h."""
    try:
        return age(text)
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(f"'{text}' is no time; write 10s, 5m, 1h or 1d") from None


def _pause(text: str) -> float:
    """The same, and not 0."""
    seconds = _time(text)
    if not seconds:
        raise argparse.ArgumentTypeError(f"'{text}' is no pause; write 1s or more")
    return seconds


def _bytes(text: str) -> int:
    """A positive number of bytes."""
    if not re.fullmatch(r"[0-9]{1,18}", text) or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is no number of bytes above 0")
    return int(text)
