"""Entry point of the `batchpredict` command. Heavy imports wait until a command needs them."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence

from batchpredict.cli.parser import USAGE_ERROR, parse

SUCCESS, FAILURE, INTERRUPTED = 0, 1, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    options = parse(arguments)
    try:
        if options.command == "inspect":
            from batchpredict.cli.inspect import inspect

            return inspect(options)
        from batchpredict.cli.predict import predict

        return predict(options)
    except BrokenPipeError:
        # Whoever read our stdout has gone; Python would complain about it at exit.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILURE
    except KeyboardInterrupt:
        return INTERRUPTED


__all__ = ["FAILURE", "INTERRUPTED", "SUCCESS", "USAGE_ERROR", "main"]
