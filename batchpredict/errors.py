"""The exceptions of batchpredict, all of them.

* BatchPredictError
  x InvalidJob            a Job resource that breaks its specification: `violations` says where
  x InvalidName           a resource name that does not parse
  x IllegalTransition     a job asked to enter a state it cannot reach from where it is
  x JobFailed             what is wrong with the job itself, not with one of its records
    . NoInput             a pattern in inputPaths that matches nothing, or an input that cannot be read
    . OutputRefused       outputPath cannot be written, or holds another job's results
    . ModelUnusable       the SavedModel does not load, or has no such signature
    . BudgetSpent         more errors than the job allows
    . DeviceFailed        the device failed under the model, in fresh processes too
    . WorkerLost          worker processes die again and again, and no record is to blame
    . InstallFailed       a package of a training job cannot be fetched, built or installed
    . StagingDamaged      a committed part or manifest is missing or unreadable
    . RunnerFailed        the runner cannot be reached, refuses the job, or lost it
  x JobCancelled          somebody stopped the job; what was committed stays
  x WrongCall             the command line is wrong, or the job file that it names
    . WrongFlag           a flag that is missing, or whose value cannot be right
      UnknownFlag         a flag or a runner that nobody knows
  x NoMatch               a path or pattern that matches no file; whoever asked says whose
    . NotListed           one that cannot be listed, or not to its end
* RecordRefused           one record that cannot be scored; of a job it never leaves the hot path of a split
  x BatchTooLarge         a model call that the device's memory does not hold; of one record, that record's error
  x InternalFailure       a kernel's internal error: the record's, or the device's if no record fares better
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


class BatchPredictError(Exception):
    """Anything this package raises on purpose. `str()` of it is one sentence for a user."""


@dataclass(frozen=True)
class Violation:
    """One broken rule of a resource: `field` is its path in snake_case, as the service wrote it."""

    field: str
    description: str

    def __str__(self) -> str:
        return f"Field: {self.field} Error: {self.description}" if self.field else self.description


class InvalidJob(BatchPredictError):
    """A Job resource that breaks its specification.

    `violations` holds every broken rule that was found, in the order of the document.
    """

    def __init__(self, violations: Sequence[Violation]) -> None:
        self.violations = tuple(violations)
        super().__init__("\n".join(str(violation) for violation in self.violations))


class InvalidName(BatchPredictError):
    """A resource name that does not have the form of its kind."""


class IllegalTransition(BatchPredictError):
    """A job was asked to enter a state that cannot follow the one it is in."""


class JobFailed(BatchPredictError):
    """The job itself cannot succeed, whatever is retried. The message becomes the job's errorMessage."""


class NoInput(JobFailed):
    """A pattern of inputPaths matches no file, or the file system refuses to list or read it."""


class OutputRefused(JobFailed):
    """outputPath cannot be written to, or holds results that another job published."""


class ModelUnusable(JobFailed):
    """The SavedModel cannot be loaded, or does not have the signature that was asked for."""


class NoMatch(BatchPredictError):
    """A path or pattern matches no file. It does not say whose."""


class NotListed(NoMatch):
    """What a path or pattern matches cannot be listed to its end: there may be more than was found."""


class BudgetSpent(JobFailed):
    """More records failed than `maxErrors` allows."""


class DeviceFailed(JobFailed):
    """The device that runs the model failed. It is tried again in a fresh process before the job fails."""


class WorkerLost(JobFailed):
    """Worker processes died repeatedly and no single record could be made responsible."""


class InstallFailed(JobFailed):
    """A package of a training job cannot be fetched, built or installed; the message names it."""


class StagingDamaged(JobFailed):
    """Something that a manifest promises is missing from the staging folder."""


class RunnerFailed(JobFailed):
    """The runner cannot be reached, refuses the job, or lost it. What was committed stays."""


class JobCancelled(BatchPredictError):
    """The job was stopped on request. Every committed split stays committed."""


class WrongCall(BatchPredictError):
    """The command line is wrong, or the job file that it names."""


class WrongFlag(WrongCall):
    """A flag that is missing, or whose value cannot be right."""


class UnknownFlag(WrongFlag):
    """A flag that no option of Beam has, which Beam would pass over in silence, or a runner that nobody knows."""


def to_document(error: BatchPredictError) -> dict[str, Any]:
    """An error as JSON, to be raised in another process: its class by name, its sentence, its violations."""
    document: dict[str, Any] = {"error": type(error).__name__, "message": str(error)}
    if isinstance(error, InvalidJob):
        document["violations"] = [asdict(violation) for violation in error.violations]
    return document


def from_document(document: dict[str, Any]) -> BatchPredictError:
    """The error that `to_document` wrote; a JobFailed for a class that is none of ours."""
    if document.get("violations"):
        return InvalidJob([Violation(**violation) for violation in document["violations"]])
    kind = globals().get(str(document.get("error")))
    if not (isinstance(kind, type) and issubclass(kind, BatchPredictError)) or kind is InvalidJob:
        kind = JobFailed
    return kind(str(document.get("message")))


# The service's own names for what can go wrong with an instance (kubeflow/batch-predict, PredictionError),
# then two for what the service never reported at all.
INVALID_INPUTS = "INVALID_INPUTS"
FAILED_TO_RUN_MODEL = "FAILED_TO_RUN_MODEL"
INVALID_OUTPUTS = "INVALID_OUTPUTS"
CORRUPT_INPUT = "CORRUPT_INPUT"
RECORD_TOO_LARGE = "RECORD_TOO_LARGE"


class RecordRefused(Exception):
    """One record that cannot be scored: `code` is one of the constants above, `message` the reason."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        self.message = message
        super().__init__(f"{code}: {message}")

    def __reduce__(self) -> tuple[type[RecordRefused], tuple[str, str]]:
        return type(self), (self.code, self.message)


class BatchTooLarge(RecordRefused):
    """A model call that the device's memory does not hold: fewer records may fit."""


class InternalFailure(RecordRefused):
    """An internal error of a kernel: of this record, or of the machine where one record after the other has it."""
