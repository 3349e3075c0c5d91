"""The worker processes of one machine: pool, supervision, devices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchpredict._lazy import lazily

if TYPE_CHECKING:
    from batchpredict.workers.pool import Allowance, WorkerPool
    from batchpredict.workers.protocol import Setup

__all__ = [
    "Allowance",
    "Setup",
    "WorkerPool",
]

if not TYPE_CHECKING:
    __getattr__ = lazily(
        __name__,
        {
            "Allowance": "pool",
            "Setup": "protocol",
            "WorkerPool": "pool",
        },
    )
