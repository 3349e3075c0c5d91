"""A training job as whoever watches it sees it, read from its folder."""

from __future__ import annotations

from collections.abc import Sequence

from batchpredict.job import GoalType
from batchpredict.training.folder import TrainingFolder
from batchpredict.training.gang import Rendezvous, ReplicaState, states_of
from batchpredict.training.meeting import meeting_of
from batchpredict.training.outcome import job_output, search_output
from batchpredict.training.progress import Snapshot
from batchpredict.training.search import Known, Trials
from batchpredict.training.spec import TrainingSpec


class Sight:
    """Looks at one job. For one thread."""

    def __init__(self, spec: TrainingSpec, folder: TrainingFolder) -> None:
        self.folder = folder
        self._spec = spec
        self._trials = Trials(folder)
        self._meet = meeting_of(spec)
        self._gangs: dict[str, Rendezvous] = {}
        self._resumed: int | None = None

    def look(self) -> Snapshot:
        """The job as it is now.

        Raises:
          OSError, JobFailed: its folder cannot be read.
        """
        tuning = self._spec.tuning
        if tuning is None:
            states = self._states(self.folder.gang)
            return Snapshot(
                output=job_output(self._spec, self.folder, self._rendezvous),
                replicas=[("", state) for state in states],
                restarts=sum(state.restarts for state in states),
                folder=self.folder.url,
            )
        known = self._trials.load(seen=True)
        ended = sum(not one.live for one in known)
        if self._resumed is None:
            self._resumed = ended
        replicas = [
            (str(one.trial.number), state)
            for one in known
            if one.live
            for state in self._states(self._gang_of(one))
        ]
        return Snapshot(
            output=search_output(self._spec, self.folder, known, self._rendezvous),
            replicas=replicas,
            restarts=sum(state.restarts for _, state in replicas),
            trials=ended,
            trials_wanted=tuning.effective_max_trials,
            best=_best(known, maximize=tuning.effective_goal is GoalType.MAXIMIZE),
            resumed=self._resumed,
            folder=self.folder.url,
        )

    def beats(self) -> object:
        """Changes as long as a host of a replica is there. Raises OSError."""
        if self._spec.tuning is None:
            return _beats(self._rendezvous(self.folder.gang))
        known = self._trials.load()
        live = [_beats(self._rendezvous(self._gang_of(one))) for one in known if one.live]
        return len(known), live

    def _states(self, gang: str) -> Sequence[ReplicaState]:
        return states_of(self._rendezvous(gang), self._spec.cluster)

    def _gang_of(self, one: Known) -> str:
        return self.folder.trial(one.trial.number).gang

    def _rendezvous(self, gang: str) -> Rendezvous:
        """The same for all looks: it reads what cannot change only once."""
        if gang not in self._gangs:
            self._gangs[gang] = self._meet(gang)
        return self._gangs[gang]


def _beats(rendezvous: Rendezvous) -> object:
    return sorted((name, document.get("beat")) for name, document in rendezvous.read("host.").items())


def _best(known: Sequence[Known], *, maximize: bool) -> float | None:
    values = [one.trial.final.value for one in known if one.trial.final is not None]
    return (max if maximize else min)(values, default=None)
