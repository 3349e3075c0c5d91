"""A second kind of work, the smallest that has all that a work has: it adds numbers up.

It can be made slow and it can fail, it keeps what it has added in a folder and goes on from there, and no runner
has been told of it. `python -c 'import summing; summing.main()' FOLDER COUNT SECONDS RUNNER FLAGS…` carries one.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from batchpredict import storage
from batchpredict.errors import JobFailed
from batchpredict.runners import Channel, Needs, Observer, choose, run

# A step looks so often whether anybody wants the sum any more.
_LOOK_SECONDS = 0.2


@dataclass(frozen=True)
class Sum:
    """What the work comes to."""

    total: int

    def to_wire(self) -> dict[str, Any]:
        return {"total": self.total}


@dataclass(frozen=True)
class Added:
    """How far it is: so many of the numbers are added."""

    numbers: int
    of: int


@dataclass(frozen=True)
class SummingWork:
    """Adds up the numbers from 1 to `count`.

    Attributes:
      url: folder for what is added.
      count: how many numbers.
      seconds: that each of them takes.
      refused: a number at which the work fails; 0 for none.
    """

    url: str
    count: int
    seconds: float = 0.0
    refused: int = 0

    job_id = "sum"
    needs = Needs(max_workers=2)

    @property
    def folder(self) -> str:
        return storage.join(self.url, "channels")

    def places(self) -> Sequence[tuple[str, str]]:
        return [("folder", self.url)]

    def here(self, channel: Channel, observer: Observer[Added]) -> SummingDriver:
        driver = SummingDriver(self, channel)
        observer.progress(driver.snapshot())
        return driver

    def elsewhere(self, channel: Channel | None, observer: Observer[Added]) -> SummingDriver:
        return SummingDriver(self, channel)

    def numbers_url(self, number: int | None = None) -> str:
        folder = storage.join(self.url, "numbers")
        return folder if number is None else storage.join(folder, f"{number:08d}")

    def added(self) -> set[int]:
        """The numbers that are added; a writer that was killed may have left a file of another name."""
        return {int(name) for name in storage.list_names(self.numbers_url()) if name.isdigit()}

    @property
    def total_url(self) -> str:
        return storage.join(self.url, "total.json")


class SummingDriver:
    """The submitting process's side."""

    def __init__(self, work: SummingWork, channel: Channel | None) -> None:
        self._work = work
        self._channel = channel

    @property
    def done(self) -> bool:
        return self.output() is not None

    def expand(self, pipeline: Any) -> None:
        from summing_steps import transforms

        transforms(pipeline, self._work, self._channel)

    def snapshot(self, *, at_once: bool = False) -> Added:
        return Added(len(self._work.added()), self._work.count)

    def sign_of_life(self) -> object:
        return self.snapshot()

    def output(self) -> Sum | None:
        try:
            return Sum(json.loads(storage.read_bytes(self._work.total_url)))
        except FileNotFoundError:
            return None

    def unrun(self) -> Sum:
        return Sum(0)

    def stop(self) -> None:
        pass

    def close(self) -> None:
        pass


def add(work: SummingWork, number: int, wanted: Iterator[bool]) -> None:
    """Add one number, slowly, as long as it is wanted.

    Raises:
      JobFailed: it is the number that is refused.
    """
    if number == work.refused:
        raise JobFailed(f"The number {number} is refused.")
    end = time.monotonic() + work.seconds
    while time.monotonic() < end:
        time.sleep(min(_LOOK_SECONDS, work.seconds))
        if not next(wanted):
            return
    storage.create_if_absent(work.numbers_url(number), str(number).encode())


def main() -> None:
    """Carry one, from the command line; prints what it comes to."""
    url, count, seconds, runner, *flags = sys.argv[1:]
    print(run(choose(runner, flags), SummingWork(url, int(count), float(seconds))).total)
