"""The process of a watch: `python -m batchpredict.service.worker.watches.process FD`.

It reads its order and the worker's replies from stdin, says what it finds on the pipe FD, and goes on until it is
told to stop. SIGTERM stops it; what is written to the output folder stays, and the next leader goes on from there.
"""

from __future__ import annotations

import contextlib
import queue
import sys
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NoReturn

from batchpredict import epochs, storage
from batchpredict.errors import BatchPredictError, InvalidJob, ModelUnusable, WrongFlag, from_document
from batchpredict.job import PredictionOutput
from batchpredict.launch import silence_logs
from batchpredict.service.access import RootedPaths
from batchpredict.service.worker.child import Pipe, StopAsked, end, stop_no_more, stop_when_terminated
from batchpredict.service.worker.watches.protocol import (
    AskModel,
    EpochStands,
    JobEnded,
    ModelIs,
    Noted,
    Refusal,
    Refused,
    Reply,
    Retry,
    Stands,
    Submit,
    WatchMessage,
    WatchOrder,
    read_order,
    read_reply,
)

if TYPE_CHECKING:
    from batchpredict.ledger import Snapshot
    from batchpredict.runners import Observer

# What no later try mends.
_FOR_A_PERSON = (epochs.ChangedInput, InvalidJob, WrongFlag)
# Epochs that are told of: more than these are set aside only where nobody looks for years.
_MOST_EPOCHS = 1000
_LONGEST_REASON = 500
# Seconds before the next try where not even the first look has succeeded: the first and the longest.
_FIRST_WAIT, _LONGEST_WAIT = 5.0, 300.0


def main() -> None:
    """Entry point."""
    pipe = Pipe(int(sys.argv[1]))
    silence_logs()
    line = sys.stdin.buffer.readline()
    if not line:
        end(0)
    stop_when_terminated()
    dialogue = Dialogue(pipe)
    try:
        _lead(read_order(line), dialogue)
    except StopAsked:
        pass
    except _FOR_A_PERSON as error:
        stop_no_more()
        dialogue.say(Refused(" ".join(str(error).split())))
    end(0)


class Dialogue:
    """With the worker.

    Args:
      pipe: to it.

    Attributes:
      interrupted: set when there is something to do besides what is under way.
    """

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe
        self._answers: queue.SimpleQueue[Reply] = queue.SimpleQueue()
        self.interrupted = threading.Event()
        threading.Thread(target=self._listen, name="replies", daemon=True).start()

    def say(self, message: WatchMessage) -> None:
        """Say one thing, whole; from any thread."""
        self._pipe.say(message)

    def ask(self, message: AskModel | Submit) -> ModelIs | JobEnded:
        """Say something and wait for its answer.

        Raises:
          BatchPredictError: that is a refusal.
        """
        self.say(message)
        answer = self._answers.get()
        if isinstance(answer, Refusal):
            raise from_document(answer.error)
        assert isinstance(answer, (ModelIs, JobEnded))
        return answer

    def _listen(self) -> None:
        for line in sys.stdin.buffer:
            reply = read_reply(line)
            if isinstance(reply, Retry):
                self.interrupted.set()
            else:
                self._answers.put(reply)
        # The worker is gone; so will be this process, by its guard.


class _NamedModel:
    """The model of a name, which the worker knows."""

    def __init__(self, dialogue: Dialogue) -> None:
        self._dialogue = dialogue

    def choose(self) -> str:
        """Raises ModelUnusable."""
        try:
            answer = self._dialogue.ask(AskModel())
        except BatchPredictError as error:
            raise ModelUnusable(str(error)) from error
        assert isinstance(answer, ModelIs)
        return answer.uri


class _Jobs:
    """Has epochs done as jobs of the service."""

    def __init__(self, folder: epochs.Folder, dialogue: Dialogue) -> None:
        self._folder = folder
        self._dialogue = dialogue

    def __call__(self, epoch: epochs.Epoch, observer: Observer[Snapshot]) -> PredictionOutput:
        """Do an epoch; what it comes to. Raises the error by which its job has failed."""
        del observer
        there = epochs.ResultsFolder.of(self._folder, epoch)
        if there.done is not None:
            return there.done
        answer = self._dialogue.ask(
            Submit(
                epoch=epoch.number,
                source=epoch.source,
                model=epoch.model,
                output_path=self._folder.results(epoch.number),
                input_list=self._folder.list(epoch.list.name),
                bytes=epoch.list.bytes,
                overwrite=there.overwrite,
                fresh=there.fresh,
            )
        )
        assert isinstance(answer, JobEnded)
        return PredictionOutput.model_validate(answer.output)


