"""What happens to a worker, and what it is to do about it: the words between the machine and its shell.

Times are seconds of `clock`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from batchpredict.service.queue.fairness import Room
from batchpredict.service.queue.lifecycle import Standing
from batchpredict.service.store.interface import StoredJob


@dataclass(frozen=True)
class Run:
    """One lease of a job, and the process group that runs it then."""

    project: str
    job_id: str
    generation: int

    @property
    def key(self) -> tuple[str, str]:
        """As the store names the job."""
        return self.project, self.job_id

    @classmethod
    def of(cls, job: StoredJob) -> Run:
        """That of a job which was just claimed."""
        return cls(job.project, job.job_id, job.standing.generation)


# What a job process can say of its end ------------------------------------------------------------------------


@dataclass(frozen=True)
class Done:
    """It has come to its end; `output` is what it came to, in wire form."""

    output: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Refused:
    """The job cannot succeed; the message is for its errorMessage, and `error` the name of the error's class."""

    message: str
    error: str = ""


@dataclass(frozen=True)
class Stopped:
    """It ended because it was asked to."""


Outcome = Done | Refused | Stopped


# Events -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Tick:
    """Time has gone by."""


@dataclass(frozen=True)
class Claimed:
    """A round of claims has ended, with these jobs; it had begun at `asked`."""

    jobs: tuple[StoredJob, ...]
    asked: float


@dataclass(frozen=True)
class Renewed:
    """The store has renewed what this worker holds.

    Attributes:
      standings: what it holds, by the store.
      runs: what it held, by itself, when the store was asked.
      asked: when that was.
    """

    standings: Mapping[tuple[str, str], Standing]
    runs: frozenset[Run]
    asked: float


@dataclass(frozen=True)
class NotRenewed:
    """The store could not be asked."""


@dataclass(frozen=True)
class Began:
    """The pipeline of a job runs."""

    run: Run


@dataclass(frozen=True)
class Reported:
    """A job process has said how far it is; `committed` counts what would not be lost with it."""

    run: Run
    committed: int
    output: Mapping[str, Any] = field(default_factory=dict)
    progress: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Ended:
    """A job process has said that it comes to its end. It may still be there."""

    run: Run
    outcome: Outcome


@dataclass(frozen=True)
class Died:
    """No process of a job is left; `how` the first one ended, as part of a sentence."""

    run: Run
    how: str


@dataclass(frozen=True)
class Settled:
    """The store knows the end of a run, or has refused to hear of it."""

    run: Run


@dataclass(frozen=True)
class SpareDied:
    """The process that was kept ready is gone."""


@dataclass(frozen=True)
class Shutdown:
    """The worker is to end, and others are to go on with its jobs."""


Event = Tick | Claimed | Renewed | NotRenewed | Began | Reported | Ended | Died | Settled | SpareDied | Shutdown


# Instructions -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class AskForJobs:
    """Claim what there is room for; answered by `Claimed`, also where it fails.

    Attributes:
      room: of this worker.
      held: jobs of which something is still here, perhaps of an earlier lease: not to be claimed until it is gone.
    """

    room: Room
    held: frozenset[tuple[str, str]] = frozenset()


@dataclass(frozen=True)
class RenewLeases:
    """Answered by `Renewed` or `NotRenewed`."""

    runs: frozenset[Run]


@dataclass(frozen=True)
class ExpireLeases:
    """Take back what others have not renewed."""


@dataclass(frozen=True)
class ReportWorker:
    """Tell the store that this worker is there, and how many jobs it has."""

    jobs: int


@dataclass(frozen=True)
class KeepSpare:
    """Start a process that is ready for whatever job comes."""


@dataclass(frozen=True)
class StartProcess:
    """Start the process of a job. Its whole group ends by itself at `until`, unless that is moved."""

    run: Run
    job: StoredJob
    until: float


@dataclass(frozen=True)
class Extend:
    """Move the time at which a process group ends by itself."""

    run: Run
    until: float


@dataclass(frozen=True)
class AskToStop:
    """Have a job process stop its work and end."""

    run: Run
    why: str


@dataclass(frozen=True)
class Kill:
    """End every process of a job now."""

    run: Run


@dataclass(frozen=True)
class TellBegin:
    run: Run


@dataclass(frozen=True)
class TellReport:
    """How far a job is; `advanced`: something was committed since the last report."""

    run: Run
    advanced: bool
    output: Mapping[str, Any]
    progress: Mapping[str, Any]


@dataclass(frozen=True)
class TellEnd:
    """The last word on a run; answered by `Settled`.

    Attributes:
      event: "succeed", "fail", "stop", "release" or "lose", as in `queue.lifecycle`.
      text: the message of a failure, or how the process was lost.
      output: of a success, in wire form.
      error: of a failure, the name of the error's class.
    """

    run: Run
    event: str
    text: str = ""
    output: Mapping[str, Any] | None = None
    error: str = ""


@dataclass(frozen=True)
class Forget:
    """The lease is lost and the process group gone: whoever has the job now writes of it."""

    run: Run


@dataclass(frozen=True)
class Halt:
    """Nothing is left of this worker."""


Instruction = (
    AskForJobs
    | RenewLeases
    | ExpireLeases
    | ReportWorker
    | KeepSpare
    | StartProcess
    | Extend
    | AskToStop
    | Kill
    | TellBegin
    | TellReport
    | TellEnd
    | Forget
    | Halt
)
