"""The loop of a watch: decides, does, and writes down what has happened, step by step."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any

from batchpredict import storage
from batchpredict.epochs import machine
from batchpredict.epochs.execution import compare
from batchpredict.epochs.folder import Folder
from batchpredict.epochs.interface import ChangedInput, Ending, Finished, ModelChoice, Pace, WatchObserver
from batchpredict.epochs.listing import Look, Observed, Wanted, look
from batchpredict.epochs.log import Log
from batchpredict.epochs.revision import Kept, kept, write_set_aside
from batchpredict.epochs.runs import Gone, Ledger, compact, lost, sweep
from batchpredict.epochs.signs import Signs
from batchpredict.epochs.state import (
    Begun,
    Epoch,
    Event,
    Failed,
    FileList,
    Revised,
    SetAside,
    State,
    Succeeded,
)
from batchpredict.epochs.telling import Telling
from batchpredict.errors import BatchPredictError, NoInput, OutputRefused, WrongFlag
from batchpredict.job import PredictionOutput
from batchpredict.ledger import Snapshot, occupancy, worker_name
from batchpredict.runners import Observer

# Looks in a row that find nothing but files that are still written, after which a single pass leaves them.
_UNSETTLED = 2
# Times that a look is begun again because others have merged what it reads.
_GONE = 5


class Watch:
    """Scores what arrives, an epoch after the other, until it is stopped.

    Several watches may share an output folder, on any machines; each epoch is scored once. Whatever dies, another
    watch goes on from what is in the folder.

    Args:
      folder: of the watch.
      wanted: which files are.
      source: the predictionInput of every epoch's job, less model and output; on the wire.
      model: which model an epoch is scored with.
      execute: does an epoch; raises a BatchPredictError if it has failed.
      observer: is told what happens.
      pace: times and bounds.
      once: a single pass: end when everything that is there is scored.
      retry: take up the epochs that were set aside.
      clock: seconds, never set.
      wall: seconds since the epoch.
    """

    def __init__(
        self,
        folder: Folder,
        wanted: Wanted,
        source: dict[str, Any],
        model: ModelChoice,
        execute: Callable[[Epoch, Observer[Snapshot]], PredictionOutput],
        observer: WatchObserver,
        *,
        pace: Pace | None = None,
        once: bool = False,
        retry: bool = False,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._folder = folder
        self._wanted = wanted
        self._source = source
        self._model = model
        self._execute = execute
        self._observer = observer
        self._tell = Telling(observer)
        pace = pace or Pace()
        self._pace = pace
        self._once = once
        self._retry = retry
        self._clock = clock
        self._wall = wall
        self._log = Log(folder, worker_name())
        self._ledger = Ledger(folder)
        self._signs = Signs(folder, clock, beat=pace.beat, silence=pace.silence)
        self._observed = Observed()
        self._due: dict[int, float] = {}
        self._next_look = clock()
        self._started = self._looked = self._passed = False
        self._unsettled = 0
        self._set_aside = False
        self._failures = 0

    @property
    def state(self) -> State:
        """As far as this watch has read the log."""
        return self._log.state

    def close(self) -> None:
        """Let go of temporary files."""
        self._observed.close()
        self._ledger.close()

    def run(self, stop: threading.Event) -> Ending:
        """Watch until somebody sets `stop`: what is under way then is brought to its end.

        An exception from outside, a KeyboardInterrupt for instance, cancels what is under way; what is committed
        stays.

        Raises:
          BatchPredictError: the watch cannot go on: an input has changed and must not, or the epochs of another
            watcher have another format; in a single pass, or before the first look has succeeded, also what may
            pass: a folder that cannot be listed, a model that is not there.
        """
        troubles = 0
        begun = False
        # An epoch that was said to begin is under way, also before the first of its records is.
        while begun or not stop.is_set():
            last, begun = self.state.last, False
            try:
                if (ending := self._ending()) is not None:
                    return ending
                step = self.step()
                begun = isinstance(step, machine.Look) and self.state.last > last
                if troubles:
                    troubles = 0
                    self._tell.forget()
            except BatchPredictError as error:
                if self._once or not self._looked or isinstance(error, (ChangedInput, WrongFlag)):
                    raise
                troubles += 1
                self._tell.once(f"{str(error).rstrip('.')}; tried again")
                stop.wait(self._backoff(troubles))
                continue
            if isinstance(step, machine.Rest):
                stop.wait(max(step.until - self._clock(), 0.0))
        return Ending.STOPPED

    def step(self) -> machine.Step:
        """Do one thing, and give what it was. A `Rest` is for the caller to take; its time is on the watch's clock.

        Raises: what `run` raises.
        """
        if not self._started:
            self._start()
        self._refresh()
        busy = self._signs.busy() if self.state.open else set()
        now = self._clock()
        step = machine.decide(
            self.state, now=now, due=self._due, busy=busy, next_look=self._next_look, tries=self._pace.tries
        )
        if isinstance(step, machine.Look):
            self._look()
        elif isinstance(step, machine.Try):
            self._try(self._epoch(step.epoch))
        elif isinstance(step, machine.Revise):
            self._revise(self._epoch(step.epoch))
        elif isinstance(step, machine.PutAside):
            self._put_aside(self._epoch(step.epoch))
        else:
            # Nobody says when another watcher has come to an end, or to its own.
            longest = self._pace.poll if busy else self._pace.every
            return machine.Rest(min(max(step.until, now), now + longest))
        return step

    # The beginning and the end

    def _start(self) -> None:
        # Says what is wrong with a folder that is none.
        occupancy(self._folder.output_path)
        self._log.refresh()
        if self.state.source and (other := compare(self.state.source, self._source)):
            self._tell.differs(other)
        sweep(self._folder, self.state, self._wall())
        self._started = True
        if self._retry:
            self.take_up()

    def take_up(self) -> None:
        """Take up the epochs that were set aside.

        Raises: what `run` raises.
        """
        if not self._started:
            self._start()
        self._refresh()
        for epoch in self.state.aside:
            self._due.pop(epoch.number, None)
            self._take_up(epoch)
        self._write_set_aside()

    def _ending(self) -> Ending | None:
        """How a single pass has ended; None if it goes on."""
        if not self._once or not self._started:
            return None
        if self.state.outage and self._failures >= self._pace.tries:
            return Ending.LEFT
        if not self._passed or self.state.open:
            return None
        return Ending.LEFT if self._set_aside else Ending.DONE

    # Looking for files

    def _look(self) -> None:
        found = self._found()
        now = self._clock()
        if found.refused:
            raise ChangedInput(
                f"inputPaths: '{found.refused}' has changed since it was scored, and is not to be scored again"
            )
        leaves = self._once and found.chosen is None and self._unsettled + 1 >= _UNSETTLED
        self._tell.looked(found, self._wanted.patterns, leaves=leaves)
        if found.chosen is not None:
            begun = self._begin(found.chosen)
            self._unsettled = 0
            self._next_look = now if found.full or self._once or not begun else now + self._pace.every
        elif self._once:
            # What is still being written after some looks is left to the next pass.
            self._unsettled += 1
            self._passed = not found.waiting or self._unsettled >= _UNSETTLED
            self._next_look = float("inf") if self._passed else now + self._wanted.settle
        else:
            self._next_look = now + self._pace.every
        self._looked = True

    def _found(self) -> Look:
        for _ in range(_GONE):
            number = self._log.number
            try:
                taken = self._ledger.lookup(self.state)
                return look(self._folder, self._wanted, taken, self._observed, now=self._clock(), time=self._wall())
            except Gone as error:
                self._refresh()
                # Whoever merges writes that down before a file goes.
                if self._log.number == number:
                    raise lost(error) from error
        raise NoInput("The ledger of the watch is merged faster than it is read; run the command again.")

    def _begin(self, files: FileList) -> bool:
        """Claim files for the next epoch; False if another watcher has claimed any meanwhile."""
        number = self.state.last + 1
        try:
            if self.state.source:
                # Another watcher may have begun the first one since this one started.
                compare(self.state.source, self._source)
            model = self._model.choose()
            self._refuse_unknown_results(number)
        except BaseException:
            self._delete(files)
            raise
        # Where another watcher has begun one, some of these files may be taken, and are to be looked for anew.
        while self.state.last + 1 == number:
            if self._log.append(Begun(number, files, model, self._source)):
                self._tell.begun(number, files, model)
            else:
                self._refresh()
        # If an error has been raised, the event may be there all the same: the list stays then.
        claimed = files in self.state.claimed.values()
        if not claimed:
            self._delete(files)
        return claimed

    def _refuse_unknown_results(self, number: int) -> None:
        """Refuse to begin an epoch in whose folder there is something: that would be taken for its results.

        Raises:
          OutputRefused: there is.
        """
        results = self._folder.results(number)
        found = occupancy(results)
        if found.owner is None and not found.used:
            return
        # Unless another watcher has begun it meanwhile.
        self._refresh()
        if self.state.last < number:
            raise OutputRefused(
                f"outputPath: '{results}' holds results, but this watch knows of no such epoch: its ledger, "
                f"'{self._folder.root}', was deleted, perhaps. Choose another folder."
            )

    def _delete(self, files: FileList) -> None:
        with contextlib.suppress(OSError):
            storage.delete(self._folder.list(files.name))

    # Doing epochs

    def _try(self, epoch: Epoch) -> None:
        if epoch.error == "ModelUnusable":
            epoch = self._with_other_model(epoch)
        try:
            with self._signs.doing(epoch.number), self._observer.job(epoch) as observer:
                output = self._execute(epoch, observer)
        except BatchPredictError as error:
            self._failed(epoch, error)
            return
        if self._append(epoch, Succeeded(epoch.number, output.to_wire())):
            self._failures = 0
            self._observer.finished(Finished(epoch, output))
            compact(self._log, self._folder, self._ledger, merged=self._pace.merged)

    def _failed(self, epoch: Epoch, error: BatchPredictError) -> None:
        reason = " ".join(str(error).split())
        self._refresh()
        if not self._append(epoch, Failed(epoch.number, type(error).__name__, reason)):
            # Another watcher has done it.
            return
        self._rest(epoch.number)
        self._failures += 1
        self._tell.failed(epoch, reason)

    def _with_other_model(self, epoch: Epoch) -> Epoch:
        """Where the pinned model is gone, what is to be taken now is the model to try."""
        try:
            model = self._model.choose()
        except BatchPredictError:
            return epoch
        if model == epoch.model or not self._append(epoch, Revised(epoch.number, epoch.list, model)):
            return epoch
        self._tell.other_model(epoch, model)
        return self._epoch(epoch.number)

    def _revise(self, epoch: Epoch) -> None:
        left = self._kept(epoch)
        if left is not None and self._append(epoch, Revised(epoch.number, left.list, epoch.model)):
            self._tell.let_go(epoch, left)

    def _take_up(self, epoch: Epoch) -> None:
        left = self._kept(epoch)
        if left is None:
            return
        event = Revised(epoch.number, left.list, self._model.choose(), retry=True, source=self._source)
        while epoch in self.state.aside:
            if self._log.append(event):
                self._tell.taken_up(epoch)
                self._tell.let_go(epoch, left)
            else:
                self._refresh()

    def _kept(self, epoch: Epoch) -> Kept | None:
        try:
            return kept(self._folder, self._ledger, epoch.list)
        except Gone:
            # It was done meanwhile, or another watcher has looked after it.
            return None

    def _put_aside(self, epoch: Epoch) -> None:
        if self._append(epoch, SetAside(epoch.number)):
            self._set_aside = True
            self._tell.set_aside(epoch, self._folder.set_aside)
            self._write_set_aside()

    def _write_set_aside(self) -> None:
        try:
            write_set_aside(self._folder, self._ledger, self.state)
        except Gone:
            # Whoever has changed it writes it.
            return

    # The log

    def _append(self, epoch: Epoch, event: Event) -> bool:
        """Write an event of an epoch that is open; False if it is not any more."""
        while self.state.epoch(epoch.number) is not None:
            if self._log.append(event):
                return True
            self._refresh()
        return False

    def _refresh(self) -> None:
        for event in self._log.refresh():
            if isinstance(event, Failed):
                # The try of another watcher was one as well.
                self._rest(event.epoch)

    def _rest(self, number: int) -> None:
        """Let an epoch that has failed just now rest before the next try."""
        epoch = self.state.epoch(number)
        if epoch is not None:
            self._due[number] = self._clock() + self._backoff(epoch.failures)

    def _epoch(self, number: int) -> Epoch:
        found = self.state.epoch(number)
        assert found is not None, "what is decided is decided of open epochs"
        return found

    def _backoff(self, failures: int) -> float:
        return machine.backoff(failures, first=self._pace.first_backoff, longest=self._pace.longest_backoff)
