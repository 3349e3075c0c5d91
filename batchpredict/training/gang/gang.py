"""The shell around the machine: a host's clock, its rendezvous and its replicas.

One thread runs the machine. Whatever may take long has a thread of its own (an exchange with the rendezvous,
getting a replica ready, ending one), so that nothing keeps a host from ending its replicas in time.
"""

from __future__ import annotations

import errno
import queue
import re
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from batchpredict.errors import BatchPredictError
from batchpredict.training.cluster.replicas import Replica
from batchpredict.training.gang import events as e
from batchpredict.training.gang.facts import CANCEL, GANG, HOST
from batchpredict.training.gang.interface import Handle, Launcher, Members, Outcome
from batchpredict.training.gang.machine import step
from batchpredict.training.gang.rendezvous import Document, Rendezvous
from batchpredict.training.gang.rules import Rules
from batchpredict.training.gang.state import State

# Seconds between two looks at the replicas, which cost a system call each.
_TICK = 0.05
# Seconds between two questions whether the gang is still wanted.
_ASK = 0.5
# Documents that are created at once.
_WRITERS = 16

# A disk that has room again before a lease is over has cost nothing; one that stays full is no place to meet.
_FULL = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EROFS))

_PORT_TAKEN = re.compile(r"address already in use|EADDRINUSE|failed to add port to server", re.IGNORECASE)


def clock() -> float:
    """Seconds, by a clock that goes on while the machine is suspended, where there is one."""
    boottime = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boottime is None else time.clock_gettime(boottime)


def cancel(rendezvous: Rendezvous, reason: str) -> None:
    """Let a gang end, from anywhere: every host ends its replicas within 10 s. Raises OSError."""
    rendezvous.create(CANCEL, {"host": uuid.uuid4().hex, "reason": reason})


