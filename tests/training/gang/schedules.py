"""Random schedules of one gang: hosts that die, stall and come back, a rendezvous that fails, replicas that crash.

    PYTHONPATH=.:tests python -m training.gang.schedules [--steps 5000000] [--seed 1]

Nothing is real: the rendezvous is a dictionary, each host's clock runs at its own speed, a replica is the time of
its death. After each step the promises about a gang are checked, and at the end that it has come to an outcome. A
seed that fails says what happened before.
"""

from __future__ import annotations

import argparse
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from math import inf
from typing import Any

from batchpredict.training.cluster.replicas import Replica, Role
from batchpredict.training.gang import accounts, machine
from batchpredict.training.gang import events as e
from batchpredict.training.gang.facts import Facts, over_name
from batchpredict.training.gang.interface import Ending, Outcome
from batchpredict.training.gang.rules import Rules
from batchpredict.training.gang.state import State

RULES = Rules(patience=1000.0)

# Once all goes well: a stall, a lease, a deadline, a few generations, each with what it waits for.
LONGEST_END = 600.0

M, W, P, E = Role.MASTER, Role.WORKER, Role.PS, Role.EVALUATOR
SHAPES = ({M: 1}, {M: 1, E: 1}, {M: 1, W: 1}, {M: 1, W: 2}, {M: 1, W: 1, P: 1}, {M: 1, W: 2, P: 2, E: 1})


@dataclass(frozen=True)
class Cluster:
    replicas: tuple[Replica, ...]

    @classmethod
    def of(cls, shape: dict[Role, int]) -> Cluster:
        return cls(tuple(Replica(role, index) for role, count in shape.items() for index in range(count)))

    @property
    def has_servers(self) -> bool:
        return any(one.role is P for one in self.replicas)


@dataclass
class Process:
    """A replica's process: it dies by itself, or when it is ended, or by its guard."""

    start: e.Start
    began: float  # by its host's clock
    exit_at: float
    status: int
    port_taken: bool
    guard_at: float
    guard_takes: float
    end_at: float = inf

    @property
    def dead_at(self) -> float:
        return min(self.exit_at, self.end_at, self.guard_at + self.guard_takes)

    @property
    def how(self) -> int:
        """Its exit status once it is dead."""
        return self.status if self.exit_at <= min(self.end_at, self.guard_at + self.guard_takes) else -15


@dataclass
class Talk:
    """An exchange under way. Its documents are read in two parts: what comes meanwhile may be seen, or not."""

    order: e.Exchange
    asked: float
    writes: list[tuple[str, Any]]
    beaten: bool = False
    failed: bool = False
    split: str = ""
    found: dict[str, Any] | None = None
    phase: int = 0


@dataclass
class Host:
    name: str
    state: State
    rate: float
    offset: float
    processes: list[Process] = field(default_factory=list)
    talk: Talk | None = None
    binds: list[e.Bind] = field(default_factory=list)
    stalled_until: float = 0.0
    hung_until: float = 0.0
    cut_until: float = 0.0
    cut: str = ""
    knows_of_cancel: bool = False
    spent: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    halted: bool = False
    died: bool = False
    gave_up: bool = False
    outcome: Outcome | None = None

    @property
    def over(self) -> bool:
        return self.halted or self.died


