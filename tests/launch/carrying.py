"""A runner and a work that do nothing, for tests of what is said around them.

`python carrying.py SECONDS` carries one from a shell that goes on until a signal; its last word takes so long.
"""

from __future__ import annotations

import sys
import time
from typing import Any

from batchpredict.launch import carry

NO_WORK: Any = None
"""What the runner here is given: it does not look at it."""


def loose(double: Any) -> Any:
    """A double, for the type checker: it stands for a runner of any work."""
    return double


class Outcome:
    def to_wire(self) -> dict[str, Any]:
        return {"total": "3"}


class Snapshot:
    def resumed_sentence(self) -> str:
        return "resuming: 1 of 4"

    def kept_sentence(self) -> str:
        return "2 of 4 are kept"


class Runner:
    """Gives an execution that has ended, or, with `seconds`, goes on for so long; both are this object.

    Args:
      error: what `output` raises.
      seconds: that the work takes.
    """

    name = "Nothing"

    def __init__(self, error: BaseException | None = None, seconds: float = 0.0) -> None:
        self._error = error
        self._end = time.monotonic() + seconds
        self._waited_for = False
        self.closed = False

    def check(self) -> None:
        pass

    def submit(self, work: object, observer: Any) -> Runner:
        observer.progress(Snapshot())
        return self

    def ended(self, seconds: float) -> bool:
        if not self._waited_for and time.monotonic() < self._end:
            self._waited_for = True
            print("waited for", file=sys.stderr, flush=True)
        time.sleep(min(seconds, max(self._end - time.monotonic(), 0)))
        return time.monotonic() >= self._end

    def snapshot(self, *, at_once: bool = False) -> Snapshot:
        return Snapshot()

    def cancel(self) -> str:
        print("cancelling", flush=True)
        return "it is cancelled"

    def output(self) -> Outcome:
        if self._error is not None:
            raise self._error
        return Outcome()

    def close(self) -> None:
        self.closed = True


class Reporter:
    """Prints what it is told, with its kind."""

    def progress(self, snapshot: object) -> None:
        pass

    def warning(self, message: str) -> None:
        print(f"warning: {message}", file=sys.stderr, flush=True)

    def message(self, text: str, task: str = "") -> None:
        print(f"message: {text}", file=sys.stderr, flush=True)

    def error(self, text: str) -> None:
        # A second Ctrl-C comes about now.
        time.sleep(SLOW_ERROR)
        print(f"error: {text}", file=sys.stderr, flush=True)

    def close(self) -> None:
        print("closed", file=sys.stderr, flush=True)


SLOW_ERROR = 0.0

if __name__ == "__main__":
    SLOW_ERROR = float(sys.argv[1])
    sys.exit(carry("prog", loose(Runner(seconds=60)), NO_WORK, Reporter()))
