"""What the processes of the races do. Each function takes the database and the name of its process."""

from __future__ import annotations

import time
from typing import Any

from service.store_support import LEASE, new_job

from batchpredict.service.queue import Begin, Succeed
from batchpredict.service.store import Exists, open_store


def create(database: str, name: str) -> list[str]:
    """Create jobs that others create too; the ids of those that were its own."""
    store = open_store(database)
    mine = []
    for number in range(60):
        try:
            store.create_job(new_job(f"j{number}", creator=f"user:{name}"))
        except Exists:
            continue
        mine.append(f"j{number}")
    store.close()
    return mine


def work(database: str, name: str) -> list[Any]:
    """Claim and run what waits until nothing does; the jobs that were run."""
    store = open_store(database)
    ran = []
    while waiting := store.waiting():
        for one in waiting:
            if store.claim(one.project, one.job_id, name, LEASE, 1) is None:
                continue
            store.tell(one.project, one.job_id, Begin(1))
            time.sleep(0.001)
            store.tell(one.project, one.job_id, Succeed(1))
            ran.append((one.project, one.job_id))
    store.close()
    return ran


WORK = {"create": create, "work": work}
