"""What follows from the ends of replicas and hosts. Pure, and of facts that every host sees: all judge alike.

| a replica has ended by itself               | what follows                                               |
|---------------------------------------------|------------------------------------------------------------|
| master, status 0                            | the gang has succeeded                                     |
| any other, status 0                         | nothing                                                    |
| its port was taken                          | the gang is begun again, with new ports; not counted       |
| evaluator                                   | started again at its place, 5 times; then nothing          |
| within 5 s of the very first start          | the gang has failed: it is the program                     |
| lone master, status 1 to 127                | the gang has failed: a traceback comes again               |
| lone master, killed by signal 9 once more   | the gang has failed: the machine has not enough memory     |
| lone master, other; any but the master      | started again at its place, 5 times; then the gang is      |
|   beside parameter servers                  |   begun again                                              |
| any other                                   | the gang is begun again                                    |

A gang is begun again 3 times; then it has failed. Lone: no other replica but evaluators.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence

from batchpredict.training.cluster.replicas import Replica, Role
from batchpredict.training.gang.facts import Facts, Over, exit_name
from batchpredict.training.gang.interface import Ending, Exit, Members
from batchpredict.training.gang.rules import Rules

MASTER = Replica(Role.MASTER, 0)

# As a shell and a container say of a process that died by signal 9.
# SIGKILL and SIGTERM may come from outside at any moment, and then say nothing of the program.
_FROM_OUTSIDE = frozenset((-9, -15, 137, 143))
_KILLED = (-9, 137)
_BY_SIGNAL = 128


class Verdict(enum.Enum):
    """What follows from the end of a replica."""

    NOTHING = "it has done its part, or is not needed"
    SUCCEED = "the master has finished"
    AGAIN = "it is started again at its place"
    RESTART = "the gang is begun again"
    PORT = "the gang is begun again with other ports"
    FAIL = "the gang has failed"


def verdict(members: Members, number: int, exits: Sequence[Exit], rules: Rules) -> Verdict:
    """What follows from the last of a replica's ends in a generation.

    Args:
      members: the cluster.
      number: of the generation.
      exits: of one replica, in order; at least one.
      rules: limits.
    """
    last = exits[-1]
    role = last.replica.role
    if last.status == 0:
        return Verdict.SUCCEED if role is Role.MASTER else Verdict.NOTHING
    if last.port_taken and role is not Role.EVALUATOR:
        return Verdict.PORT
    first = number == 1 and last.attempt == 1 and last.status not in _FROM_OUTSIDE
    early = first and last.seconds < rules.early
    if role is Role.EVALUATOR:
        return Verdict.NOTHING if early or last.attempt > rules.in_place else Verdict.AGAIN
    if early:
        return Verdict.FAIL
    lone = all(one.role in (Role.MASTER, Role.EVALUATOR) for one in members.replicas)
    if lone:
        by_signal = last.status < 0 or last.status >= _BY_SIGNAL
        killed = last.status in _KILLED and sum(one.status in _KILLED for one in exits) > 1
        if not by_signal or killed:
            return Verdict.FAIL
    if lone or (members.has_servers and role is not Role.MASTER):
        return Verdict.AGAIN if last.attempt <= rules.in_place else Verdict.RESTART
    return Verdict.RESTART


def over_by_exits(facts: Facts, members: Members, rules: Rules, now: float) -> Over | None:
    """How the current generation ended, going by the ends of its replicas; None if it has not, or not yet.

    What was seen first is taken for the cause of what was seen later.
    """
    found = list(_verdicts(facts, members, rules))
    if any(verdict is Verdict.SUCCEED for _, verdict, _ in found):
        return Over(Ending.SUCCEEDED)
    for noticed, judged, exit in sorted(found, key=lambda one: one[0]):
        if judged in (Verdict.NOTHING, Verdict.AGAIN):
            continue
        reason = f"{exit.replica.words} {how(exit)}"
        if judged is Verdict.FAIL:
            return Over(Ending.FAILED, f"{_capital(reason)}.", failed=exit)
        if judged is Verdict.PORT:
            return restarted(
                facts, rules, f"the port of {exit.replica.words} was taken", failed=exit, counted=False
            )
        if exit.replica == MASTER or now - noticed >= rules.linger:
            return restarted(facts, rules, reason, failed=exit)
    return None


def restarted(
    facts: Facts, rules: Rules, reason: str, *, lost: str = "", failed: Exit | None = None, counted: bool = True
) -> Over:
    """The current generation is over and the next begins, unless there were enough."""
    ports = len(facts.before) - facts.restarts
    done, most = (facts.restarts, rules.generations) if counted else (ports, rules.ports)
    if done < most:
        return Over(None, f"{_capital(reason.rstrip('.'))}.", counted, lost, failed)
    return Over(
        Ending.FAILED,
        f"{_capital(reason.rstrip('.'))}; the gang had been started again {done} times before.",
        lost=lost,
        failed=failed,
    )


def how(exit: Exit) -> str:
    """How a replica ended, as the end of a sentence."""
    if exit.status < 0:
        return f"was ended by signal {-exit.status}"
    return f"exited with a status of {exit.status}"


def _verdicts(facts: Facts, members: Members, rules: Rules) -> Iterator[tuple[float, Verdict, Exit]]:
    for exits in facts.current.exits.values():
        name = exit_name(facts.number, exits[-1])
        yield facts.noticed[name], verdict(members, facts.number, exits, rules), exits[-1]


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]
