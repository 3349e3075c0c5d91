"""What a host has to say to the others, and whether it is time to.

All documents but the sign of life are created if absent, and asked for again until they are seen: whether a call
came through is told by reading, not by its answer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from batchpredict.training.cluster.replicas import Replica, Role
from batchpredict.training.gang import facts as f
from batchpredict.training.gang.events import Exchange
from batchpredict.training.gang.facts import Over
from batchpredict.training.gang.interface import Ending
from batchpredict.training.gang.rendezvous import Document
from batchpredict.training.gang.state import Sign, State
from batchpredict.training.gang.verdicts import over_by_exits, restarted


def next_exchange(state: State, now: float) -> tuple[State, Exchange | None]:
    """The exchange that is due now, if one is."""
    if state.exchanging:
        return state, None
    # Who does not see knows too little to write.
    creates = tuple(_creates(state, now)) if state.sighted else ()
    beat = state.sighted and _beat_is_due(state, writes=bool(creates), now=now)
    names = frozenset(name for name, _ in creates)
    if not (beat or names - state.tried or now >= state.next_exchange):
        return state, None
    looks = now >= state.next_look and bool(others(state))
    state = replace(state, exchanging=True, tried=names)
    if looks:
        state = replace(state, looking=True, next_look=now + state.rules.lease / 5)
    if not beat:
        return state, Exchange(None, creates, looks)
    state = replace(state, beats=state.beats + 1, saying=state.seconds(now), next_beat=now + state.rules.beat)
    return state, Exchange((f.host_name(state.me), _beat(state)), creates, looks)


def is_quiet(state: State, now: float) -> bool:
    """Whether nothing is left to be said."""
    return state.sighted and not state.exchanging and state.said == state.ran and not list(_creates(state, now))


def others(state: State) -> set[str]:
    """The hosts whose signs of life matter to this one."""
    found = set(state.facts.current.claims.values())
    for generation in state.facts.before:
        found |= set(generation.claims.values()) - generation.gone
    return found - {state.me}


def with_signs(state: State, documents: Mapping[str, Document], now: float) -> State:
    """With the signs of life that were read."""
    signs = {}
    for host in others(state):
        beat = documents.get(f.host_name(host), {}).get("beat")
        known = state.signs.get(host)
        signs[host] = known if known is not None and known.beat == beat else Sign(beat, now)
    return replace(state, signs=signs)


def is_settled(state: State) -> bool:
    """Whether nothing of an earlier generation can still run anywhere."""
    if any(child.number < state.facts.number for child in state.children.values()):
        return False
    return all(
        host == state.me or _silence(state, host) >= state.rules.quiet
        for generation in state.facts.before
        for host in set(generation.claims.values()) - generation.gone
    )


def _silence(state: State, host: str) -> float:
    """Seconds without a sign of life, when the signs of life were read last."""
    sign = state.signs.get(host)
    if sign is None or state.looked is None:
        return 0.0
    return state.looked - sign.since


def _beat_is_due(state: State, *, writes: bool, now: float) -> bool:
    if not state.children and state.ran != state.said and state.ran != state.saying:
        # The last word, for which somebody waits.
        return True
    holds = bool(state.mine) and state.facts.final is None
    concerned = bool(state.children) or holds or writes or state.ran != state.said
    return concerned and now >= state.next_beat


def _beat(state: State) -> dict[str, Any]:
    return {
        "beat": state.beats,
        "seconds": dict(state.saying),
        "replicas": {
            replica.name: {"generation": child.number, "attempt": child.attempt}
            for replica, child in state.children.items()
        },
    }


def _creates(state: State, now: float) -> Iterator[tuple[str, Document]]:
    facts, number = state.facts, state.facts.number
    for at, exits in state.exits.items():
        for one in exits:
            if at[0] == number and f.exit_name(number, one) not in facts.noticed:
                yield f.exit_name(number, one), f.exit_document(one, state.me)
    for earlier, generation in enumerate(facts.before, 1):
        here = any(child.number == earlier for child in state.children.values())
        if not here and state.me not in generation.gone and state.me in generation.claims.values():
            yield f.gone_name(earlier, state.me), {"host": state.me}
    if facts.final is not None:
        return
    if state.unwanted is not None and facts.cancel is None:
        yield f.CANCEL, {"host": state.me, "reason": state.unwanted}
    over = _over(state, now)
    if over is not None:
        yield f.over_name(number), f.over_document(over, state.me)
        return
    for replica in state.mine:
        address = state.bound.get((number, replica))
        if address is not None and replica not in facts.current.addresses:
            yield f.address_name(number, replica), {"host": state.me, "address": address}
    if state.unwanted is None:
        for replica in _claims(state):
            yield f.claim_name(number, replica), {"host": state.me}


def _claims(state: State) -> list[Replica]:
    """The replicas to take: each host begins elsewhere, so that many do not all try for the same."""
    current = state.facts.current
    free = [one for one in state.members.replicas if one not in current.claims]
    room = len(free) if state.room is None else state.room - len(state.mine)
    if room <= 0 or not free:
        return []
    return sorted(free, key=lambda one: hashlib.sha256(f"{state.me} {one.name}".encode()).digest())[:room]


def _over(state: State, now: float) -> Over | None:
    """How the current generation ends, as this host sees it; None if it goes on."""
    facts, rules = state.facts, state.rules
    if facts.cancel is not None:
        return Over(Ending.CANCELLED, facts.cancel)
    over = over_by_exits(facts, state.members, rules, now)
    if over is not None:
        return over
    if state.refusal is not None and state.refusal[0] == facts.number:
        return state.refusal[1]
    if state.fenced == facts.number:
        return restarted(facts, rules, f"the host {state.me} had no contact to the others", lost=state.me)
    for host in sorted(set(facts.current.claims.values()) - {state.me}):
        if _silence(state, host) >= rules.lease and _is_needed(state, host):
            return restarted(facts, rules, f"the host {host} was not heard of any more", lost=host)
    return _late(state)


def _is_needed(state: State, host: str) -> bool:
    """Whether the gang cannot go on without a host. Once it runs, it can without evaluators and what has ended."""
    current = state.facts.current
    if len(current.addresses) < len(state.members.replicas):
        return True
    return any(
        replica.role is not Role.EVALUATOR
        and not (replica in current.exits and current.exits[replica][-1].status == 0)
        for replica in current.held_by(host)
    )


def _late(state: State) -> Over | None:
    """The end of a generation that does not come together."""
    facts, rules = state.facts, state.rules
    needed, claims, addresses = state.members.replicas, facts.current.claims, facts.current.addresses
    begun = [facts.noticed[f.claim_name(facts.number, replica)] for replica in claims]
    if facts.number > 1:
        begun.append(facts.noticed[f.over_name(facts.number - 1)])
    if not begun or state.answered is None or len(addresses) == len(needed):
        return None
    waited = state.answered - min(begun)
    if len(claims) < len(needed) and waited >= rules.deadline:
        missing = ", ".join(one.words for one in needed if one not in claims)
        return Over(
            Ending.FAILED,
            f"The job needs {len(needed)} replicas, got {len(claims)}: within {rules.deadline:g} seconds no "
            f"worker was free for {missing}.",
        )
    if waited >= rules.prepare:
        missing = ", ".join(one.words for one in needed if one not in addresses)
        return Over(Ending.FAILED, f"{missing} did not get ready within {rules.prepare:g} seconds.")
    return None
