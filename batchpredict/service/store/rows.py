"""Between rows of the tables and the values that the store gives and takes."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Row, Select, select

from batchpredict.job import State
from batchpredict.service.queue.lifecycle import Lease, Standing
from batchpredict.service.store.interface import NewJob, StoredJob
from batchpredict.service.store.tables import job_documents, jobs


def new_etag() -> str:
    """8 random bytes in base64, as the service's etags were."""
    return base64.b64encode(secrets.token_bytes(8)).decode()


def select_jobs() -> Select[Any]:
    """All that `stored_job` reads."""
    of_jobs = (column for column in jobs.c if column.name != "labels")
    of_documents = (column for column in job_documents.c if column.name != "sequence")
    return select(*of_jobs, *of_documents).join(job_documents, job_documents.c.sequence == jobs.c.sequence)


def stored_job(row: Row[Any]) -> StoredJob:
    return StoredJob(
        new=NewJob(
            project=row.project,
            job_id=row.job_id,
            document=row.document,
            labels=row.labels,
            creator=row.creator,
            workers=row.workers,
            pinned=row.pinned,
            webhook=row.webhook,
        ),
        sequence=row.sequence,
        created=row.created,
        etag=row.etag,
        standing=standing_of(row),
        output=row.output,
        progress=row.progress,
    )


def standing_of(row: Row[Any]) -> Standing:
    lease = None
    if row.lease_worker is not None:
        lease = Lease(row.lease_worker, row.generation, row.lease_until, row.lease_workers)
    return Standing(
        state=State(row.state),
        changed=row.changed,
        generation=row.generation,
        lease=lease,
        losses=row.losses,
        not_before=row.not_before,
        start_time=row.start_time,
        end_time=row.end_time,
        message=row.message,
        error=row.error,
    )


def standing_columns(standing: Standing) -> Mapping[str, Any]:
    """`standing` as columns of `jobs`."""
    lease = standing.lease
    return {
        "state": standing.state.value,
        "changed": standing.changed,
        "generation": standing.generation,
        "lease_worker": lease.worker if lease else None,
        "lease_until": lease.until if lease else None,
        "lease_workers": lease.workers if lease else None,
        "losses": standing.losses,
        "not_before": standing.not_before,
        "start_time": standing.start_time,
        "end_time": standing.end_time,
        "message": standing.message,
        "error": standing.error,
    }
