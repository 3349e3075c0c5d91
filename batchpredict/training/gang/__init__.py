"""A gang: the replicas of one cluster, brought up together by any number of hosts, kept, restarted and ended.

outcome = Gang(FolderRendezvous(url), cluster, "worker-7", room=4, launcher=launcher).run(wanted)

`machine` decides and is pure; `gang` is the shell around it; `facts` names the documents by which hosts agree;
`rendezvous` is the contract of the place where those are, and `folder` and `service` are such places.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchpredict._lazy import lazily
from batchpredict.training.gang.accounts import outcome_of, seconds_of, states_of
from batchpredict.training.gang.address import ServiceAddress
from batchpredict.training.gang.folder import FolderRendezvous
from batchpredict.training.gang.gang import Gang, cancel
from batchpredict.training.gang.interface import (
    Ending,
    Exit,
    Handle,
    Launcher,
    Members,
    Outcome,
    ReplicaState,
    Stage,
)
from batchpredict.training.gang.rendezvous import Rendezvous
from batchpredict.training.gang.rules import Rules

if TYPE_CHECKING:
    from batchpredict.training.gang.service import ServiceRendezvous

__all__ = [
    "Ending",
    "Exit",
    "FolderRendezvous",
    "Gang",
    "Handle",
    "Launcher",
    "Members",
    "Outcome",
    "Rendezvous",
    "ReplicaState",
    "Rules",
    "ServiceAddress",
    "ServiceRendezvous",
    "Stage",
    "cancel",
    "outcome_of",
    "seconds_of",
    "states_of",
]

if not TYPE_CHECKING:
    # Who meets in a folder need not import what speaks HTTP.
    __getattr__ = lazily(__name__, {"ServiceRendezvous": "service"})
