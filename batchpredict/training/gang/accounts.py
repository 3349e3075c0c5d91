"""What a rendezvous tells of a gang to whoever is no part of it: seconds to be paid for, and states for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from batchpredict.training.cluster.replicas import Replica
from batchpredict.training.gang.facts import HOST, Facts, Generation, host_name
from batchpredict.training.gang.interface import Members, Outcome, ReplicaState, Stage
from batchpredict.training.gang.rendezvous import Document, Rendezvous


def seconds_of(rendezvous: Rendezvous) -> dict[str, float]:
    """Seconds that each replica has run, by its name, in all generations and attempts and on all hosts.

    Each host counts for itself and says it in its sign of life, so what a host that was killed did after its last
    (`Rules.beat` seconds at most) is missing, and nothing is counted twice. Raises OSError.
    """
    return total_seconds(rendezvous.read(HOST))


def total_seconds(documents: Mapping[str, Document]) -> dict[str, float]:
    """The same of documents that were read."""
    total: Counter[str] = Counter()
    for name, document in documents.items():
        if name.startswith(HOST):
            for replica, seconds in document["seconds"].items():
                total[replica] += seconds
    return dict(total)


def outcome_of(rendezvous: Rendezvous) -> Outcome | None:
    """What came of a gang; None as long as it has not ended. Raises OSError."""
    return Facts().learn(rendezvous.read(), 0.0).outcome()


def states_of(rendezvous: Rendezvous, members: Members) -> list[ReplicaState]:
    """How the replicas of a gang stand, in the order of its cluster. Raises OSError."""
    documents = rendezvous.read()
    facts = Facts().learn(documents, 0.0)
    return [_state_of(replica, len(members.replicas), facts, documents) for replica in members.replicas]


def _state_of(replica: Replica, size: int, facts: Facts, documents: Mapping[str, Document]) -> ReplicaState:
    generations = [*facts.before, facts.current]
    exits = [exit for generation in generations for exit in generation.exits.get(replica, ())]
    host = next((one.claims[replica] for one in reversed(generations) if replica in one.claims), None)
    status = exits[-1].status if exits else None
    attempts = [_attempts(replica, number, size, facts, documents) for number in range(1, facts.number + 1)]
    restarts = max(sum(attempts) - 1, 0)
    return ReplicaState(replica, _stage(replica, facts, documents), restarts, host, status)


def _stage(replica: Replica, facts: Facts, documents: Mapping[str, Document]) -> Stage:
    current = facts.current
    host = current.claims.get(replica)
    if current.over is not None:
        return Stage.ENDED if host is not None else Stage.WAITING
    if host is None:
        return Stage.LOST if _was_lost(replica, facts.before) else Stage.WAITING
    running = _running(replica, host, documents)
    exits = current.exits.get(replica, ())
    if running is None or running["generation"] != facts.number:
        return Stage.ENDED if exits else Stage.STARTING
    return Stage.ENDED if exits and exits[-1].attempt >= running["attempt"] else Stage.RUNNING


def _was_lost(replica: Replica, before: list[Generation]) -> bool:
    last = before[-1] if before else None
    return last is not None and last.over is not None and last.claims.get(replica) == last.over.lost != ""


def _attempts(replica: Replica, number: int, size: int, facts: Facts, documents: Mapping[str, Document]) -> int:
    """Attempts at a replica in a generation, as far as they have left a trace."""
    generation = facts.generations.get(number, Generation())
    ended = max((exit.attempt for exit in generation.exits.get(replica, ())), default=0)
    running = _running(replica, generation.claims.get(replica, ""), documents)
    if running is not None and running["generation"] == number:
        return max(ended, int(running["attempt"]))
    # What was ended with its generation has left no trace; but once all were ready it was started.
    return max(ended, int(generation.over is not None and len(generation.addresses) == size))


def _running(replica: Replica, host: str, documents: Mapping[str, Document]) -> dict[str, Any] | None:
    found: dict[str, Any] | None = documents.get(host_name(host), {}).get("replicas", {}).get(replica.name)
    return found
