"""What a training job came to, as the Job's trainingOutput has it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from batchpredict.job import TrainingOutput
from batchpredict.training.cluster import Cluster, Replica
from batchpredict.training.folder import TrainingFolder
from batchpredict.training.gang import Ending, Outcome, Rendezvous, seconds_of
from batchpredict.training.meeting import Meet, meeting_of
from batchpredict.training.replica import failure_sentence
from batchpredict.training.search import Known
from batchpredict.training.spec import TrainingSpec
from batchpredict.training.tuning import to_output

_READERS = 16


def ml_units(cluster: Cluster, seconds: Mapping[str, float]) -> float:
    """ML units of replicas that ran for so long: hours, times the weight of the machine type of each."""
    return sum(ran / 3600 * cluster.machines[Replica.parse(name).role].weight for name, ran in seconds.items())


def job_output(spec: TrainingSpec, folder: TrainingFolder, meet: Meet | None = None) -> TrainingOutput:
    """Of a job without trials. Raises OSError."""
    meet = meet or meeting_of(spec)
    gangs = [meet(each.gang) for each in folder.attempts()]
    return TrainingOutput(consumed_ml_units=_units(spec, gangs))


def search_output(
    spec: TrainingSpec, folder: TrainingFolder, known: Sequence[Known], meet: Meet | None = None
) -> TrainingOutput:
    """Of a search, trials best first. Raises OSError."""
    meet = meet or meeting_of(spec)
    tuning = spec.tuning
    assert tuning is not None
    gangs = [meet(each.trial(one.trial.number).gang) for one in known for each in folder.attempts()]
    return to_output([one.trial for one in known], tuning, consumed_ml_units=_units(spec, gangs))


def _units(spec: TrainingSpec, gangs: Sequence[Rendezvous]) -> float:
    with ThreadPoolExecutor(_READERS) as pool:
        return sum(pool.map(lambda gang: ml_units(spec.cluster, seconds_of(gang)), gangs))


def why_failed(outcome: Outcome) -> str:
    """What a user is told of a gang that has failed; "" of any other."""
    if outcome.ending is not Ending.FAILED:
        return ""
    if outcome.failed is None:
        return outcome.reason
    return failure_sentence(outcome.failed.replica, outcome.failed.status, outcome.failed.tail)
