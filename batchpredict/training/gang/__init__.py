"""A gang: the replicas of one cluster, brought up together by any number of hosts, kept, restarted and ended.

outcome = Gang(FolderRendezvous(url), cluster, "worker-7", room=4, launcher=launcher).run(wanted)

`machine` decides and is pure; `gang` is the shell around it; `facts` names the documents by which hosts agree.
"""

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
