"""The replicas of one cluster brought up together by any number of hosts, kept, restarted and ended."""

from batchpredict.training.gang.accounts import outcome_of, seconds_of, states_of
from batchpredict.training.gang.folder import FolderRendezvous
from batchpredict.training.gang.gang import Gang, cancel
from batchpredict.training.gang.interface import (
    Ending,
    Exit,
    Handle,
    Launcher,
    Members,
    Outcome,
    Rendezvous,
    ReplicaState,
    Stage,
)
from batchpredict.training.gang.rules import Rules

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
    "Stage",
    "cancel",
    "outcome_of",
    "seconds_of",
    "states_of",
]
