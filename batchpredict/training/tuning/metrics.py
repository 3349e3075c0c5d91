"""The objective of a trial while it runs, from event files in its directory and from cloudml-hypertune's file."""

from __future__ import annotations

from collections.abc import Iterator

from batchpredict import storage
from batchpredict.errors import JobFailed
from batchpredict.formats import GrowingTFRecord
from batchpredict.training.tuning.event_messages import Scalar, scalars
from batchpredict.training.tuning.hypertune import reports
from batchpredict.training.tuning.trial import Metric

MAX_METRICS = 100_000
"""Steps of one trial with a value of the objective. The service had such a bound and never said which."""

# By which TensorBoard knows an event file, in its name.
_EVENT_FILE = "tfevents"


class MetricTail:
    """Follows what a trial measures.

    Args:
      job_dir: URL of the trial's directory: event files count wherever they lie below it; None for none.
      hypertune_file: URL of the file that the trial has as CLOUD_ML_HP_METRIC_FILE; None for none.
      tag: of the objective, as TensorBoard shows it.
      trial_id: what the trial has as CLOUD_ML_TRIAL_ID.

    Attributes:
      tags_seen: of all scalars, for whoever looks in vain for the objective.
      faults: what could not be read, as sentences.
    """

    def __init__(self, job_dir: str | None, hypertune_file: str | None, tag: str, trial_id: str) -> None:
        self.tags_seen: set[str] = set()
        self._job_dir = job_dir
        self._hypertune_file = hypertune_file
        self._tag = tag
        self._trial = trial_id
        self._files: dict[str, GrowingTFRecord] = {}
        self._by_step: dict[int, Metric] = {}
        self._new: dict[int, Metric] = {}

    @property
    def faults(self) -> list[str]:
        return [file.fault for file in self._files.values() if file.fault is not None]

    @property
    def metrics(self) -> list[Metric]:
        """All of the objective so far, one a step, in the order of the steps."""
        return [self._by_step[step] for step in sorted(self._by_step)]

    def poll(self) -> list[Metric]:
        """What has come since the last call, in the order of the steps.

        A trainer that was restarted goes through some steps again: of one step the value that was written last
        counts, and is given here when it replaces an earlier one.

        Raises:
          JobFailed: there are more than `MAX_METRICS`.
          OSError: the storage cannot be read. Nothing is lost: what was not given is given by a later call.
        """
        for scalar in self._scalars():
            self.tags_seen.add(scalar.tag)
            if scalar.tag == self._tag:
                self._take(Metric(scalar.step, scalar.value, scalar.seconds))
        # What has been read is not read again: of a call that raised, the next one gives it.
        new, self._new = self._new, {}
        return [new[step] for step in sorted(new)]

    def _take(self, metric: Metric) -> None:
        known = self._by_step.get(metric.step)
        if known is not None and known.seconds >= metric.seconds:
            return
        if known is None and len(self._by_step) >= MAX_METRICS:
            raise JobFailed(
                "Too many hyperparameter tuning metrics were written by "
                f"Hyperparameter Tuning Trial #{self._trial}."
            )
        self._by_step[metric.step] = self._new[metric.step] = metric

    def _scalars(self) -> Iterator[Scalar]:
        if self._job_dir is not None:
            yield from self._of_event_files(self._job_dir)
        if self._hypertune_file is not None:
            try:
                content = storage.read_bytes(self._hypertune_file)
            except FileNotFoundError:
                return
            yield from reports(content, self._trial)

    def _of_event_files(self, folder: str) -> Iterator[Scalar]:
        for found in sorted(storage.walk(folder), key=lambda found: found.path):
            if _EVENT_FILE not in storage.name_of(found.path) or found.path.endswith("/"):
                continue
            url = storage.join(folder, found.path)
            file = self._files.setdefault(url, GrowingTFRecord(url))
            try:
                for event in file.poll(found.size):
                    yield from scalars(event)
            except FileNotFoundError:
                # The trainer has cleaned up behind itself.
                continue
