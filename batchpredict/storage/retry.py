"""Doing again what a store has failed to do. Clients have patience of their own below this.

Only who knows that a step may be repeated asks for it here, and nobody around one that does already: attempts
multiply.
"""

from __future__ import annotations

import errno
import random
import time
from collections.abc import Callable
from typing import TypeVar

_Result = TypeVar("_Result")

# Three pauses. Longer outages are the business of the clients, which know what the store has said.
_ATTEMPTS = 4
# Seconds before the second attempt, doubled for each further one.
_PAUSE = 0.5
# What asking again does not change. An error without a number is a client's, and may be anything.
_LASTING = frozenset(
    (
        errno.EACCES,
        errno.EPERM,
        errno.ENOENT,
        errno.ENOTDIR,
        errno.EISDIR,
        errno.ELOOP,
        errno.ENAMETOOLONG,
        errno.EINVAL,
        errno.ENOTSUP,
        errno.ENOSYS,
        errno.EROFS,
        errno.ENOSPC,
        errno.EDQUOT,
    )
)


def may_pass(error: OSError) -> bool:
    """Whether the same step may succeed a moment later."""
    return error.errno not in _LASTING and not isinstance(error, (FileNotFoundError, PermissionError))


class Attempts:
    """The attempts at one step.

    Args:
      when: which errors are worth another attempt.
      attempts: how many there are, at least 1.
    """

    def __init__(self, when: Callable[[OSError], bool] = may_pass, attempts: int = _ATTEMPTS) -> None:
        self._when = when
        self._left = attempts - 1
        self._pause = _PAUSE

    def wait(self, error: OSError) -> None:
        """Wait before the next attempt; raises `error` if there is to be none."""
        if not self._left or not self._when(error):
            raise error
        self._left -= 1
        # Not all at the same moment: a store that is short of breath is asked by many workers.
        time.sleep(self._pause * random.uniform(0.5, 1))
        self._pause *= 2


def again(
    step: Callable[[], _Result], *, when: Callable[[OSError], bool] = may_pass, attempts: int = _ATTEMPTS
) -> _Result:
    """What `step` returns, tried again after an OSError that `when` says passes; the last one is raised."""
    left = Attempts(when, attempts)
    while True:
        try:
            return step()
        except OSError as error:
            left.wait(error)
