"""A trial's objective, followed by the host of its master while it runs, and what the trial came to."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence

from batchpredict import storage
from batchpredict.errors import BatchPredictError
from batchpredict.training.folder import TrainingFolder
from batchpredict.training.gang import Ending, Outcome
from batchpredict.training.outcome import why_failed
from batchpredict.training.search import Known, Trials
from batchpredict.training.spec import TrainingSpec
from batchpredict.training.tuning import Metric, MetricTail, Trial, TrialState, is_hopeless
from batchpredict.training.workplace import Workplace

_LOOK_SECONDS = 2.0
# Values of a trial that are kept: evenly chosen of more, the last one always.
_KEPT = 1000


class TrialWatch:
    """One trial, as one of its hosts sees it.

    Attributes:
      hypertune: path of the file that cloudml-hypertune is to write on this host.
      hopeless: the trial is to be stopped early.
    """

    def __init__(self, spec: TrainingSpec, folder: TrainingFolder, one: Known, workplace: Workplace) -> None:
        tuning = spec.tuning
        assert tuning is not None
        self._tuning = tuning
        self._folder = folder
        self._one = one
        self._logs = workplace.logs
        self._trials = Trials(folder)
        self._place = folder.trial(one.trial.number)
        self._metrics: list[Metric] = []
        self._mine = False
        self._ended = threading.Event()
        self.hopeless = False
        # Below what the workplace removes at its end.
        self.hypertune = os.path.join(workplace.path, "hypertune", str(one.trial.number), "output.metrics")
        os.makedirs(os.path.dirname(self.hypertune), exist_ok=True)
        self._tail = MetricTail(
            storage.join(spec.job_dir, str(one.trial.number)) if spec.job_dir else None,
            self.hypertune,
            tuning.effective_metric_tag,
            str(one.trial.number),
        )

    @contextlib.contextmanager
    def watching(self, is_master: Callable[[], bool]) -> Iterator[None]:
        """Follow the objective, as long as this host runs the master."""
        thread = threading.Thread(target=self._follow, args=(is_master,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            thread.join()

    def conclude(self, outcome: Outcome, *, stopped: bool) -> None:
        """Say what came of the trial, unless the whole job was stopped: then it is to go on.

        Any host says so, if the one of the master does not: the first word counts.
        """
        if not self.hopeless and (stopped or outcome.ending is Ending.CANCELLED):
            return
        if not self._mine:
            # The master's host has more to say, and is given the time for it.
            time.sleep(2 * _LOOK_SECONDS)
        if self._mine or self._place.ended() is None:
            self._look()
            self._end(outcome)

    def _end(self, outcome: Outcome) -> None:
        state = TrialState.STOPPED if self.hopeless else TrialState.COMPLETED
        if outcome.ending is Ending.FAILED:
            state = TrialState.FAILED
        if state is TrialState.COMPLETED and not self._metrics:
            self._say_unseen()
        self._place.end(
            {
                "state": state.value,
                "metrics": _thinned(self._metrics),
                "time": time.time(),
                "reason": why_failed(outcome),
            }
        )

    def _say_unseen(self) -> None:
        tags = ", ".join(sorted(self._tail.tags_seen)[:20]) or "none at all"
        tag = self._tuning.effective_metric_tag
        text = f'The trial has ended without a value of its objective "{tag}"; it wrote these tags: {tags}.'
        self._logs.add("service", str(self._one.trial.number), text)

    def _follow(self, is_master: Callable[[], bool]) -> None:
        while not self._ended.wait(_LOOK_SECONDS):
            if is_master():
                self._mine = True
                self._look()
        self._mine = self._mine or is_master()

    def _look(self) -> None:
        # What cannot be read now is read with the next look; at the end what is known is what counts.
        with contextlib.suppress(OSError, BatchPredictError):
            new = self._tail.poll()
            self._metrics = self._tail.metrics
            if new and not self._ended.is_set():
                self._place.see({"metrics": _thinned(self._metrics)})
                self._judge()

    def _judge(self) -> None:
        if not self._tuning.enable_trial_early_stopping:
            return
        trial = Trial(
            number=self._one.trial.number,
            values=self._one.trial.values,
            state=TrialState.PENDING,
            metrics=tuple(self._metrics),
        )
        completed = [one.trial for one in self._trials.load() if one.trial.state is TrialState.COMPLETED]
        self.hopeless = self.hopeless or is_hopeless(trial, completed, self._tuning.effective_goal)


def _thinned(metrics: Sequence[Metric]) -> list[tuple[int, float, float]]:
    stride = -(-len(metrics) // _KEPT)
    kept = list(metrics[:: max(stride, 1)])
    if metrics and kept[-1] is not metrics[-1]:
        kept.append(metrics[-1])
    return [(metric.step, metric.value, metric.seconds) for metric in kept]
