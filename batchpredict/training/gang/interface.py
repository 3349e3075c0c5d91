"""What a gang is made of, and what it asks of those around it.

A *gang* is the replicas of one cluster, brought up together by any number of *hosts*, kept, restarted and ended.
The hosts have nothing in common but a `rendezvous`: a place for small documents. None of them leads.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from batchpredict.training.cluster.replicas import Replica


class Members(Protocol):
    """What a gang needs to know of its cluster."""

    @property
    def replicas(self) -> tuple[Replica, ...]:
        """All of them, one of which is master 0."""

    @property
    def has_servers(self) -> bool:
        """Whether there are parameter servers, so that a worker or server may be started again by itself."""


class Handle(Protocol):
    """A replica's process and all that it has started."""

    def poll(self) -> int | None:
        """Its exit status; None while it runs. As in `subprocess`: -9 for one that died by signal 9."""

    def end(self, grace_seconds: float) -> None:
        """Ask it to end, wait for up to `grace_seconds`, then kill it. Returns when nothing of it is left.

        Also called after it has ended by itself, for what it may have left behind. From a thread of its own.
        """

    def keep(self, seconds: float) -> None:
        """Let it live for `seconds` more from now, and not longer unless this is called again.

        For hosts that are stopped, or stall, and cannot end it themselves: whoever guards the process ends it then,
        within END_GRACE. Where there is no such guard this may do nothing; then a host that stalls for longer than
        its lease ends its replicas as soon as it goes on, and until then they run beside those of the next
        generation.
        """

    def tail(self) -> Sequence[str]:
        """The last lines of its stderr."""


class Launcher(Protocol):
    """How a host runs a replica."""

    def bind(self, replica: Replica) -> str:
        """Get ready to start a replica, and take a port for it. Called once a generation, from a thread of its own.

        Whatever takes long is done here (packages), so that `start` is a matter of milliseconds. A port that an
        earlier generation of the replica had is given up first.

        Returns:
          host:port, by which all other hosts reach the replica.

        Raises:
          OSError: no port is to be had; the gang tries again in a new generation.
          BatchPredictError: the replica can never be started; the gang fails with this message.
        """

    def start(self, replica: Replica, addresses: Mapping[Replica, str], attempt: int) -> Handle:
        """Start a replica.

        Args:
          replica: one that was bound in this generation.
          addresses: of all replicas of the cluster, as `bind` gave them on any host.
          attempt: 1, and one more each time that it is started again at the same address.

        Raises:
          OSError, BatchPredictError: it can not be started; the gang fails with this message.
        """


class Ending(enum.Enum):
    """How a gang may end."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class Exit:
    """How an attempt of a replica ended by itself.

    Attributes:
      replica: which.
      attempt: from 1, within its generation.
      status: as in `subprocess`: negative for a signal.
      seconds: that it ran.
      tail: last lines of its stderr.
      port_taken: it could not listen at its address.
    """

    replica: Replica
    attempt: int
    status: int
    seconds: float
    tail: tuple[str, ...] = ()
    port_taken: bool = False


@dataclass(frozen=True)
class Outcome:
    """What came of a gang; the same on every host.

    Attributes:
      ending: how it ended.
      reason: one sentence for a user; "" where it succeeded.
      restarts: times that the whole gang was begun again.
      failed: the replica that made it fail; None where it was none.
    """

    ending: Ending
    reason: str = ""
    restarts: int = 0
    failed: Exit | None = None


class Stage(enum.Enum):
    """How a replica stands, for people."""

    WAITING = "waiting"  # no host has taken it
    STARTING = "starting"  # a host has taken it, and gets ready or waits for the others
    RUNNING = "running"
    ENDED = "ended"
    LOST = "lost"  # its host was not heard of any more, and no other has taken it yet


@dataclass(frozen=True)
class ReplicaState:
    """How a replica of a gang stands.

    Attributes:
      replica: which.
      stage: how it stands.
      restarts: times that it was started again, by itself or with the whole gang.
      host: id of the host that has it, or had it last; None for none.
      status: exit status of its last end by itself; None before.
    """

    replica: Replica
    stage: Stage
    restarts: int = 0
    host: str | None = None
    status: int | None = None
