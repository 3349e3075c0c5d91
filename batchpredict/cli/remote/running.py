"""What every command of the client has around it: the connection before it, one sentence for what went wrong."""

from __future__ import annotations

import argparse
import functools
import os
import sys
from collections.abc import Callable

from batchpredict.cli.remote.connection import Refused, Service, Unreachable, connect
from batchpredict.cli.remote.render import plain
from batchpredict.errors import BatchPredictError, Violation, WrongCall
from batchpredict.launch import FAILED, WRONG_CALL

Command = Callable[[Service, argparse.Namespace], int]


def command(function: Command) -> Callable[[argparse.Namespace], int]:
    """A command of the client, given the service that its flags name; its errors are said and become its status."""

    @functools.wraps(function)
    def run(options: argparse.Namespace) -> int:
        try:
            return function(connect(options, os.environ), options)
        except BatchPredictError as error:
            return say(error, options)

    return run


def say(error: BatchPredictError, options: argparse.Namespace) -> int:
    """Say what went wrong, each thing in one line; the exit status."""
    wrong_input = isinstance(error, Refused) and error.code == 400 and error.status == "INVALID_ARGUMENT"
    for line in _lines(error, options):
        print(f"batchpredict {options.command}: {plain(line)}", file=sys.stderr)
    return WRONG_CALL if isinstance(error, WrongCall) or wrong_input else FAILED


def _lines(error: BatchPredictError, options: argparse.Namespace) -> list[str]:
    if isinstance(error, Refused):
        if error.code == 401:
            token = "" if os.environ.get("BATCHPREDICT_TOKEN") or options.access_token_file else _WITHOUT_TOKEN
            return [f"{' '.join(str(error).split())}{token}"]
        if error.violations:
            return [_located(violation, options) for violation in error.violations]
        return [" ".join(str(error).split())]
    if isinstance(error, Unreachable) and options.endpoint is None and "BATCHPREDICT_ENDPOINT" not in os.environ:
        return [f"{error}; start one with 'batchpredict serve', or name one with --endpoint"]
    return str(error).splitlines()


_WITHOUT_TOKEN = " (no token was sent: set BATCHPREDICT_TOKEN, or give --access-token-file)"


def _located(violation: Violation, options: argparse.Namespace) -> str:
    """A violation with the flag that it is about, where a command has flags for fields of a job."""
    if violation.field in ("", "name"):
        # What the command itself has named: its sentence says it.
        return " ".join(violation.description.split())
    if hasattr(options, "input_paths"):
        from batchpredict.cli.fields import located

        return " ".join(located(violation, options).split())
    if violation.field == "filter" and hasattr(options, "filter"):
        return f"--filter: {' '.join(violation.description.split())}"
    return " ".join(str(violation).split())
