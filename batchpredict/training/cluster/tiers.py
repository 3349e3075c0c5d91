"""The scale tiers: how many replicas of which machine type each stands for.

Counts and machine types are those of the service (cmle-behaviour.md §5); the types are confirmed by its price list,
which charged a tier as the sum of its machines, see `machines`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from batchpredict.job import ScaleTier
from batchpredict.training.cluster.replicas import Role

Roster = Mapping[Role, tuple[int, str]]
"""For each role of a cluster: how many replicas, and the name of their machine type."""

TIERS: Mapping[ScaleTier, Roster] = MappingProxyType(
    {
        ScaleTier.BASIC: {Role.MASTER: (1, "standard")},
        ScaleTier.STANDARD_1: {
            Role.MASTER: (1, "complex_model_s"),
            Role.WORKER: (4, "complex_model_s"),
            Role.PS: (3, "standard"),
        },
        ScaleTier.PREMIUM_1: {
            Role.MASTER: (1, "complex_model_m"),
            Role.WORKER: (19, "complex_model_m"),
            Role.PS: (11, "large_model"),
        },
        ScaleTier.BASIC_GPU: {Role.MASTER: (1, "standard_gpu")},
    }
)
"""Those that are one table entry each; CUSTOM is what the job says, and BASIC_TPU is refused."""

NO_TPU = "There are no TPUs here; use BASIC_GPU, or CUSTOM with machine types that have GPUs."
"""Why BASIC_TPU is refused."""
