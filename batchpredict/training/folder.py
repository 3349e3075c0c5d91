"""Where a training job keeps what has become of it.

    JOB_DIR/_batchpredict/training/FINGERPRINT/
      begun-001.json           when it was begun, for the first time, and where its replicas meet
      gang-001/                the replicas of a job without trials, unless they meet in a service; see `gang`
      stopped-001.json         it was cancelled
      done-001.json            what came of it, by create-if-absent: the first word counts
      begun-002.json …         the same of the next time, if it was cancelled or had failed, and was asked for again
      trials/00001.trial.json  the values of a trial, by create-if-absent: it has begun
      trials/00001.seen.json   the values of its objective so far
      trials/00001.ended.json  what came of it, by create-if-absent
      trials/00001-gang-001/   its replicas, in the first attempt
      logs/                    lines of the replicas; see `logs`

    JOB_DIR/_batchpredict/training/jobs/JOB_ID.json   which of these folders the job of this id had

A job without a jobDir keeps it in a folder of this machine, which ends with it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from batchpredict import storage
from batchpredict.errors import JobFailed

FOLDER = "_batchpredict"
_TRAINING, _JOBS = "training", "jobs"


@dataclass(frozen=True)
class Begun:
    """How an attempt at a job was begun.

    Attributes:
      time: seconds since the epoch.
      meeting_place: where the replicas of whoever began it meet; see `TrainingSpec`.
    """

    time: float
    meeting_place: str


@dataclass(frozen=True)
class TrainingFolder:
    """The folder of one job. Every method may raise OSError, for which a store is asked again before.

    Attributes:
      url: of the folder.
      attempt: from 1: how often the job has been begun anew after it was cancelled or had failed.
    """

    url: str
    attempt: int = 1

    @classmethod
    def of(cls, place: str, fingerprint: str) -> TrainingFolder:
        """The folder of a job, with the attempt that is to be made or was successful.

        Args:
          place: URL of its jobDir, or of what stands for it.
        """
        found = cls(storage.join(place, FOLDER, _TRAINING, fingerprint))
        while "error" in (found.done() or {}) or found.is_stopped():
            found = replace(found, attempt=found.attempt + 1)
        return found

    @classmethod
    def of_job(cls, place: str, job_id: str) -> TrainingFolder | None:
        """The folder that the job of an id had in this jobDir; None if there was no such job."""
        document = read(_name_of(place, job_id))
        return None if document is None else cls(str(document["folder"]), int(document["attempt"]))

    def name(self, place: str, job_id: str) -> None:
        """Say that the job of this id has this folder."""
        data = json.dumps({"folder": self.url, "attempt": self.attempt}).encode()
        storage.again(lambda: storage.replace_bytes(_name_of(place, job_id), data))

    @property
    def gang(self) -> str:
        return storage.join(self.url, f"gang-{self.attempt:03d}")

    @property
    def logs(self) -> str:
        return storage.join(self.url, "logs")

    @property
    def trials(self) -> str:
        return storage.join(self.url, "trials")

    def trial(self, number: int) -> TrialFolder:
        return TrialFolder(storage.join(self.trials, f"{number:05d}"), number, self.attempt)

    def attempts(self) -> Iterator[TrainingFolder]:
        """The folder as each attempt had it, this one included."""
        return (replace(self, attempt=number) for number in range(1, self.attempt + 1))

    def known_trials(self) -> dict[int, set[str]]:
        """What there is of each trial: of "trial", "seen" and "ended"."""
        found: dict[int, set[str]] = {}
        for name in storage.again(lambda: storage.list_names(self.trials)):
            number, _, kind = name.removesuffix(".json").partition(".")
            if number.isdigit():
                found.setdefault(int(number), set()).add(kind)
        return found

    def begin(self, now: float, meeting_place: str = "") -> Begun:
        """How this attempt was begun: now and so, if nobody has begun it."""
        create(self._begun, {"time": now, "meeting": meeting_place})
        document = read(self._begun) or {}
        return Begun(float(document.get("time", now)), str(document.get("meeting", "")))

    def stop(self) -> None:
        """Say that this attempt was cancelled."""
        create(self._stopped, {"time": time.time()})

    def is_stopped(self) -> bool:
        return storage.again(lambda: storage.exists(self._stopped))

    def done(self) -> dict[str, Any] | None:
        """{"output": …} of an attempt that has succeeded, {"error": …} of one that has failed; else None."""
        return read(self._done)

    def finish(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """Say what came of the attempt, unless that is said; what was said first."""
        create(self._done, document)
        return self.done() or dict(document)

    def forget(self) -> None:
        """Remove all of it."""
        storage.delete(self.url, recursive=True)

    @property
    def _begun(self) -> str:
        return storage.join(self.url, f"begun-{self.attempt:03d}.json")

    @property
    def _stopped(self) -> str:
        return storage.join(self.url, f"stopped-{self.attempt:03d}.json")

    @property
    def _done(self) -> str:
        return storage.join(self.url, f"done-{self.attempt:03d}.json")


@dataclass(frozen=True)
class TrialFolder:
    """The documents of one trial. `url`: what their URLs begin with; `attempt`: at the job."""

    url: str
    number: int
    attempt: int

    @property
    def gang(self) -> str:
        return f"{self.url}-gang-{self.attempt:03d}"

    def begin(self, document: Mapping[str, Any]) -> bool:
        """Begin the trial; False if somebody else has."""
        return create(self._document("trial"), document)

    def begun(self) -> dict[str, Any] | None:
        return read(self._document("trial"))

    def see(self, document: Mapping[str, Any]) -> None:
        """Say how far its objective has come."""
        data = json.dumps(document).encode()
        storage.again(lambda: storage.replace_bytes(self._document("seen"), data))

    def seen(self) -> dict[str, Any] | None:
        return read(self._document("seen"))

    def end(self, document: Mapping[str, Any]) -> bool:
        """Say what came of the trial; False if somebody else has."""
        return create(self._document("ended"), document)

    def ended(self) -> dict[str, Any] | None:
        return read(self._document("ended"))

    def _document(self, kind: str) -> str:
        return f"{self.url}.{kind}.json"


def place_of(gang: str) -> str:
    """What tells a gang from all others of its job, by its URL: "FINGERPRINT/gang-001"."""
    return gang.rpartition(f"/{_TRAINING}/")[2]


def _name_of(place: str, job_id: str) -> str:
    return storage.join(place, FOLDER, _TRAINING, _JOBS, f"{job_id}.json")


def create(url: str, document: Mapping[str, Any]) -> bool:
    """Write a document unless there is one; whether it was written."""
    data = json.dumps(document).encode()
    return storage.again(lambda: storage.create_if_absent(url, data))


def read(url: str) -> dict[str, Any] | None:
    """A document; None if there is none.

    Raises:
      JobFailed: it is none of ours.
    """
    try:
        found = json.loads(storage.again(lambda: storage.read_bytes(url)))
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError) as error:
        raise JobFailed(f"jobDir: '{url}' is damaged; remove it, or begin anew with --fresh.") from error
    if not isinstance(found, dict):
        raise JobFailed(f"jobDir: '{url}' is damaged; remove it, or begin anew with --fresh.")
    return found
