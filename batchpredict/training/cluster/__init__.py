"""What a trainingInput asks for: replicas, their machines, and the TF_CONFIG of each. Knows the job and no more."""

from batchpredict.training.cluster.cluster import Cluster
from batchpredict.training.cluster.machines import MACHINE_TYPES, MachineType, MachineTypes
from batchpredict.training.cluster.replicas import Replica, Role

__all__ = ["MACHINE_TYPES", "Cluster", "MachineType", "MachineTypes", "Replica", "Role"]
