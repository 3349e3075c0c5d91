"""What happens to a host of a gang, and what it is to do about it: the words between the machine and its shell.

Times are seconds of the host's own clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from batchpredict.training.cluster.replicas import Replica
from batchpredict.training.gang.interface import Outcome
from batchpredict.training.gang.rendezvous import Document

# Events -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Tick:
    """Time has gone by."""


@dataclass(frozen=True)
class Exchanged:
    """An exchange has ended.

    Attributes:
      asked: when it began.
      documents: what was read; None if reading failed.
      beaten: the sign of life was written.
      failed: something could not be written.
      barred: something was refused, and asking again does not change that.
    """

    asked: float
    documents: Mapping[str, Document] | None
    beaten: bool = False
    failed: bool = False
    barred: bool = False


@dataclass(frozen=True)
class Bound:
    """A replica can be started, and will listen at the address."""

    number: int
    replica: Replica
    address: str


@dataclass(frozen=True)
class Refused:
    """A replica cannot be bound or started. `passes`: it may be in another generation."""

    number: int
    replica: Replica
    reason: str
    passes: bool = False


@dataclass(frozen=True)
class Exited:
    """Nothing of a replica's process is left. -9 for one that died by signal 9."""

    replica: Replica
    status: int
    tail: tuple[str, ...] = ()
    port_taken: bool = False


@dataclass(frozen=True)
class Unwanted:
    """Whoever runs this host does not want the gang any more."""

    reason: str


Event = Tick | Exchanged | Bound | Refused | Exited | Unwanted


# Instructions -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Exchange:
    """Write to the rendezvous, and then read: `Exchanged` is the answer. There is one at a time.

    Attributes:
      beat: name and document of the sign of life, which is put before all else; None for none.
      creates: documents to be created, in any order or at once. Whether that went well is seen when reading.
      hosts: read the signs of life of the hosts as well.
    """

    beat: tuple[str, Document] | None = None
    creates: tuple[tuple[str, Document], ...] = ()
    hosts: bool = False


@dataclass(frozen=True)
class Bind:
    """Get ready to start a replica: `Bound` or `Refused` is the answer."""

    number: int
    replica: Replica


@dataclass(frozen=True)
class Start:
    """Start a replica, and let it live for `seconds`: `Exited` follows some day, or `Refused` at once."""

    number: int
    replica: Replica
    attempt: int
    addresses: Mapping[Replica, str]
    seconds: float


@dataclass(frozen=True)
class Keep:
    """Let the replicas live for `seconds` from now."""

    seconds: float


@dataclass(frozen=True)
class End:
    """End a replica within some seconds; `Exited` follows."""

    replica: Replica
    grace: float


@dataclass(frozen=True)
class Halt:
    """There is nothing left to do. None: the gang goes on, and has no place for this host."""

    outcome: Outcome | None


@dataclass(frozen=True)
class GiveUp:
    """The rendezvous does not answer. Nothing of the gang runs here any more."""


Instruction = Exchange | Bind | Start | Keep | End | Halt | GiveUp
