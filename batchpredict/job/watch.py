"""The Watch resource, ours: a prediction job over files that keep arriving, as the service takes it.

The service of 2017 had no such thing. It is a resource of its own and not a job that never ends, because what waits
for files needs no worker, takes no place among the running jobs and has no state that clients of jobs wait for; and
because what it scores are ordinary jobs, one for each epoch, which everything that knows jobs can list and cancel.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator

from batchpredict.job.prediction import PredictionInput
from batchpredict.job.reading import decode, load
from batchpredict.job.scalars import to_seconds
from batchpredict.job.wire import (
    Bool,
    Count64,
    Duration,
    Findings,
    Positive64,
    Timestamp,
    Wire,
    WireEnum,
    refuse,
    rule,
)
from batchpredict.resources import id_fault

WATCH_LABEL = "watch"
"""The label of the jobs of a watch, which is the service's to set; see `watch_label`."""

DEFAULT_EVERY = 30.0
DEFAULT_SETTLE = 10.0
DEFAULT_TRIES = 5
"""As of `batchpredict watch`."""

# The names of an epoch's jobs, which begin with that of the watch, are ids as well.
_LONGEST_ID = 100
_LONGEST_SECONDS = 365 * 24 * 3600

_OUTPUT_ONLY = ("name", "create_time", "state", "leader", "error_message", "epochs", "set_aside_epochs", "notes")


def watch_label(watch_id: str) -> str:
    """The value of the label: the id of the watch, in lower case and as long as labels are."""
    return watch_id.lower()[:63]


def _legal_id(text: str) -> str:
    fault = id_fault(text)
    if fault is None and len(text) > _LONGEST_ID:
        fault = f"A name of a watch should have at most {_LONGEST_ID} characters; this one has {len(text)}."
    if fault:
        raise refuse(fault)
    return text


class ChangedFiles(WireEnum):
    """What is to become of a file that has changed since it was scored."""

    RESCORE = "RESCORE"
    IGNORE = "IGNORE"
    FAIL = "FAIL"


class WatchActivity(WireEnum):
    """Whether a watch looks for files."""

    ACTIVE = "ACTIVE"
    PAUSED = "PAUSED"


class WatchNote(Wire):
    """Something that a watch had to say: a file that has changed, an epoch that was set aside."""

    time: Timestamp | None = None
    severity: str | None = None
    message: str | None = None


class Watch(Wire):
    """A prediction job over files that keep arriving. Read one with `submitted`.

    `prediction_input` is that of each epoch's job; its outputPath gets a folder for each epoch.
    """

    watch_id: Annotated[str, AfterValidator(_legal_id)]
    prediction_input: PredictionInput
    # uri is a folder of versions, of which each epoch takes the one with the highest number.
    newest_version: Bool | None = None
    every: Duration | None = None
    settle: Duration | None = None
    max_files: Positive64 | None = None
    max_bytes: Positive64 | None = None
    changed: ChangedFiles | None = None
    tries: Positive64 | None = None
    labels: dict[str, str] | None = None

    name: str | None = None
    create_time: Timestamp | None = None
    state: WatchActivity | None = None
    # The worker that leads it; absent as long as none does.
    leader: str | None = None
    error_message: str | None = None
    epochs: Count64 | None = None
    set_aside_epochs: Count64 | None = None
    notes: tuple[WatchNote, ...] = ()

    @classmethod
    def submitted(cls, data: bytes | str | Mapping[str, Any]) -> Watch:
        """Read the Watch of a create request; output-only fields are ignored unread.

        Raises:
            InvalidJob: with every violation, in the order of the document.
        """
        known = cls.spellings()
        sent = {key: value for key, value in load(data).items() if known.get(key) not in _OUTPUT_ONLY}
        watch = decode(cls, sent, root="watch")
        asked = sent.get("predictionInput") or sent.get("prediction_input") or {}
        return watch.model_copy(update={"prediction_input": watch.prediction_input.sent_as(asked)})

    @rule("newest_version", "prediction_input")
    def _versions_of_a_folder(self) -> Findings:
        if self.newest_version and not (self.prediction_input.uri or "").strip():
            yield (
                ("newest_version",),
                "Only with a uri: the default version of a model is chosen for each epoch anyway.",
            )

    @rule("every")
    def _some_pause(self) -> Findings:
        if self.every is not None and not 1 <= to_seconds(self.every) <= _LONGEST_SECONDS:
            yield ("every",), 'Expected a pause of "1s" or more, at most a year.'

    @rule("settle")
    def _no_time_machine(self) -> Findings:
        if self.settle is not None and not 0 <= to_seconds(self.settle) <= _LONGEST_SECONDS:
            yield ("settle",), 'Expected a time of "0s" or more, at most a year.'

    @property
    def effective_every(self) -> float:
        """Seconds between two looks for files."""
        return DEFAULT_EVERY if self.every is None else float(to_seconds(self.every))

    @property
    def effective_settle(self) -> float:
        """Seconds for which a file has to be unchanged before it is taken."""
        return DEFAULT_SETTLE if self.settle is None else float(to_seconds(self.settle))

    @property
    def effective_changed(self) -> ChangedFiles:
        return self.changed or ChangedFiles.RESCORE

    @property
    def effective_tries(self) -> int:
        """Of an epoch, before it is set aside."""
        return self.tries or DEFAULT_TRIES


class Epoch(Wire):
    """Some files that a watch has taken together, and the job that scores them."""

    epoch: Count64 | None = None
    state: str | None = None
    files: Count64 | None = None
    bytes: Count64 | None = None
    model: str | None = None
    job: str | None = None
    failures: Count64 | None = None
    error_message: str | None = None
    create_time: Timestamp | None = None
    end_time: Timestamp | None = None