class World:
    """One gang under one random schedule.

    Attributes:
      calm: nothing bad happens any more.
      guarded: processes do not outlive their leases, whatever their host does; where they are not, no host stalls.
    """

    def __init__(self, seed: int, logs: bool = False) -> None:
        self.random = random.Random(seed)
        self.now = 0.0
        self.steps = 0
        self.logs = logs
        self.log: list[str] = []
        self.calm = False
        self.guarded = self.random.random() < 0.7
        self.badness = self.random.choice((0.0, 0.5, 1.0, 2.0))
        self.crashes = self.random.choice((0.0, 0.2, 0.5, 0.9))
        self.documents: dict[str, dict[str, Any]] = {}
        self.cluster = Cluster.of(self.random.choice(SHAPES))
        self.hosts: list[Host] = []
        self.started: set[tuple[int, Replica, int]] = set()
        self.highest = 0
        self.finished: set[int] = set()
        few = (len(self.cluster.replicas) + 1) // 2
        for _ in range(self.random.randint(1, 4)):
            self.arrive(self.random.choice((None, 0, 1, few, few)), stay=self.random.random() < 0.7)

    # Hosts ----------------------------------------------------------------------------------------------------

    def arrive(self, room: int | None, *, stay: bool = True) -> Host:
        name = f"h{len(self.hosts)}"
        state = State(self.cluster, name, room, stay, RULES)
        host = Host(name, state, self.random.uniform(0.95, 1.05), self.random.uniform(-1e4, 1e4))
        self.hosts.append(host)
        return host

    def clock(self, host: Host) -> float:
        return host.offset + self.now * host.rate

    def put(self, host: Host, event: e.Event) -> None:
        self.steps += 1
        if self.logs and not isinstance(event, e.Tick):
            self.say(host, event)
        host.state, todo = machine.step(host.state, event, self.clock(host))
        for one in todo:
            if self.logs:
                self.say(host, one)
            self.do(host, one)

    def say(self, host: Host, what: object) -> None:
        if isinstance(what, e.Exchanged):
            what = f"Exchanged(asked={what.asked:.1f}, beaten={what.beaten}, read={what.documents is not None})"
        self.log.append(f"{self.now:8.2f} {host.name} {self.clock(host):8.2f} {what}")

    def do(self, host: Host, one: e.Instruction) -> None:
        assert not host.halted, "nothing is done after the end"
        if isinstance(one, e.Exchange):
            assert host.talk is None, "one exchange at a time"
            writes = [*one.creates]
            self.random.shuffle(writes)
            for name, document in writes:
                told = host.knows_of_cancel and name.endswith(".over")
                assert not told or document["outcome"] == "cancelled", "who knows of a cancel says nothing else"
            host.talk = Talk(one, self.clock(host), writes)
        elif isinstance(one, e.Bind):
            host.binds.append(one)
        elif isinstance(one, e.Start):
            self.start(host, one)
        elif isinstance(one, e.Keep):
            for process in host.processes:
                if self.guarded and process.guard_at > self.now:
                    process.guard_at = self.now + one.seconds / host.rate
        elif isinstance(one, e.End):
            (process,) = (process for process in host.processes if process.start.replica == one.replica)
            takes = self.random.uniform(0, one.grace) / host.rate
            process.end_at = min(process.end_at, self.now + takes)
        else:
            assert not host.processes, "nothing runs on a host that has done all"
            host.halted = True
            if isinstance(one, e.Halt):
                host.outcome = one.outcome
                self.check_seconds(host, exact=True)
            else:
                assert host.state.unwanted is not None, "nothing is silent for long enough to give up here"
                host.gave_up = True

    def start(self, host: Host, one: e.Start) -> None:
        assert not host.knows_of_cancel, "who knows of a cancel starts nothing"
        claim = self.documents[f"gang.{one.number}.claim.{one.replica.name}"]
        assert claim["host"] == host.name, "who starts a replica has claimed it"
        assert set(one.addresses) == set(self.cluster.replicas), "a replica starts when all are there"
        for replica, address in one.addresses.items():
            assert self.documents[f"gang.{one.number}.address.{replica.name}"]["address"] == address
        for other in self.living():
            assert other.start.number >= one.number, "nothing of an older generation runs beside a newer one"
            same = (other.start.number, other.start.replica) == (one.number, one.replica)
            assert not same, "a replica runs once in a generation"
        assert one.number >= self.highest, "an older generation starts nothing"
        self.highest = one.number
        key = (one.number, one.replica, one.attempt)
        assert key not in self.started, "an attempt is made once"
        self.started.add(key)
        exit_at, status, port = self.fate(one.replica)
        guard_at = self.now + one.seconds / host.rate if self.guarded else inf
        guard_takes = self.random.uniform(0, RULES.end_grace) / host.rate
        process = Process(one, self.clock(host), exit_at, status, port, guard_at, guard_takes)
        host.processes.append(process)

    def fate(self, replica: Replica) -> tuple[float, int, bool]:
        """When a process ends by itself, its status, and whether its port was taken."""
        roll = self.random
        if self.calm:
            ends = replica.role in (M, W)
            return (self.now + roll.uniform(1, 5) if ends else inf), 0, False
        at = self.now + roll.expovariate(1 / roll.choice((2, 20, 60)))
        if roll.random() < self.crashes:
            status = roll.choice((1, 1, 2, 137, -9, -11, 139))
            return at, status, roll.random() < 0.1
        if roll.random() < 0.5:
            return inf, 0, False
        return at, 0, False

    def living(self) -> Iterator[Process]:
        for host in self.hosts:
            for process in host.processes:
                if process.dead_at > self.now:
                    yield process

    # What can happen, one thing at a time -----------------------------------------------------------------

    def random_step(self) -> None:
        roll = self.random
        here = [host for host in self.hosts if not host.over and host.stalled_until <= self.now]
        # Bursts, in which those that are fast overtake those that are slow to end, and pauses between.
        seconds = roll.expovariate(1.0) * (0.3 if self.calm or roll.random() < 0.25 else 0.02) / max(1, len(here))
        self.now += seconds
        if not self.calm and roll.random() < 0.2 * self.badness * seconds:
            self.mischief(here)
        if here:
            host = roll.choice(here)
            if not host.over and host.stalled_until <= self.now:
                self.progress(host)

    def mischief(self, here: list[Host]) -> None:
        roll = self.random
        kind = roll.random()
        if kind > 0.8 or not here:
            self.arrive(roll.choice((None, None, 0, 1, 2)), stay=roll.random() < 0.7)
            return
        host = roll.choice(here)
        until = self.now + roll.choice((3, 14, 17, 25, 40, 90)) * roll.uniform(0.7, 1.2)
        if kind < 0.1:
            self.die(host)
        elif kind < 0.3 and self.guarded:
            host.stalled_until = until
        elif kind < 0.4:
            # A store that goes down lets calls wait, and then fail.
            host.hung_until = self.now + roll.choice((8, 11, 14, 40)) * roll.uniform(0.7, 1.1)
            host.cut_until, host.cut = roll.choice((0.0, until + 14)), "all"
        elif kind < 0.7:
            host.cut_until, host.cut = until, roll.choice(("reads", "writes", "answers", "all"))
        elif kind < 0.77:
            for one in self.hosts:
                one.cut_until, one.cut = until, "all"
        else:
            self.put(host, e.Unwanted("Somebody cancelled it."))

    def die(self, host: Host) -> None:
        """kill -9: its replicas die with it."""
        for process in host.processes:
            # Since the last sign of life they count as having run.
            host.spent[process.start.replica.name] += self.clock(host) - process.began
        host.died, host.processes, host.talk = True, [], None
        self.check_seconds(host, exact=False)

    def progress(self, host: Host) -> None:
        roll = self.random
        for process in list(host.processes):
            dead_at = process.dead_at
            if dead_at <= self.now and (self.calm or roll.random() < 0.7):
                self.exited(host, process)
                return
        if host.talk is not None and host.hung_until <= self.now and roll.random() < 0.8:
            self.converse(host, host.talk)
        elif host.binds and roll.random() < 0.5:
            bind = host.binds.pop(roll.randrange(len(host.binds)))
            if not self.calm and roll.random() < 0.02:
                self.put(host, e.Refused(bind.number, bind.replica, "No port.", passes=True))
            elif not self.calm and roll.random() < 0.002:
                self.put(host, e.Refused(bind.number, bind.replica, "The package trainer does not install."))
            else:
                address = f"{host.name}:{roll.randrange(10**6)}"
                self.put(host, e.Bound(bind.number, bind.replica, address))
        else:
            self.put(host, e.Tick())

    def exited(self, host: Host, process: Process) -> None:
        host.processes.remove(process)
        host.spent[process.start.replica.name] += self.clock(host) - process.began
        if process.how == 0 and process.start.replica.role is M:
            self.finished.add(process.start.number)
        self.put(host, e.Exited(process.start.replica, process.how, (), process.port_taken and process.how > 0))

    def converse(self, host: Host, talk: Talk) -> None:
        if talk.phase == 0:
            if talk.order.beat is not None:
                name, sign = talk.order.beat
                done, talk.beaten = self.call(host, "writes")
                talk.failed = not talk.beaten
                if done:
                    self.documents[name] = dict(sign)
            talk.phase = 1
        elif talk.phase == 1 and talk.writes:
            name, document = talk.writes.pop()
            done, heard = self.call(host, "writes")
            talk.failed |= not heard
            if done and name not in self.documents:
                self.documents[name] = document
        elif talk.phase == 1:
            done, heard = self.call(host, "reads")
            talk.split = self.random.choice([*self.documents, ""])
            talk.found = self.read(talk, lambda name: name < talk.split) if done and heard else None
            talk.phase = 2
        else:
            if talk.found is not None:
                talk.found.update(self.read(talk, lambda name: name >= talk.split))
                host.knows_of_cancel |= "gang.cancel" in talk.found
            host.talk = None
            self.put(host, e.Exchanged(talk.asked, talk.found, talk.beaten, talk.failed))

    def read(self, talk: Talk, takes: Callable[[str], bool]) -> dict[str, Any]:
        return {
            name: document
            for name, document in self.documents.items()
            if takes(name) and (talk.order.hosts or name.startswith("gang."))
        }

    def call(self, host: Host, kind: str) -> tuple[bool, bool]:
        """Whether a call has an effect, and whether its answer is heard."""
        if self.now < host.cut_until and host.cut in (kind, "all"):
            return False, False
        if self.now < host.cut_until and host.cut == "answers":
            return True, False
        if self.calm:
            return True, True
        if self.random.random() < 0.02 * self.badness:
            return self.random.random() < 0.5, False
        return True, True

    # What must be so --------------------------------------------------------------------------------------

    def check_seconds(self, host: Host, *, exact: bool) -> None:
        said = self.documents.get(f"host.{host.name}", {}).get("seconds", {})
        for name in {*said, *host.spent}:
            if exact:
                assert abs(said.get(name, 0.0) - host.spent[name]) < 1e-6, "seconds are counted once"
            else:
                assert said.get(name, 0.0) <= host.spent[name] + 1e-6, "seconds are counted at most once"

    def finish(self) -> None:
        """From here on all goes well, but for one host that may be cut off for good: there must be an outcome."""
        self.calm = True
        for host in self.hosts:
            host.cut_until = 0.0
        if self.random.random() < 0.3:
            cut_off = self.random.choice(self.hosts)
            cut_off.cut_until, cut_off.cut = inf, self.random.choice(("reads", "writes", "all"))
        # Once a replica has been taken there is a deadline for the others. Before, nobody knows when workers come.
        begun = any(".claim." in name for name in self.documents)
        self.arrive(self.random.choice((None, 0)) if begun else None)
        deadline = self.now + LONGEST_END
        for host in self.hosts:
            host.stalled_until = min(host.stalled_until, self.now + 20)
            host.hung_until = min(host.hung_until, self.now + 20)
            for process in host.processes:
                process.exit_at = min(process.exit_at, self.now + 60)
        while any(host.processes or (not host.over and host.cut_until == 0) for host in self.hosts):
            assert self.now < deadline, "a gang comes to an outcome in time"
            self.random_step()
        facts = Facts().learn(self.documents, 0.0)
        outcome = facts.outcome()
        assert outcome is not None, "a gang comes to an outcome"
        assert not list(self.living()), "nothing is left"
        for host in self.hosts:
            assert host.outcome in (None, outcome), "all say the same of the outcome"
            silent = host.died or host.gave_up or not host.state.stay or host.cut_until > 0
            assert silent or host.outcome is not None, "who stays hears the outcome"
        assert facts.restarts <= RULES.generations, "a gang is begun again 3 times at most"
        assert len(facts.before) - facts.restarts <= RULES.ports, "ports are tried some times only"
        assert over_name(facts.number + 1) not in self.documents, "nothing follows the outcome"
        if outcome.ending is Ending.SUCCEEDED:
            assert facts.number in self.finished, "a gang succeeds by its master"
        told = accounts.total_seconds(self.documents)
        for name, seconds in told.items():
            spent = sum(host.spent[name] for host in self.hosts)
            assert seconds <= spent + 1e-6, "seconds are counted at most once"


def replay(seed: int, logs: bool = False) -> World:
    """One gang from its first claim to its outcome. Raises AssertionError with what happened."""
    world = World(seed, logs)
    trouble = world.random.uniform(10, 250)
    try:
        while world.now < trouble and not all(host.over for host in world.hosts):
            world.random_step()
        world.finish()
    except AssertionError as error:
        if not logs:
            replay(seed, logs=True)
        raise AssertionError(f"seed {seed}: {error}\n" + "\n".join(world.log[-150:])) from error
    return world


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1, help="of the first gang; the others follow")
    options = parser.parse_args()
    steps, seed = 0, options.seed
    seen: Counter[str] = Counter()
    while steps < options.steps:
        world = replay(seed)
        steps += world.steps
        seed += 1
        seen[str(Facts().learn(world.documents, 0.0).outcome())[:90]] += 1
    print(f"{steps} steps of {seed - options.seed} gangs")
    for outcome, count in seen.most_common(12):
        print(count, outcome)


if __name__ == "__main__":
    main()
