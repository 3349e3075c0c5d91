"""Entry point of the `batchpredict` command. Heavy imports wait until a command needs them."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Sequence

from batchpredict.cli.commands import function_of
from batchpredict.cli.parser import parse
from batchpredict.launch import FAILED, INTERRUPTED, SUCCEEDED, stopped_early


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    _open_closed_streams()
    options = parse(arguments)
    try:
        status = function_of(options.command)(options)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our stdout has seen enough.
        status = SUCCEEDED
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EIO):
            raise
        print(f"batchpredict: stdout cannot be written: {error.strerror}", file=sys.stderr)
        status = FAILED
    except KeyboardInterrupt:
        program = f"batchpredict {options.command}"
        if options.command in ("predict", "watch", "inspect"):
            # A job that is under way answers to it by itself; see `launch.carry`.
            return stopped_early(program)
        print(f"{program}: stopped.", file=sys.stderr)
        return INTERRUPTED
    else:
        return status
    # What is still in the buffer cannot be written; Python would complain about that at exit.
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return status


def _open_closed_streams() -> None:
    """Put /dev/null where a standard stream is closed, or the next file that is opened would take its place."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "r" if number == 0 else "w"))  # noqa: SIM115 - until the end
