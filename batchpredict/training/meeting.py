"""Where the hosts of a job's gangs meet: in the folders of its jobDir, or in the jobs service that runs it."""

from __future__ import annotations

from collections.abc import Callable

from batchpredict.training.folder import place_of
from batchpredict.training.gang import FolderRendezvous, Rendezvous
from batchpredict.training.spec import TrainingSpec

Meet = Callable[[str], Rendezvous]
"""The rendezvous of a gang by the URL that its folder has, or would have. Who asks again and again keeps it, as
each reads only what is new."""


def meeting_of(spec: TrainingSpec) -> Meet:
    """Where the gangs of a job meet."""
    service = spec.service
    if service is None:
        return FolderRendezvous
    from batchpredict.training.gang import ServiceRendezvous

    return lambda gang: ServiceRendezvous(service, place_of(gang))
