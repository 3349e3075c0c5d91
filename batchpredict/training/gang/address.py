"""Where the hosts of a job find its rendezvous in a service."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class ServiceAddress:
    """Where the hosts of a job find its rendezvous, and as whom they come.

    Attributes:
      url: of the rendezvous of this job in the service.
      token: admits to it and to nothing else, for as long as the job is held under one lease.
    """

    url: str
    token: str = field(repr=False)
