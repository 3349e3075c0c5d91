"""Who does the operations that take their time: threads of an API process, each operation held by one of them.

An operation is held with a lease that is renewed. One whose process has died comes to another, or to the same
service after its restart, when the lease has ended.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import threading
from collections.abc import Callable
from datetime import timedelta

from batchpredict.errors import BatchPredictError
from batchpredict.service.registry.documents import is_cancelled
from batchpredict.service.store.interface import ModelStore, Operation, StoreFailed

_log = logging.getLogger(__name__)

_RENEWALS = 3
"""In the time of a lease."""


class Abandoned(BatchPredictError):
    """This process stops, or has lost the operation: it is somebody else's to end."""


class CancelRequested(BatchPredictError):
    """Somebody has asked for the operation's end."""


class Hold:
    """An operation that this process holds, for whoever performs it."""

    def __init__(self, operation: Operation, stopping: threading.Event) -> None:
        self.operation = operation
        self._holder = operation.worker
        self._stopping = stopping
        self._lost = threading.Event()
        self._cancelled = threading.Event()
        if is_cancelled(operation):
            self._cancelled.set()

    def check(self) -> None:
        """Called often by whoever performs it. Raises Abandoned, CancelRequested."""
        if self._lost.is_set() or self._stopping.is_set():
            raise Abandoned(f"The operation {self.operation.operation} is not this process's any more.")
        if self._cancelled.is_set():
            raise CancelRequested("The operation was cancelled.")

    def give_back(self, store: ModelStore) -> None:
        """Leave it to whoever asks next, if it is still held."""
        store.hold_operation(self.operation.project, self.operation.operation, self._holder, timedelta())

    def renew(self, store: ModelStore, lease: timedelta) -> None:
        """Hold it on, and learn whether it was cancelled."""
        project, operation = self.operation.project, self.operation.operation
        if not store.hold_operation(project, operation, self._holder, lease):
            self._lost.set()
        elif is_cancelled(store.operation(project, operation)):
            self._cancelled.set()


Perform = Callable[[Hold], None]
"""Does an operation and finishes it in the store. Raises nothing but Abandoned, of what it expects."""


class OperationThreads:
    """Threads that take operations from a store and perform them.

    Args:
      store: that they are in.
      perform: does one.
      worker: an id of this process, which no other has or had.
      lease: how long an operation is held without a renewal.
      threads: operations at a time.
      idle: seconds between questions to the store; `wake` shortens one.
    """

    def __init__(
        self,
        store: ModelStore,
        perform: Perform,
        worker: str,
        *,
        lease: timedelta = timedelta(seconds=30),
        threads: int = 2,
        idle: float = 1.0,
    ) -> None:
        self._store = store
        self._perform = perform
        self._worker = worker
        self._lease = lease
        self._idle = idle
        self._stopping = threading.Event()
        self._woken = threading.Condition()
        self._wakes = 0
        self._takes = itertools.count(1)
        self._held: set[Hold] = set()
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=target, name=f"operations-{number}", daemon=True)
            for number, target in enumerate([self._renewing, *[self._performing] * threads])
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def wake(self) -> None:
        """There is a new operation."""
        with self._woken:
            self._wakes += 1
            self._woken.notify_all()

    def close(self) -> None:
        """Stop. What is under way is given back, for whoever comes next."""
        self._stopping.set()
        self.wake()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()

    def _performing(self) -> None:
        while not self._stopping.is_set():
            seen = self._wakes
            try:
                # A holder's name is used once: what a thread has lost to another one of this process is lost.
                holder = f"{self._worker}-{next(self._takes)}"
                due = self._store.due_operations(holder, self._lease, 1)
            except StoreFailed as error:
                _log.warning("operations cannot be looked for: %s", error)
                due = []
            except Exception:
                # Without this thread operations would be forgotten.
                _log.exception("operations cannot be looked for")
                due = []
            for operation in due:
                self._do(operation)
            if not due:
                with self._woken:
                    if self._wakes == seen and not self._stopping.is_set():
                        self._woken.wait(self._idle)

    def _do(self, operation: Operation) -> None:
        hold = Hold(operation, self._stopping)
        with self._lock:
            self._held.add(hold)
        try:
            self._perform(hold)
        except Abandoned:
            with contextlib.suppress(BatchPredictError):
                hold.give_back(self._store)
        except Exception:
            # The lease ends, and then it is tried again; `Perform` counts how often.
            _log.exception("the operation %s failed", operation.operation)
        finally:
            with self._lock:
                self._held.discard(hold)

    def _renewing(self) -> None:
        while not self._stopping.wait(self._lease.total_seconds() / _RENEWALS):
            with self._lock:
                held = list(self._held)
            for hold in held:
                try:
                    hold.renew(self._store, self._lease)
                except StoreFailed as error:
                    _log.warning("the operation %s cannot be held: %s", hold.operation.operation, error)
                except Exception:
                    _log.exception("the operation %s cannot be held", hold.operation.operation)
