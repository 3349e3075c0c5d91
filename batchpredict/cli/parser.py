"""Which command a command line means, and what is said where it means none.

Imports next to nothing but the standard library, so that help and usage errors are instant.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from batchpredict import __version__
from batchpredict.cli import flags, plan_flags, serve_flags, train_flags, watch_flags
from batchpredict.cli.arguments import EPILOG, Parser
from batchpredict.cli.remote import job_commands, model_commands, watch_commands
from batchpredict.launch import SUCCEEDED
from batchpredict.runners import closest

_ON_RUNNERS = ("predict", "plan", "watch", "train")
_WITH_ARGUMENTS = ("train", "jobs submit training")


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse a command line. Exits with status 2 and one message if it is wrong."""
    parser, _ = build()
    given = list(sys.argv[1:] if arguments is None else arguments)
    # What follows "--" is nobody's here, but the trainer's.
    given, rest = _split(given)
    command = _command_of(parser, given)
    known, unknown = parser.parse_known_args(given)
    if command.commands:
        command.print_help()
        command.exit(SUCCEEDED)
    if known.command in _WITH_ARGUMENTS:
        known.trainer_args = rest
    elif rest:
        command.error("there is nothing that arguments after '--' could be for")
    elsewhere = known.command in _ON_RUNNERS and known.runner != "DirectRunner"
    known.beam_flags = unknown if elsewhere else []
    if unknown and not elsewhere:
        wrong = unknown[0].partition("=")[0]
        kind = "flag" if wrong.startswith("-") else "argument"
        if kind == "argument" and "--input-paths" in command.flags():
            command.error(f"there is no argument '{wrong}'; a pattern for --input-paths must stand in quotes")
        command.error(f"there is no {kind} '{wrong}'{closest(wrong, command.flags())}")
    return known


def _split(given: Sequence[str]) -> tuple[list[str], list[str]]:
    """The words before the first "--", and those after it."""
    at = given.index("--") if "--" in given else len(given)
    return list(given[:at]), list(given[at + 1 :])


def _command_of(parser: Parser, given: Sequence[str]) -> Parser:
    """The parser of the command that is named, as far as one is."""
    for word in given:
        if not parser.commands:
            break
        if word.startswith("-"):
            # Flags of a command before its name: argparse would take their values for the name.
            if word not in parser.flags():
                names = " or ".join(parser.commands)
                parser.error(f"a command comes before '{word.partition('=')[0]}': {names}")
            break
        if word not in parser.commands:
            hint = closest(word, list(parser.commands)) or f"; there are {', '.join(parser.commands)}"
            parser.error(f"there is no command '{word}'{hint}")
        parser = parser.commands[word]
    return parser


def build() -> tuple[Parser, dict[str, Parser]]:
    """The parser, and those of its commands by name."""
    parser = Parser(
        prog="batchpredict", description="Batch prediction with SavedModels, and training.", epilog=EPILOG
    )
    parser.add_argument("--version", action="version", version=f"batchpredict {__version__}")
    here = (flags, plan_flags, watch_flags, train_flags, serve_flags)
    for commands in (*here, job_commands, watch_commands, model_commands):
        commands.add(parser)
    return parser, parser.commands
