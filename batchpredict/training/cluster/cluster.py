"""From a trainingInput to its cluster."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from batchpredict.errors import InvalidJob, Violation
from batchpredict.job import ReplicaConfig, ScaleTier, TrainingInput
from batchpredict.training.cluster.machines import (
    ACCELERATOR_DOLLARS,
    MACHINE_TYPES,
    MachineType,
    MachineTypes,
    with_accelerators,
)
from batchpredict.training.cluster.replicas import Replica, Role
from batchpredict.training.cluster.tf_config import chief_of, tf_config
from batchpredict.training.cluster.tiers import NO_TPU, TIERS, Roster

MAX_REPLICAS = 1000
"""Of one cluster. The service's quotas were far below; a count of 10^12 is a slip of the pen."""

_PREFIX = "training_input."
_MOST_ACCELERATORS = 8  # of an N1 machine
# What the fields of a role begin with.
_FIELDS = {Role.MASTER: "master", Role.WORKER: "worker", Role.PS: "parameter_server", Role.EVALUATOR: "evaluator"}


@dataclass(frozen=True)
class Cluster:
    """The replicas of a training job and the machines they ask for.

    Attributes:
      replicas: all of them: the master, then workers, parameter servers, evaluators.
      machines: the machine type of each role that has replicas.
      chief: what TF_CONFIG calls the master, "chief" or "master".
    """

    replicas: tuple[Replica, ...]
    machines: Mapping[Role, MachineType]
    chief: str

    @classmethod
    def of(cls, source: TrainingInput, machine_types: MachineTypes = MACHINE_TYPES) -> Cluster:
        """The cluster that a job asks for. That its own rules hold, as `Job.parse` checks, is taken for granted.

        Raises:
          InvalidJob: it asks for machines that are not known, for TPUs, for containers alone, or for too many
            replicas; the violations name the fields.
        """
        if source.scale_tier is ScaleTier.BASIC_TPU:
            raise InvalidJob([Violation(f"{_PREFIX}scale_tier", NO_TPU)])
        roster = _roster(source)
        machines: dict[Role, MachineType] = {}
        violations = [*_containers(source), *_counts(roster)]
        for role, (_, name) in roster.items():
            found = _machine(source, role, name, machine_types)
            if isinstance(found, Violation):
                violations.append(found)
            else:
                machines[role] = found
        if violations:
            raise InvalidJob(violations)
        replicas = tuple(Replica(role, index) for role, (count, _) in roster.items() for index in range(count))
        return cls(replicas, machines, chief_of(source))

    @property
    def has_servers(self) -> bool:
        """Whether there are parameter servers."""
        return Role.PS in self.machines

    def tf_config(
        self,
        replica: Replica,
        addresses: Mapping[Replica, str],
        *,
        trial: str | None = None,
        job: Mapping[str, Any],
        cloud: str | None = None,
    ) -> dict[str, Any]:
        """The TF_CONFIG of a replica, as JSON values.

        Args:
          addresses: host:port of every replica; the evaluators', which nobody talks to, are not needed.
          trial: id of the trial, from "1"; None if the job does not tune.
          job: the trainingInput as it came.
          cloud: the service's own id of the job, if it is to be told.

        Raises:
          KeyError: the address of a replica is missing.
        """
        return tf_config(self.replicas, self.chief, replica, addresses, trial=trial, job=job, cloud=cloud)


def _roster(source: TrainingInput) -> Roster:
    """For each role that has replicas, in the order of roles: how many, and the name of their machine type."""
    if source.scale_tier is not ScaleTier.CUSTOM:
        return TIERS[source.scale_tier]
    asked = {Role.MASTER: (1, source.master_type or "")}
    for role in (Role.WORKER, Role.PS, Role.EVALUATOR):
        count = getattr(source, f"{_FIELDS[role]}_count") or 0
        if count:
            asked[role] = (count, getattr(source, f"{_FIELDS[role]}_type") or "")
    return asked


def _containers(source: TrainingInput) -> Iterator[Violation]:
    if not (source.python_module or "").strip():
        text = "Programs are run as Python modules and not in containers; python_module and package_uris say which."
        yield Violation(f"{_PREFIX}python_module", text)


def _counts(roster: Roster) -> Iterator[Violation]:
    total = sum(count for count, _ in roster.values())
    if total > MAX_REPLICAS:
        largest = max(roster, key=lambda role: roster[role][0])
        text = f"A cluster has at most {MAX_REPLICAS} replicas; this one would have {total}."
        yield Violation(f"{_PREFIX}{_FIELDS[largest]}_count", text)


def _machine(source: TrainingInput, role: Role, name: str, types: MachineTypes) -> MachineType | Violation:
    field = f"{_PREFIX}{_FIELDS[role]}_type"
    machine = types.find(name)
    if machine is None:
        if name == "cloud_tpu":
            return Violation(field, "There are no TPUs here; use machine types that have GPUs.")
        nearest = types.nearest(name)
        hint = f" Did you mean {nearest}?" if nearest else ""
        return Violation(field, f'Unknown machine type "{name}".{hint}')
    config: ReplicaConfig | None = getattr(source, f"{_FIELDS[role]}_config")
    asked = config.accelerator_config if config else None
    if asked is None or not asked.count:
        return machine
    return _with_accelerators(machine, asked.count, asked.type or "", f"{_FIELDS[role]}_config.accelerator_config")


def _with_accelerators(machine: MachineType, count: int, kind: str, field: str) -> MachineType | Violation:
    if not machine.name.startswith("n1-"):
        # As in ml v1, ReplicaConfig.acceleratorConfig; A2 machines have theirs.
        text = f"Can only be used with an N1 machine type of Compute Engine; the type is {machine.name}."
        return Violation(_PREFIX + field, text)
    if kind not in ACCELERATOR_DOLLARS:
        known = ", ".join(ACCELERATOR_DOLLARS)
        return Violation(f"{_PREFIX}{field}.type", f'Expected one of {known}, got "{kind}".')
    if count > _MOST_ACCELERATORS:
        text = f"A machine has at most {_MOST_ACCELERATORS} accelerators, got {count}."
        return Violation(f"{_PREFIX}{field}.count", text)
    return with_accelerators(machine, count, kind)
