"""Reads of files that a page waits for, but not for long.

The engine is patient with stores: it asks again and again, and clients of stores have long timeouts of their own. A
page must not wait so long, and a hundred pages that wait must not take the threads of the API from everybody.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, TimeoutError
from typing import TypeVar

from batchpredict.errors import BatchPredictError

_Result = TypeVar("_Result")


class TooSlow(BatchPredictError):
    """The files are not read in the time that a page has."""


class BoundedReads:
    """Runs reads in threads of their own.

    Args:
      seconds: that a page waits for one.
      most: at the same time; those that nobody waits for any more count until they end.
    """

    def __init__(self, seconds: float = 10.0, most: int = 8) -> None:
        self._seconds = seconds
        self._free = threading.BoundedSemaphore(most)

    def __call__(self, read: Callable[[], _Result]) -> _Result:
        """What `read` returns, or what it raises.

        Raises:
          TooSlow: it takes too long, or as many as may run are running.
        """
        if not self._free.acquire(blocking=False):
            raise TooSlow("Too many pages wait for files at this moment; reload this one a little later.")
        answer: Future[_Result] = Future()

        def work() -> None:
            try:
                answer.set_result(read())
            except BaseException as error:
                answer.set_exception(error)
            finally:
                self._free.release()

        # A daemon: a store that never answers does not keep the service from ending.
        threading.Thread(target=work, name="console-read", daemon=True).start()
        try:
            return answer.result(self._seconds)
        except TimeoutError:
            if answer.done():
                raise
            raise TooSlow(f"The output folder did not answer within {self._seconds:g} s.") from None