class Gang:
    """A host of a gang.

    Args:
      rendezvous: of the gang.
      cluster: its replicas.
      host_id: what people know this host by. Two runs are told apart even if their ids are the same.
      room: replicas that fit here; None for all of them, 0 to watch only: a watcher notices that hosts are lost
        when no other is left.
      launcher: how a replica is run here.
      stay: wait for a place if all are taken, and take that of a host that is lost.
      rules: times and limits; the same for all hosts of a gang.
      log: is told what happens, a sentence at a time.
      clock: seconds that never run backwards.
    """

    def __init__(
        self,
        rendezvous: Rendezvous,
        cluster: Members,
        host_id: str,
        room: int | None,
        launcher: Launcher,
        *,
        stay: bool = True,
        rules: Rules | None = None,
        log: Callable[[str], None] = lambda _: None,
        clock: Callable[[], float] = clock,
    ) -> None:
        self.host_id = f"{re.sub(r'[^A-Za-z0-9-]', '-', host_id[:64]) or 'host'}-{uuid.uuid4().hex[:8]}"
        self._rendezvous = rendezvous
        self._launcher = launcher
        self._rules = rules or Rules()
        self._log = log
        self._clock = clock
        self._state = State(cluster, self.host_id, room, stay, self._rules)
        # What happened; or an exception that is to be raised by `run`.
        self._events: queue.SimpleQueue[e.Event | BaseException] = queue.SimpleQueue()
        self._handles: dict[Replica, Handle] = {}
        self._ending: dict[Replica, threading.Thread] = {}
        self._done = threading.Event()
        self._failure: OSError | None = None
        self._halt: e.Halt | e.GiveUp | None = None

    def run(self, wanted: Callable[[], bool] = lambda: True) -> Outcome | None:
        """Host replicas until the gang has come to an outcome. Once.

        Args:
          wanted: whether anybody wants the gang; once it says no, all hosts end their replicas. What it raises as
            OSError is no answer.

        Returns:
          What came of the gang, the same on every host. None if it goes on and has no place for this host; only
          without `stay`.

        Raises:
          OSError: the rendezvous refuses, or has not answered for `rules.patience` seconds.

        However it ends, nothing of a replica is left here.
        """
        threading.Thread(target=self._ask, args=(wanted,), daemon=True).start()
        try:
            self._put(e.Tick())
            while self._halt is None:
                self._look()
                try:
                    event = self._events.get(timeout=_TICK)
                except queue.Empty:
                    event = e.Tick()
                if isinstance(event, BaseException):
                    raise event
                self._put(event)
        finally:
            self._done.set()
            self._close()
        if isinstance(self._halt, e.Halt):
            return self._halt.outcome
        raise self._failure or OSError("The rendezvous of the replicas does not answer.")

    def _put(self, event: e.Event) -> None:
        if isinstance(event, e.Exited):
            self._handles.pop(event.replica, None)
            self._ending.pop(event.replica, None)
        before = self._state.facts
        self._state, todo = step(self._state, event, self._clock())
        for generation in self._state.facts.before[before.number - 1 :]:
            if generation.over is not None:
                self._log(f"{generation.over.reason} All replicas are started again.")
        for one in todo:
            self._do(one)

    def _do(self, one: e.Instruction) -> None:
        if isinstance(one, e.Exchange):
            self._in_thread(lambda: self._exchange(one, self._clock()))
        elif isinstance(one, e.Bind):
            self._in_thread(lambda: self._bind(one))
        elif isinstance(one, e.Start):
            self._start(one)
        elif isinstance(one, e.Keep):
            for handle in self._handles.values():
                handle.keep(one.seconds)
        elif isinstance(one, e.End):
            self._end(one.replica, one.grace)
        else:
            self._halt = one

    def _in_thread(self, work: Callable[[], e.Event]) -> threading.Thread:
        """What comes of some work is an event."""

        def run() -> None:
            try:
                self._events.put(work())
            except BaseException as error:
                self._events.put(error)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        return thread

    # The rendezvous -------------------------------------------------------------------------------------------

    def _exchange(self, order: e.Exchange, asked: float) -> e.Exchanged:
        rendezvous, beat = self._rendezvous, order.beat
        unsaid = [] if beat is None else _attempt([partial(rendezvous.put, *beat)])
        beaten = beat is not None and not unsaid
        unsaid += _attempt([partial(rendezvous.create, *one) for one in order.creates])
        documents: dict[str, Document] = {}

        def read(prefix: str) -> None:
            documents.update(rendezvous.read(prefix))

        unread = _attempt([partial(read, prefix) for prefix in ((GANG, HOST) if order.hosts else (GANG,))])
        for error in (*unsaid, *unread):
            self._failure = error
        barred = any(isinstance(error, PermissionError) or error.errno in _FULL for error in (*unsaid, *unread))
        return e.Exchanged(asked, None if unread else documents, beaten, bool(unsaid), barred)

    def _ask(self, wanted: Callable[[], bool]) -> None:
        while not self._done.is_set():
            try:
                if not wanted():
                    self._events.put(e.Unwanted("The job was cancelled."))
                    return
            except OSError:
                pass
            except BaseException as error:
                self._events.put(error)
                return
            self._done.wait(_ASK)

    # The replicas ---------------------------------------------------------------------------------------------

    def _bind(self, one: e.Bind) -> e.Event:
        try:
            return e.Bound(one.number, one.replica, self._launcher.bind(one.replica))
        except OSError as error:
            return e.Refused(one.number, one.replica, str(error), passes=True)
        except BatchPredictError as error:
            return e.Refused(one.number, one.replica, str(error))

    def _start(self, one: e.Start) -> None:
        try:
            handle = self._launcher.start(one.replica, one.addresses, one.attempt)
        except (OSError, BatchPredictError) as error:
            self._events.put(e.Refused(one.number, one.replica, str(error)))
            return
        self._handles[one.replica] = handle
        handle.keep(one.seconds)
        self._log(f"{one.replica.words} started" + (f" again ({one.attempt})." if one.attempt > 1 else "."))

    def _look(self) -> None:
        """Whether a replica has ended by itself."""
        for replica, handle in list(self._handles.items()):
            if replica not in self._ending and handle.poll() is not None:
                self._end(replica, 0.0)

    def _end(self, replica: Replica, grace: float) -> None:
        handle = self._handles.get(replica)
        if handle is not None and replica not in self._ending:
            self._ending[replica] = self._in_thread(lambda: self._ended(replica, handle, grace))

    def _ended(self, replica: Replica, handle: Handle, grace: float) -> e.Event:
        handle.end(grace)
        status = handle.poll()
        tail = tuple(handle.tail())
        taken = bool(status) and any(_PORT_TAKEN.search(line) for line in tail)
        return e.Exited(replica, -9 if status is None else status, tail, taken)

    def _close(self) -> None:
        """Nothing of a replica is left, whatever has happened."""
        for replica in list(self._handles):
            self._end(replica, self._rules.end_grace)
        for thread in list(self._ending.values()):
            thread.join()


def _attempt(calls: Sequence[Callable[[], object]]) -> list[OSError]:
    """What calls that may be made at once have failed with."""
    if len(calls) < 2:
        found = [_error_of(call) for call in calls]
    else:
        with ThreadPoolExecutor(min(len(calls), _WRITERS)) as pool:
            found = list(pool.map(_error_of, calls))
    return [error for error in found if error is not None]


def _error_of(call: Callable[[], object]) -> OSError | None:
    try:
        call()
    except OSError as error:
        return error
    return None
