"""The worker processes of one machine: pool, supervision, devices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchpredict._lazy import lazily

if TYPE_CHECKING:
    from batchpredict.workers.devices import cores, visible_gpus
    from batchpredict.workers.pool import Allowance, WorkerPool
    from batchpredict.workers.process import Died, WorkerProcess
    from batchpredict.workers.protocol import Setup
    from batchpredict.workers.slots import MachineSlots
    from batchpredict.workers.worker import serve

__all__ = [
    "Allowance",
    "Died",
    "MachineSlots",
    "Setup",
    "WorkerPool",
    "WorkerProcess",
    "cores",
    "serve",
    "visible_gpus",
]

if not TYPE_CHECKING:
    __getattr__ = lazily(
        __name__,
        {
            "Allowance": "pool",
            "Died": "process",
            "MachineSlots": "slots",
            "Setup": "protocol",
            "WorkerPool": "pool",
            "WorkerProcess": "process",
            "cores": "devices",
            "serve": "worker",
            "visible_gpus": "devices",
        },
    )
