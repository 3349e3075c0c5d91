"""A service that runs for years forgets what has ended: once an hour, in every one of its processes."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from datetime import timedelta

from batchpredict.service.settings import Settings
from batchpredict.service.store.interface import Keep, RetentionStore, StoreFailed

_log = logging.getLogger(__name__)

EVERY = 3600.0
"""Seconds between two rounds: what is counted in days needs no more."""


@dataclass(frozen=True)
class Retention:
    """Forgets what is kept no longer. Several may run on one store."""

    store: RetentionStore
    keep: Keep

    @classmethod
    def of(cls, settings: Settings, store: RetentionStore) -> Retention:
        def days(number: int | None) -> timedelta | None:
            return None if number is None else timedelta(days=number)

        return cls(store, Keep(days(settings.keep_jobs), days(settings.keep_logs)))

    def run(self, stop: threading.Event) -> None:
        """A round at once, and one every hour, until told to stop."""
        while not stop.is_set():
            self.round(stop)
            stop.wait(EVERY)

    def round(self, stop: threading.Event) -> None:
        """Forget all that is to be forgotten now, or as much as there is time for."""
        try:
            while not stop.is_set() and self.store.forget(self.keep):
                pass
        except StoreFailed as error:
            _log.warning("What has ended long ago is deleted later: %s", error)
        except Exception:
            _log.exception("What has ended long ago could not be deleted")
