"""One work from a shell: carried to its end or to a signal, with what there is to say on the way."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from batchpredict.errors import BatchPredictError, InvalidJob, WrongCall
from batchpredict.launch.status import INTERRUPTED, SUCCEEDED, TERMINATED, status_of

if TYPE_CHECKING:
    from batchpredict.runners import Runner, Work


class Progress(Protocol):
    """What a snapshot can say of itself."""

    def resumed_sentence(self) -> str:
        """What earlier runs have left; "" if nothing."""
        ...

    def kept_sentence(self) -> str:
        """What is kept if the work ends now."""
        ...


class Report(Progress, Protocol):
    """What a snapshot can say besides to whoever keeps the job."""

    @property
    def committed(self) -> int:
        """Grows with whatever would not be lost if the work ended now."""
        ...

    def to_output(self) -> dict[str, Any]:
        """What the work has come to so far, as the Job's output field has it on the wire."""
        ...

    def to_progress(self) -> dict[str, Any]:
        """How far it is: "done" and "total" of one unit, and what else its kind has to show."""
        ...


class Outcome(Protocol):
    """What a work comes to."""

    def to_wire(self) -> dict[str, Any]: ...


P = TypeVar("P", bound=Progress)
P_contra = TypeVar("P_contra", bound=Progress, contravariant=True)
Out = TypeVar("Out", bound=Outcome)


class Reporter(Protocol[P_contra]):
    """An observer for people, who are also told how it ended; see `batchpredict.runners.Observer` for the rest."""

    def progress(self, snapshot: P_contra) -> None: ...

    def warning(self, message: str) -> None: ...

    def message(self, text: str, task: str = "") -> None: ...

    def error(self, text: str) -> None:
        """Say why it failed, or that it was stopped."""
        ...

    def close(self) -> None:
        """Give the terminal back; may be called again."""
        ...


def by_task(text: str, task: str) -> str:
    """A line with the name of the process that has written it, if it is one of the work's."""
    return f"{task}: {text}" if task else text


class Lines:
    """A reporter that tells what a user has to know, a line each on stderr, and no progress."""

    def __init__(self, program: str) -> None:
        self._program = program

    def progress(self, snapshot: object) -> None:
        del snapshot

    def warning(self, message: str) -> None:
        self.error(f"{self._program}: {message}")

    def message(self, text: str, task: str = "") -> None:
        self.error(f"{self._program}: {by_task(text, task)}")

    def error(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    def close(self) -> None:
        """Nothing is held."""


class Terminated(BaseException):
    """SIGTERM, as an exception of the main thread."""


def silence_logs() -> None:
    """Keep to ourselves what Beam and clients of stores log of what they miss: it is no news to a user."""
    logging.basicConfig(level=logging.DEBUG if os.environ.get("BATCHPREDICT_DEBUG") else logging.CRITICAL)


def carry(
    program: str,
    runner: Runner,
    work: Work[P, Out],
    reporter: Reporter[P],
    *,
    worded: Callable[[str], str] = str,
    remark: Callable[[Out], str] | None = None,
) -> int:
    """Have a work done, print what it came to as JSON on stdout, and give the exit status.

    SIGINT and SIGTERM cancel the work; then this does not return, but ends the process.

    Args:
      program: what messages begin with.
      runner: takes the work.
      work: of any kind.
      reporter: told of progress and of the end; closed.
      worded: puts the name of a flag for that of a field in a message.
      remark: gives what is worth knowing of a success; "" for nothing.
    """
    watcher = _Watcher(reporter)
    raise_when_terminated()
    try:
        # A call that is wrong is answered before anything that takes its time to import.
        from batchpredict.runners import run, silence_threads

        silence_threads()
        outcome = run(runner, work, watcher)
    except (KeyboardInterrupt, Terminated) as stopped:
        with ending_at_once(stopped):
            reporter.error(f"{program}: stopped; {watcher.kept()}. Run the same command again to go on.")
            reporter.close()
    except BatchPredictError as error:
        what = "" if isinstance(error, WrongCall) else "the job failed: "
        reporter.error(f"{program}: {what}{worded(str(error))}")
        return status_of(error)
    finally:
        reporter.close()
    try:
        if remark is not None and (said := remark(outcome)):
            reporter.message(said)
        print(json.dumps(outcome.to_wire(), indent=2))
    except KeyboardInterrupt:
        reporter.error(f"{program}: stopped; the job is done. Run the same command again for what it came to.")
        return INTERRUPTED
    return SUCCEEDED


def refuse(program: str, error: InvalidJob | WrongCall) -> int:
    """Say what is wrong with a call before anything is run; the exit status."""
    for line in str(error).splitlines():
        print(f"{program}: {line}", file=sys.stderr)
    return status_of(error)


def stopped_early(program: str) -> int:
    """Say that a Ctrl-C came before there was a work to carry; the exit status."""
    print(f"{program}: stopped; nothing was begun.", file=sys.stderr)
    return INTERRUPTED


@contextlib.contextmanager
def ending_at_once(stopped: KeyboardInterrupt | Terminated) -> Iterator[None]:
    """What a command says that a signal has stopped; behind it the process ends, with the status of the signal."""
    # A second Ctrl-C must not cut this short: it takes no time.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    yield
    sys.stdout.flush()
    sys.stderr.flush()
    # Beam's thread may still hold on to something; the workers are gone, and nothing else needs an end.
    os._exit(INTERRUPTED if isinstance(stopped, KeyboardInterrupt) else TERMINATED)


def raise_when_terminated() -> None:
    """Have SIGTERM raise `Terminated` in the main thread."""
    signal.signal(signal.SIGTERM, _on_terminate)


def _on_terminate(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise Terminated


class _Watcher(Generic[P]):
    """Passes everything on, says at the start what earlier runs have left, and knows at the end what is kept."""

    def __init__(self, reporter: Reporter[P]) -> None:
        self._reporter = reporter
        self._last: P | None = None

    def progress(self, snapshot: P) -> None:
        if self._last is None and (said := snapshot.resumed_sentence()):
            self._reporter.message(said)
        self._last = snapshot
        self._reporter.progress(snapshot)

    def warning(self, message: str) -> None:
        self._reporter.warning(message)

    def message(self, text: str, task: str = "") -> None:
        self._reporter.message(text, task)

    def kept(self) -> str:
        return "nothing was begun" if self._last is None else self._last.kept_sentence()
