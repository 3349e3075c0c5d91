"""How long whoever watches a job bears with a service that does not answer: jobs outlive it."""

from __future__ import annotations

import time
from collections.abc import Callable

from batchpredict.cli.remote.connection import Interrupted, Refused, Unreachable
from batchpredict.cli.remote.render import tell

# A machine that is started again is back within minutes.
_LONGEST = 600.0
_PASSING = frozenset({429, 502, 503, 504})


class Patience:
    """Says once that the service is away, and raises what it said when that has lasted too long."""

    def __init__(
        self,
        *,
        warn: Callable[[str], None] = tell,
        clock: Callable[[], float] = time.monotonic,
        longest: float = _LONGEST,
    ) -> None:
        self._warn = warn
        self._clock = clock
        self._longest = longest
        self._since: float | None = None
        self._ever = False

    def met(self) -> None:
        """The service has answered."""
        self._since = None
        self._ever = True

    def lost(self, error: Unreachable | Refused) -> None:
        """It has not. Raises the error if it never did, if waiting is no help, or if it is away for too long."""
        passing = error.code in _PASSING if isinstance(error, Refused) else True
        if not passing or not (self._ever or isinstance(error, (Interrupted, Refused))):
            raise error
        now = self._clock()
        if self._since is None:
            self._since = now
            self._warn(f"warning: {error}; trying again for {self._longest / 60:.0f} minutes (the job goes on)")
        elif now - self._since > self._longest:
            raise error