class _ToldWatch(epochs.Watch):
    """Tells the worker after every step how the epochs stand: others change that as well, and former watches have.

    Args:
      teller: its observer, which tells it.
      order: how it is to be led.
      dialogue: by which models are asked for, and jobs.
    """

    def __init__(self, teller: _Teller, order: WatchOrder, dialogue: Dialogue) -> None:
        folder = epochs.Folder(order.output_path)
        super().__init__(
            folder,
            epochs.Wanted(
                tuple(order.inputs),
                order.settle,
                epochs.Changed(order.changed.lower()),
                order.max_files,
                order.max_bytes,
            ),
            order.source,
            _model(order, dialogue),
            _Jobs(folder, dialogue),
            teller,
            pace=epochs.Pace(every=order.every, tries=order.tries),
        )
        self._teller = teller
        teller.watch = self

    def step(self) -> epochs.Step:
        """Raises: what `epochs.Watch.step` raises."""
        step = super().step()
        self._teller.tell_state()
        return step


class _Teller:
    """A `WatchObserver` that tells the worker: whatever is told, the state is told with it."""

    def __init__(self, dialogue: Dialogue) -> None:
        self._dialogue = dialogue
        self.watch: epochs.Watch | None = None
        self._told: Stands | None = None
        self._warned = ""

    def message(self, text: str) -> None:
        self._tell("INFO", text)

    def warning(self, text: str) -> None:
        self._tell("WARNING", text)

    def warn_anew(self, text: str) -> None:
        """A warning, unless it was the last one of this kind."""
        if text != self._warned:
            self._warned = text
            self.warning(text)

    @contextlib.contextmanager
    def job(self, epoch: epochs.Epoch) -> Iterator[Any]:
        del epoch
        self.tell_state()
        yield None

    def finished(self, done: epochs.Finished) -> None:
        del done
        self.tell_state()

    def tell_state(self) -> None:
        """Tell how the epochs stand, if that has changed."""
        if self.watch is None:
            return
        state = self.watch.state
        known = [(one, False) for one in state.open] + [(one, True) for one in state.aside[-_MOST_EPOCHS:]]
        stands = Stands(
            state.last,
            [
                EpochStands(
                    epoch=one.number,
                    files=one.list.files,
                    bytes=one.list.bytes,
                    model=one.model,
                    failures=one.failures,
                    reason=one.reason[:_LONGEST_REASON],
                    set_aside=aside,
                )
                for one, aside in known
            ],
        )
        if stands != self._told:
            self._told = stands
            self._dialogue.say(stands)

    def _tell(self, severity: str, text: str) -> None:
        self.tell_state()
        self._dialogue.say(Noted(severity, text[:4000]))


def _lead(order: WatchOrder, dialogue: Dialogue) -> NoReturn:
    """Watch for ever.

    Raises:
      ChangedInput: a file has changed, and must not.
      InvalidJob: a place leads out of the roots.
      WrongFlag: the epochs in the output folder have another format.
    """
    _refuse_strays(order)
    teller = _Teller(dialogue)
    watch = _ToldWatch(teller, order, dialogue)
    wait = _FIRST_WAIT
    while True:
        try:
            watch.run(dialogue.interrupted)
            # Somebody asks for what was set aside.
            dialogue.interrupted.clear()
            watch.take_up()
            teller.tell_state()
            wait = _FIRST_WAIT
        except (epochs.ChangedInput, WrongFlag):
            raise
        except BatchPredictError as error:
            # Not even the first look has succeeded: a store that cannot be reached, a model that is not there yet.
            teller.warn_anew(f"{str(error).rstrip('.')}; tried again")
            dialogue.interrupted.wait(wait)
            wait = min(wait * 2, _LONGEST_WAIT)


def _model(order: WatchOrder, dialogue: Dialogue) -> Any:
    if not order.uri:
        return _NamedModel(dialogue)
    return epochs.NewestVersion(order.uri) if order.newest_version else epochs.FixedModel(order.uri)


def _refuse_strays(order: WatchOrder) -> None:
    """Look at every place of this machine again: links may have changed. Raises InvalidJob."""
    if not order.roots:
        return
    paths = RootedPaths(order.roots, order.excluded)
    places = [(f"prediction_input.input_paths[{at}]", url) for at, url in enumerate(order.inputs)]
    places.append(("prediction_input.output_path", order.output_path))
    if order.uri:
        places.append(("prediction_input.uri", order.uri))
    for field, url in places:
        if storage.is_local(url):
            paths.check(url, field)


if __name__ == "__main__":
    main()
