"""Exit statuses of whatever runs a job from a shell."""

from __future__ import annotations

from batchpredict.errors import BatchPredictError, InvalidJob, WrongCall

SUCCEEDED = 0
"""Also with counted errors, as the service had it."""
FAILED = 1
WRONG_CALL = 2
"""The call or the job's description is wrong; nothing was run. As argparse has it."""
INTERRUPTED = 130
"""Ended by Ctrl-C: 128 and the number of SIGINT, as shells have it."""
TERMINATED = 143
"""Ended by SIGTERM."""


def status_of(error: BatchPredictError) -> int:
    """The exit status of a call that ended in an error."""
    return WRONG_CALL if isinstance(error, (InvalidJob, WrongCall)) else FAILED
