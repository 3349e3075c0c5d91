"""Takes watches under leases and leads them: one thread that asks the store, and a process for each watch.

A watch that this worker leads and the store does not know as its own any more was taken by another worker, or
deleted: its process is ended. As with jobs, a process ends by itself when its lease was not renewed in time.
"""

from __future__ import annotations

import logging
import threading
from datetime import timedelta

from batchpredict.errors import BatchPredictError
from batchpredict.service.queue.leading import Falter, WatchState, Yield
from batchpredict.service.queue.lifecycle import LeaseLost
from batchpredict.service.store.interface import Missing, Store
from batchpredict.service.store.watching import StoredWatch
from batchpredict.service.worker.clock import clock
from batchpredict.service.worker.leftovers import WorkerFolder
from batchpredict.service.worker.machine import Rules, held_until
from batchpredict.service.worker.masking import Mask
from batchpredict.service.worker.options import WorkerOptions
from batchpredict.service.worker.running import JobProcess, Program, Setting
from batchpredict.service.worker.watches import protocol
from batchpredict.service.worker.watches.led import LedWatch

_log = logging.getLogger(__name__)

_PROGRAM = Program("batchpredict.service.worker.watches.process", protocol.read_message, talks=True)
# Between two rounds of renewals and of looks for watches.
_ROUND_SECONDS = 1.0
# That a process has to end when it is asked to, before it is killed.
_STOP_SECONDS = 5.0

_Key = tuple[str, str]


class WatchLeader:
    """Leads watches until it is told to stop.

    Args:
      store: of the service.
      options: of the worker.
      folder: of the worker, in which processes have theirs.
      setting: in which they are started.
    """

    def __init__(self, store: Store, options: WorkerOptions, folder: WorkerFolder, setting: Setting) -> None:
        self._store = store
        self._options = options
        self._folder = folder
        self._setting = setting
        self._mask = Mask.of(options.environ)
        self._lease = timedelta(seconds=options.lease)
        self._rules = Rules.of(options.jobs, options.workers, options.lease)
        self._lock = threading.Lock()
        self._led: dict[_Key, LedWatch] = {}
        self._stop = threading.Event()
        self._gone = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watches", daemon=True)

    def start(self) -> None:
        """Begin, in a thread of its own. Of a worker that leads none nothing is begun."""
        if self._options.watches > 0:
            self._thread.start()

    def stop(self, seconds: float) -> None:
        """Give all watches back, and wait so long for that; then end them."""
        self._stop.set()
        if not self._thread.is_alive():
            return
        self._thread.join(seconds)
        for led in self._all():
            led.kill()
        self._thread.join(seconds)

    def give_back(self, worker: str) -> None:
        """Give back what a dead worker of this machine led; nothing of it runs any more."""
        for watch in self._store.keep_leading(worker, timedelta(seconds=1)).values():
            self._tell_quietly(watch, Falter(watch.leading.generation, f"The worker {worker} was killed."))

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._round()
            except BatchPredictError as error:
                _log.warning("the store does not answer: %s", error)
            except Exception:
                _log.exception("a round of the watches failed")
            self._stop.wait(min(_ROUND_SECONDS, self._options.lease / 3))
        left = self._all()
        for led in left:
            led.stop()
        end = clock() + _STOP_SECONDS
        while self._all():
            self._gone.wait(max(end - clock(), 0.05))
            self._gone.clear()
            if clock() >= end:
                for led in self._all():
                    led.kill()

    def _round(self) -> None:
        held = {led.watch.key: led for led in self._all()}
        asked = clock()
        found = self._store.keep_leading(self._folder.worker, self._lease) if held else {}
        for key, led in held.items():
            self._look_after(led, found.get(key), asked)
        for key in found.keys() - held.keys():
            # It was taken in an answer that got lost, and would be renewed for ever.
            self._tell_quietly(found[key], Yield(found[key].leading.generation))
        room = self._options.watches - len(self._all())
        asked = clock()
        for watch in self._store.lead(self._folder.worker, self._lease, room):
            self._begin(watch, asked)

    def _look_after(self, led: LedWatch, found: StoredWatch | None, asked: float) -> None:
        if found is None or (found.number, found.leading.generation) != (led.watch.number, led.generation):
            led.kill(lost=True)
            return
        led.extend(held_until(self._rules, asked))
        if found.leading.state is WatchState.PAUSED:
            led.stop()
        elif found.retries > led.retries:
            led.retries = found.retries
            led.retry()

    def _begin(self, watch: StoredWatch, asked: float) -> None:
        with self._lock:
            busy = watch.key in self._led
        if busy:
            # The process of an earlier lease of it is still about to end.
            self._tell_quietly(watch, Yield(watch.leading.generation))
            return
        try:
            led = LedWatch(self._store, watch, self._mask, self._over)
            order = led.order(list(self._options.roots), list(self._options.excluded))
            mark, folder = self._folder.new_run()
            process = JobProcess(_PROGRAM, self._setting, mark, folder, led)
        except (OSError, ValueError, BatchPredictError, LookupError) as error:
            _log.warning("the watch %s cannot be led: %s", watch.watch_id, error)
            self._tell_quietly(watch, Falter(watch.leading.generation, f"It could not be led: {error}"))
            return
        with self._lock:
            self._led[watch.key] = led
        led.start(process, order, held_until(self._rules, asked))

    def _tell_quietly(self, watch: StoredWatch, event: Falter | Yield) -> None:
        try:
            self._store.tell_watch(*watch.key, event, number=watch.number)
        except (LeaseLost, Missing):
            return
        except BatchPredictError as error:
            # It lapses.
            _log.warning("the store does not answer: %s", error)

    def _over(self, led: LedWatch) -> None:
        with self._lock:
            self._led.pop(led.watch.key, None)
        self._gone.set()

    def _all(self) -> list[LedWatch]:
        with self._lock:
            return list(self._led.values())
