"""What every command line here is made of: a parser that suggests, commands within commands, kinds of values.

Imports next to nothing but the standard library, so that help and usage errors are instant.
"""

from __future__ import annotations

import argparse
import re
from typing import Any, NoReturn

from batchpredict.launch import FAILED, INTERRUPTED, SUCCEEDED, TERMINATED, WRONG_CALL

EPILOG = (
    f"exit status: {SUCCEEDED} succeeded (also with counted errors), {FAILED} failed, {WRONG_CALL} wrong call, "
    f"{INTERRUPTED} stopped by Ctrl-C, {TERMINATED} stopped by SIGTERM"
)


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that suggests what a mistyped flag or command may have been.

    Attributes:
      commands: the parsers of its commands by name; none for a command that takes arguments.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("allow_abbrev", False)
        super().__init__(*args, **kwargs)
        self.commands: dict[str, Parser] = {}
        self._choices: argparse._SubParsersAction[Parser] | None = None

    def add_command(self, name: str, help: str, description: str = "", *, epilog: str | None = None) -> Parser:
        """A command within this one; `help` is its line in the list of them."""
        if self._choices is None:
            self._choices = self.add_subparsers(metavar="COMMAND", parser_class=Parser)
        self.commands[name] = self._choices.add_parser(
            name,
            help=help,
            description=description or f"{help[0].upper()}{help[1:]}.",
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        self.commands[name].set_defaults(command=f"{self.prog} {name}".partition(" ")[2])
        return self.commands[name]

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


def scale_tier(text: str) -> str:
    """gcloud took `standard-1` and `STANDARD_1` alike."""
    return text.upper().replace("-", "_")


def labels(text: str) -> dict[str, str]:
    """A comma list of KEY=VALUE, as gcloud takes labels."""
    found = {}
    for part in fields_list(text):
        key, equals, value = part.partition("=")
        if not equals or not key:
            raise argparse.ArgumentTypeError(f"'{part}' is not of the form KEY=VALUE")
        found[key.strip()] = value.strip()
    return found


def seconds(text: str) -> float:
    """A positive number of seconds."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"'{text}' is no number of seconds above 0")
    return number


def count(text: str) -> int:
    """A positive number."""
    if re.fullmatch(r"0*[1-9][0-9]{9,}", text):
        raise argparse.ArgumentTypeError(f"'{text}' is above 999999999, the most that is taken")
    if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is no number above 0")
    return int(text)


def age(text: str) -> float:
    """Seconds of an age such as 7d, 12h, 30m or 90s."""
    match = re.fullmatch(r"(\d{1,9})([smhd])", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"'{text}' is no age; write 7d, 12h, 30m or 90s")
    return int(match[1]) * {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}[match[2]]
