"""What the tests of watches share: a watch over a store in memory whose jobs are done by the test."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from batchpredict import storage
from batchpredict.epochs.folder import Folder
from batchpredict.epochs.interface import Ending, Finished, Pace
from batchpredict.epochs.listing import Wanted
from batchpredict.epochs.runs import Gone, Ledger
from batchpredict.epochs.state import Epoch
from batchpredict.epochs.watch import Watch
from batchpredict.errors import BatchPredictError, ModelUnusable, NoInput, StagingDamaged
from batchpredict.job import PredictionOutput

SOURCE = {"dataFormat": "TEXT", "inputPaths": ["in/*"]}
# A machine on which the test says what time it is.
PACE = Pace(every=30.0, first_backoff=10.0, longest_backoff=40.0, tries=3, merged=3)


class Clock:
    """A clock that stands still unless somebody moves it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def pass_by(self, seconds: float) -> None:
        self.now += seconds


@dataclass
class Heard:
    """A `WatchObserver` that writes down what it is told."""

    messages: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    done: list[Finished] = field(default_factory=list)

    def message(self, text: str) -> None:
        self.messages.append(text)

    def warning(self, text: str) -> None:
        self.warnings.append(text)

    @contextlib.contextmanager
    def job(self, epoch: Epoch) -> Iterator[Any]:
        del epoch
        yield None

    def finished(self, done: Finished) -> None:
        self.done.append(done)


@dataclass
class NamedModel:
    """A model that is there under a name, or is not."""

    uri: str = "model"

    def choose(self) -> str:
        if not self.uri:
            raise ModelUnusable("uri: there is no such folder.")
        return self.uri


class World:
    """Inputs, an output folder, and the jobs of its epochs, which publish what they score once for each folder.

    Attributes:
      results: by epoch, the files that were scored, each with its version.
      tried: epochs whose jobs were begun, in order.
      trouble: by epoch, what its job raises; under 0, what every job does.
    """

    def __init__(self, store: storage.Double) -> None:
        self.store = store
        self.base = store.folder()
        self.folder = Folder(f"{self.base}/out")
        self.results: dict[int, list[tuple[str, str]]] = {}
        self.tried: list[int] = []
        self.trouble: dict[int, BatchPredictError] = {}
        self.model = NamedModel()
        self.clock = Clock()
        self.heard = Heard()
        self._watches: list[Watch] = []

    def write(self, name: str, data: bytes = b"1\n") -> str:
        """Write an input; gives its URL."""
        return self.store.put(f"{self.base}/in/{name}", data)

    def delete(self, name: str) -> None:
        self.store.delete(f"{self.base}/in/{name}")

    def inputs(self) -> dict[str, str]:
        """Version by URL of all inputs that are there."""
        found = self.store.files(f"{self.base}/in")
        return {file.url: file.version for file in found}

    def watch(self, *, settle: float = 0.0, pace: Pace = PACE, source: Any = SOURCE, **wishes: Any) -> Watch:
        """A watcher. Further fields of `Wanted` and `Watch` by their names."""
        of_wanted = {name: wishes.pop(name) for name in ("changed", "max_files", "max_bytes") if name in wishes}
        watch = Watch(
            self.folder,
            Wanted((f"{self.base}/in/*",), settle, **of_wanted),
            source,
            wishes.pop("model", self.model),
            wishes.pop("execute", self.execute),
            self.heard,
            pace=pace,
            clock=self.clock,
            wall=lambda: 0.0,
            **wishes,
        )
        self._watches.append(watch)
        return watch

    def close(self) -> None:
        for watch in self._watches:
            watch.close()

    def execute(self, epoch: Epoch, observer: Any) -> PredictionOutput:
        """A job: all of its files as they were claimed, or none of them."""
        del observer
        self.tried.append(epoch.number)
        if epoch.number not in self.results:
            for trouble in (self.trouble.get(0), self.trouble.get(epoch.number)):
                if trouble is not None:
                    raise trouble
            try:
                files = list(Ledger(self.folder).entries(epoch.list))
            except Gone as error:
                # As the planner of a job says it.
                raise StagingDamaged(f"The list of input files {error} cannot be read.") from error
            there = self.inputs()
            for file in files:
                if there.get(file.url) != file.version:
                    raise NoInput(f"inputPaths: '{file.url}' has changed since the job was planned")
            self.results.setdefault(epoch.number, [(file.url, file.version) for file in files])
        count = len(self.results[epoch.number])
        return PredictionOutput(output_path="out", prediction_count=count, error_count=0)

    def once(self, **wishes: Any) -> Ending:
        """A single pass to its end, however long it rests."""
        return self.watch(once=True, **wishes).run(self.stop())

    def stop(self) -> threading.Event:
        """An event that nobody sets and for which nobody waits: the clock goes on instead."""
        return _Unset(self.clock)

    def scored(self) -> list[tuple[str, str]]:
        """Every file of every epoch, with its version, sorted."""
        return sorted(file for files in self.results.values() for file in files)


class _Unset(threading.Event):
    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        # A little more: what was to be at that time is due then.
        self._clock.pass_by(timeout + 0.001)
        return False


def steps(watch: Watch, most: int, until: Callable[[], bool] = lambda: False) -> None:
    """Let a watch do so many steps, or as many as it takes."""
    for _ in range(most):
        if until():
            return
        watch.step()
