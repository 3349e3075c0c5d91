"""What the service keeps: jobs, their queue, logs and history, models, policies, in SQLite or PostgreSQL.

`interface` is the contract. SQLAlchemy is loaded with the first store that is opened, not before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchpredict._lazy import lazily
from batchpredict.service.store.interface import (
    Change,
    Delivery,
    Exists,
    InUse,
    JobStore,
    Keep,
    LogLine,
    Missing,
    ModelStore,
    NewJob,
    Operation,
    OutboxStore,
    PolicyStore,
    QueueFull,
    Stale,
    Store,
    StoredJob,
    StoredModel,
    StoredVersion,
    StoreFailed,
    Worker,
)
from batchpredict.service.store.rendezvous import NotAdmitted, Placed, Put, RendezvousFull, RendezvousStore, Visitor
from batchpredict.service.store.watching import (
    RUNNING,
    SET_ASIDE,
    SUCCEEDED,
    EpochReport,
    NewWatch,
    Note,
    StoredEpoch,
    StoredWatch,
    WatchStore,
)

if TYPE_CHECKING:
    from batchpredict.service.store.opening import migrate, open_store
    from batchpredict.service.store.resource import job_resource

__all__ = [
    "RUNNING",
    "SET_ASIDE",
    "SUCCEEDED",
    "Change",
    "Delivery",
    "EpochReport",
    "Exists",
    "InUse",
    "JobStore",
    "Keep",
    "LogLine",
    "Missing",
    "ModelStore",
    "NewJob",
    "NewWatch",
    "NotAdmitted",
    "Note",
    "Operation",
    "OutboxStore",
    "Placed",
    "PolicyStore",
    "Put",
    "QueueFull",
    "RendezvousFull",
    "RendezvousStore",
    "Stale",
    "Store",
    "StoreFailed",
    "StoredEpoch",
    "StoredJob",
    "StoredModel",
    "StoredVersion",
    "StoredWatch",
    "Visitor",
    "WatchStore",
    "Worker",
    "job_resource",
    "migrate",
    "open_store",
]

if not TYPE_CHECKING:
    __getattr__ = lazily(
        __name__,
        {"job_resource": "resource", "migrate": "opening", "open_store": "opening"},
    )
