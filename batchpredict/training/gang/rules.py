"""The times and limits of a gang. All seconds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Rules:
    """Attributes:

    beat: between two signs of life of a host. Google Cloud Storage takes one write of a name a second.
    lease: without a sign of life, after which a host counts as lost, and ends its replicas by itself.
    end_grace: that a replica has to end when it is asked to, before it is killed. A cancel has 10 s for all: one
      `poll`, this, and what a kill takes.
    slack: for clocks that do not run alike. A lost host's replicas are gone `lease + end_grace` after its last sign
      of life by its clock; others begin again after `slack` more by theirs.
    worker_grace: that workers and evaluators have to come to their end after the master has.
    served_grace: the same for workers beside parameter servers. Those of TensorFlow 2 are servers of the master
      too, and have no end of their own.
    deadline: from the first claim of a generation until every replica has a host.
    prepare: the same until all of them have published their address, packages installed.
    forming_poll, poll: between two reads of the rendezvous before the replicas are started, and then.
    linger: that a failure of another replica than the master waits for the master's end. What fails because the
      master has finished and hung up is no failure.
    early: a failure that comes sooner after the very first start is one of the program, and will come again.
    restart_pause: before a replica is started again at its place; so much more each time.
    generations: times that the gang is begun again before it is given up.
    in_place: times in a row that a replica is started again at its place, before the gang is begun again.
    ports: times that the gang is begun again because a port was taken, which are not counted in `generations`.
    patience: without an answer of the rendezvous, after which a host gives up.
    """

    beat: float = 2.0
    lease: float = 15.0
    end_grace: float = 5.0
    slack: float = 3.0
    worker_grace: float = 30.0
    served_grace: float = 3.0
    deadline: float = 60.0
    prepare: float = 600.0
    forming_poll: float = 0.1
    poll: float = 1.0
    linger: float = 2.0
    early: float = 5.0
    restart_pause: float = 1.0
    generations: int = 3
    in_place: int = 5
    ports: int = 5
    patience: float = 300.0

    def __post_init__(self) -> None:
        if not self.end_grace < self.lease:
            raise ValueError("end_grace must be shorter than lease.")
        if not self.beat * 3 <= self.lease:
            raise ValueError("A lease must hold three beats, or a slow answer is a lost host.")

    @property
    def quiet(self) -> float:
        """Without a sign of life, after which nothing of a host runs any more."""
        return self.lease + self.end_grace + self.slack
