"""Flags of Beam: how they are spelled, which runner they name, and which of them nobody knows."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Iterable, Sequence

from batchpredict.errors import UnknownFlag


def spelled(flags: Sequence[str]) -> list[str]:
    """`flags` with the underscores of Beam's own spelling: `--temp-location` is `--temp_location`."""
    found = []
    for flag in flags:
        name, equals, value = flag.partition("=")
        found.append(f"--{name[2:].replace('-', '_')}{equals}{value}" if name.startswith("--") else flag)
    return found


def take_runner(flags: Sequence[str], default: str) -> tuple[str, list[str]]:
    """The runner that `flags` name, and the flags without it."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--runner", default=default)
    found, rest = parser.parse_known_args(list(flags))
    return str(found.runner), rest


def closest(wrong: str, known: Sequence[str]) -> str:
    """ "; did you mean '…'?" if something known looks like it."""
    close = difflib.get_close_matches(wrong, known, n=1, cutoff=0.6)
    return f"; did you mean '{close[0]}'?" if close else ""


def check_known(flags: Sequence[str], more: Iterable[str] = ()) -> None:
    """Refuse a mistyped flag. Beam is imported, unless there are no flags.

    Args:
      more: names of options that are known beside Beam's.

    Raises:
      UnknownFlag: names the flag and what it may have been.
    """
    if not flags:
        return
    from apache_beam.options.pipeline_options import PipelineOptions

    # Beam has no public list of its flags; this is how PipelineOptions itself reads them.
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, conflict_handler="resolve")
    for options in PipelineOptions.__subclasses__():
        options._add_argparse_args(parser)
    for name in more:
        # Whether it takes a value is the server's business; here a flag that is one already stays as it is.
        if f"--{name}" not in parser._option_string_actions:
            parser.add_argument(f"--{name}", nargs="?", action="append")
    _, unknown = parser.parse_known_args(list(flags))
    if unknown:
        wrong = unknown[0].partition("=")[0]
        known = [flag for action in parser._actions for flag in action.option_strings]
        hint = closest(wrong, [*known, "--job", "--fresh", "--overwrite"])
        raise UnknownFlag(f"there is no flag '{wrong}', here or in Beam{hint}")
