"""What the documents of a rendezvous say.

    gang.cancel                    {"reason"}                     nobody wants the gang any more
    gang.G.claim.REPLICA           {"host"}                       a host has taken a replica
    gang.G.address.REPLICA         {"host", "address"}            it is ready, and will listen there
    gang.G.exit.REPLICA.ATTEMPT    {"host", "status", …}          it has ended by itself
    gang.G.gone.HOST               {"host"}                       nothing of this generation runs there any more
    gang.G.over                    {"host", "outcome", …}         the generation has ended
    host.HOST                      {"beat", "seconds", "replicas"}

G is the number of a *generation*, from 1: the fencing token. What is said under one number is never taken for
another. All but `host.` are written once, and no two hosts write the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from batchpredict.training.cluster.replicas import Replica
from batchpredict.training.gang.interface import Ending, Exit, Outcome
from batchpredict.training.gang.rendezvous import Document

GANG = "gang."
HOST = "host."
CANCEL = "gang.cancel"

_TAIL = 20
"""Lines of stderr that an exit carries along: a traceback's last frames and its message."""

# Characters of them all, each of which takes up to 12 bytes of JSON: a document has a `rendezvous.LONGEST`.
_TAIL_CHARACTERS = 16_000
_REASON_CHARACTERS = 4_000


@dataclass(frozen=True)
class Over:
    """How a generation ended.

    Attributes:
      ending: of the gang; None where it is begun again.
      reason: one sentence.
      counted: whether beginning again counts as one of the few times.
      lost: id of the host that was lost; "" for none.
      failed: the replica whose end it was.
    """

    ending: Ending | None
    reason: str = ""
    counted: bool = True
    lost: str = ""
    failed: Exit | None = None


@dataclass(frozen=True)
class Generation:
    """What is said under one number."""

    claims: Mapping[Replica, str] = field(default_factory=dict)
    addresses: Mapping[Replica, str] = field(default_factory=dict)
    exits: Mapping[Replica, tuple[Exit, ...]] = field(default_factory=dict)
    gone: frozenset[str] = frozenset()
    over: Over | None = None

    def held_by(self, host: str) -> list[Replica]:
        """The replicas that a host has taken."""
        return [one for one, holder in self.claims.items() if holder == host]


_EMPTY = Generation()


@dataclass(frozen=True)
class Facts:
    """All that is known of a gang; it only ever grows.

    Attributes:
      noticed: when each document was seen first, by this host's clock.
      generations: by their number.
      cancel: why nobody wants the gang any more; None if somebody does.
      number: of the current generation, the last that was begun.
    """

    noticed: Mapping[str, float] = field(default_factory=dict)
    generations: Mapping[int, Generation] = field(default_factory=dict)
    cancel: str | None = None
    number: int = 1

    @cached_property
    def current(self) -> Generation:
        """The last generation that was begun."""
        return self.generations.get(self.number, _EMPTY)

    @property
    def final(self) -> Over | None:
        """How the gang ended; None as long as it has not."""
        return self.current.over

    @cached_property
    def before(self) -> list[Generation]:
        """The generations that are over and were begun again."""
        return [self.generations[number] for number in range(1, self.number)]

    @cached_property
    def restarts(self) -> int:
        """Times that the gang was begun again, of those that are counted."""
        return sum(one.over is not None and one.over.counted for one in self.before)

    def outcome(self) -> Outcome | None:
        """What came of the gang; None as long as it has not ended."""
        over = self.final
        if over is None or over.ending is None:
            return None
        return Outcome(over.ending, over.reason, self.number - 1, over.failed)

    def learn(self, documents: Mapping[str, Document], now: float) -> Facts:
        """With what documents say that were not seen before."""
        new = [name for name in documents if name not in self.noticed and name.startswith(GANG)]
        if not new:
            return self
        generations, cancel = dict(self.generations), self.cancel
        for name in sorted(new):
            _, number, *rest = name.split(".")
            if name == CANCEL:
                cancel = str(documents[name].get("reason", ""))
            elif number.isdecimal() and rest:
                generation = generations.get(int(number), _EMPTY)
                generations[int(number)] = _learn(generation, rest, documents[name])
        current = self.number
        while (over := generations.get(current, _EMPTY).over) and over.ending is None:
            current += 1
        return Facts({**self.noticed, **dict.fromkeys(new, now)}, generations, cancel, current)


def _learn(generation: Generation, path: list[str], document: Document) -> Generation:
    kind, *rest = path
    if kind == "claim":
        return replace(generation, claims={**generation.claims, Replica.parse(rest[0]): document["host"]})
    if kind == "address":
        return replace(generation, addresses={**generation.addresses, Replica.parse(rest[0]): document["address"]})
    if kind == "exit":
        one = exit_of(document)
        exits = sorted((*generation.exits.get(one.replica, ()), one), key=lambda exit: exit.attempt)
        return replace(generation, exits={**generation.exits, one.replica: tuple(exits)})
    if kind == "gone":
        return replace(generation, gone=generation.gone | {document["host"]})
    if kind == "over":
        return replace(generation, over=_over_of(document))
    return generation


def claim_name(number: int, replica: Replica) -> str:
    return f"{GANG}{number}.claim.{replica.name}"


def address_name(number: int, replica: Replica) -> str:
    return f"{GANG}{number}.address.{replica.name}"


def exit_name(number: int, one: Exit) -> str:
    return f"{GANG}{number}.exit.{one.replica.name}.{one.attempt}"


def gone_name(number: int, host: str) -> str:
    return f"{GANG}{number}.gone.{host}"


def over_name(number: int) -> str:
    return f"{GANG}{number}.over"


def host_name(host: str) -> str:
    return f"{HOST}{host}"


def exit_document(one: Exit, host: str) -> dict[str, Any]:
    return {
        "host": host,
        "replica": one.replica.name,
        "attempt": one.attempt,
        "status": one.status,
        "seconds": one.seconds,
        "tail": _kept(one.tail),
        "port_taken": one.port_taken,
    }


def _kept(tail: Sequence[str]) -> list[str]:
    """The last lines, of the first of them what there is room for."""
    found: list[str] = []
    room = _TAIL_CHARACTERS
    for line in reversed(tail[-_TAIL:]):
        if room <= 0:
            break
        found.append(line[-room:])
        room -= len(line)
    return found[::-1]


def exit_of(document: Document) -> Exit:
    return Exit(
        Replica.parse(document["replica"]),
        document["attempt"],
        document["status"],
        document["seconds"],
        tuple(document["tail"]),
        document["port_taken"],
    )


def over_document(over: Over, host: str) -> dict[str, Any]:
    return {
        "host": host,
        "outcome": over.ending.value if over.ending else "restart",
        "reason": over.reason[:_REASON_CHARACTERS],
        "counted": over.counted,
        "lost": over.lost,
        "failed": exit_document(over.failed, host) if over.failed else None,
    }


def _over_of(document: Document) -> Over:
    outcome = document["outcome"]
    failed = document["failed"]
    return Over(
        None if outcome == "restart" else Ending(outcome),
        document["reason"],
        document["counted"],
        document["lost"],
        exit_of(failed) if failed else None,
    )
