"""The names of the replicas of a cluster."""

from __future__ import annotations

import enum
import functools
import re
from dataclasses import dataclass


@functools.total_ordering
class Role(enum.Enum):
    """What a replica does. Roles sort in this order, in which a cluster lists its replicas."""

    MASTER = "master"
    WORKER = "worker"
    PS = "ps"
    EVALUATOR = "evaluator"

    def __lt__(self, other: object) -> bool:
        if not isinstance(other, Role):
            return NotImplemented
        order = list(Role)
        return order.index(self) < order.index(other)


_NAME = re.compile(r"(?P<role>[a-z]+)-(?P<index>0|[1-9][0-9]*)", re.ASCII)


@dataclass(frozen=True, order=True)
class Replica:
    """One process of a cluster. `index` counts from 0 within its role."""

    role: Role
    index: int

    @classmethod
    def parse(cls, name: str) -> Replica:
        """Read a `name`. Raises ValueError."""
        found = _NAME.fullmatch(name)
        if found is None or found["role"] not in {role.value for role in Role}:
            raise ValueError(f'"{name}" is not the name of a replica, as "worker-2".')
        return cls(Role(found["role"]), int(found["index"]))

    @property
    def name(self) -> str:
        """As a key in files: ``worker-2``."""
        return f"{self.role.value}-{self.index}"

    @property
    def task(self) -> str:
        """As Cloud Logging had it in its label task_name: ``worker-replica-2``."""
        return f"{self.role.value}-replica-{self.index}"

    @property
    def words(self) -> str:
        """In a sentence: ``worker 2``."""
        return f"{self.role.value} {self.index}"

    def __str__(self) -> str:
        return self.name
