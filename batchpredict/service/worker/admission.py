"""How the hosts of a training job get into its rendezvous in the service."""

from __future__ import annotations

import hashlib
import secrets
import urllib.parse

import msgspec

from batchpredict.service.store.interface import Store
from batchpredict.service.worker.events import Run
from batchpredict.service.worker.protocol import Order

# Of a token, from the system's source of randomness.
_BYTES = 32


def admit(store: Store, service: str, run: Run, order: Order) -> Order:
    """The order of a job that its hosts can meet for in the service. The token is in no other place.

    A job that trains nothing has no need of that, and its order stays as it is.

    Args:
      service: URL by which hosts reach the service; "" where they meet in the jobDir.

    Raises:
      LeaseLost, Missing: somebody else has the job, or nobody.
      StoreFailed: the store does not answer.
    """
    if not service or "trainingInput" not in order.job:
        return order
    token = secrets.token_urlsafe(_BYTES)
    store.admit(run.project, run.job_id, run.generation, hashlib.sha256(token.encode()).hexdigest())
    project, job = (urllib.parse.quote(name, safe="") for name in (run.project, run.job_id))
    url = f"{service.rstrip('/')}/internal/v1/projects/{project}/jobs/{job}/rendezvous"
    return msgspec.structs.replace(order, rendezvous=url, token=token)
