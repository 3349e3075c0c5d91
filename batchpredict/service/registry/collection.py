"""Deletes the copies that no version has any more, when no job needs them.

A copy is needed by its version, by the operation that makes it, and by every job that is pinned to it and has not
ended. A job may be in the making whose model was looked up a moment ago, so a copy that nothing needs is looked at
again after a while, and deleted if that is so still.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable

from batchpredict.service.registry.copies import Copies, Owner
from batchpredict.service.store.interface import Missing, ModelStore

_log = logging.getLogger(__name__)

GRACE = 600.0
"""Seconds from when a copy was found unneeded to its end: many times what it takes to create a job."""


class Collection:
    """Used by one thread of a process; several processes may collect in one folder.

    Args:
      store: of versions, operations and jobs.
      copies: that are collected.
      grace: see GRACE.
      clock: seconds that never run backwards.
    """

    def __init__(
        self,
        store: ModelStore,
        copies: Copies,
        *,
        grace: float = GRACE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._copies = copies
        self._grace = grace
        self._clock = clock
        self._unneeded: dict[str, float] = {}

    def collect(self) -> int:
        """Look at every copy; the number of those that were deleted. Raises StoreFailed."""
        since: dict[str, float] = {}
        deleted = 0
        try:
            for folder, owner in self._copies.all():
                if not self._needed(folder, owner):
                    since[folder] = self._unneeded.get(folder, self._clock())
        except OSError as error:
            # Those that were seen before and not now begin anew.
            _log.warning("the copies of versions cannot be listed: %s", error)
        for folder in [folder for folder, first in since.items() if self._clock() - first >= self._grace]:
            try:
                self._copies.delete(folder)
            except OSError as error:
                _log.warning("the copy '%s' cannot be deleted: %s", folder, error)
            else:
                del since[folder]
                deleted += 1
        self._unneeded = since
        return deleted

    def _needed(self, folder: str, owner: Owner) -> bool:
        with contextlib.suppress(Missing):
            if self._store.version(owner.project, owner.model, owner.version).uri == folder:
                return True
        with contextlib.suppress(Missing):
            if not self._store.operation(owner.project, owner.operation).done:
                return True
        return self._store.pinned(folder)
