"""How a host of a gang stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf

from batchpredict.training.cluster.replicas import Replica
from batchpredict.training.gang.facts import Facts, Over
from batchpredict.training.gang.interface import Exit, Members
from batchpredict.training.gang.rules import Rules


@dataclass(frozen=True)
class Sign:
    """The last sign of life of another host, and since when it has been the last, by the clock of this one."""

    beat: int | None
    since: float


@dataclass(frozen=True)
class Child:
    """A replica that runs on this host. `ending`: it was told to end."""

    number: int
    attempt: int
    began: float
    ending: bool = False


@dataclass(frozen=True)
class State:
    """How a host stands. Times are of its own clock.

    Attributes:
      members, rules: what it keeps to.
      me: its id.
      room: replicas that it can take; None for all of them.
      stay: wait for a place if there is none.
      facts: what it has read.
      signs: the last signs of life of the other hosts.
      children: the replicas that run here.
      binding, bound: those that get ready, and the addresses of those that are, by generation.
      exits: how replicas ended here by themselves, by generation, in order.
      ended_at: when that last was.
      refusal: why a generation cannot go on, by its number.
      fenced: the last generation whose replicas this host ended because nobody may have heard of it.
      unwanted: why whoever runs this host does not want the gang; None if he does.
      ran: seconds that each replica has run here, without those that run.
      beats: signs of life that were tried.
      confirmed: when the exchange began that wrote the last one; None before the first.
      saying, said: the seconds in the one that is being written, and in the last that was.
      exchanging, looking: an exchange is under way, and reads the signs of life as well.
      tried: the names that the last exchange was to create.
      sighted: the last one has read what there is. Whoever cannot see gives no sign of life: others would wait for
        ever for him to end his replicas.
      barred: the last one was refused for good.
      unhindered: when the last one began in which nothing failed.
      answered: when the last exchange that could read began.
      news: when something new was read last.
      looked: when the last one began that has read the signs of life.
      next_exchange, next_beat, next_look: when it is time for it.
      halted: there is nothing left to do.
    """

    members: Members
    me: str
    room: int | None = None
    stay: bool = True
    rules: Rules = field(default_factory=Rules)
    facts: Facts = field(default_factory=Facts)
    signs: Mapping[str, Sign] = field(default_factory=dict)
    children: Mapping[Replica, Child] = field(default_factory=dict)
    binding: frozenset[tuple[int, Replica]] = frozenset()
    bound: Mapping[tuple[int, Replica], str] = field(default_factory=dict)
    exits: Mapping[tuple[int, Replica], tuple[Exit, ...]] = field(default_factory=dict)
    ended_at: Mapping[Replica, float] = field(default_factory=dict)
    refusal: tuple[int, Over] | None = None
    fenced: int = 0
    unwanted: str | None = None
    ran: Mapping[str, float] = field(default_factory=dict)
    beats: int = 0
    confirmed: float | None = None
    saying: Mapping[str, float] = field(default_factory=dict)
    said: Mapping[str, float] = field(default_factory=dict)
    exchanging: bool = False
    looking: bool = False
    tried: frozenset[str] = frozenset()
    sighted: bool = False
    barred: bool = False
    unhindered: float | None = None
    answered: float | None = None
    news: float = -inf
    looked: float | None = None
    next_exchange: float = -inf
    next_beat: float = -inf
    next_look: float = -inf
    halted: bool = False

    @property
    def mine(self) -> list[Replica]:
        """The replicas of the current generation that this host has taken."""
        return self.facts.current.held_by(self.me)

    def seconds(self, now: float) -> dict[str, float]:
        """Seconds that each replica has run on this host so far."""
        total = dict(self.ran)
        for replica, child in self.children.items():
            total[replica.name] = total.get(replica.name, 0.0) + now - child.began
        return total

    def may_live(self, now: float) -> bool:
        """Whether no other host can have counted this one as lost."""
        return self.confirmed is not None and now < self.confirmed + self.rules.lease
