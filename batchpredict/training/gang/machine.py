"""What a host of a gang does about what happens: a machine without a clock, a rendezvous or a process.

`step` takes how a host stands, one event and the time, and gives how it stands then and what is to be done. The
shell (`gang`) does it and comes back with what happened. A generation goes this way on every host:

    claim ─> Bind ─> address ─> all addresses are there, nothing of an earlier generation is left ─> Start
                                                                                                       │
      the next generation <─ all gone or quiet <─ over: restart <─ a host lost, a replica's end ───────┤
      Halt <─ End <─ over: succeeded, failed, cancelled <──────────────────────────────────────────────┘

What the machine sees to:

* A replica has one host in a generation: it is claimed by create-if-absent, and only who reads his own claim starts
  it.
* A generation ends by one document, which any host may create that sees why. Whoever reads it ends his replicas.
* Nothing is started in a generation while anything of an earlier one may run: each host that had a part in it has
  said that nothing is left there, or was not heard of for so long that it has ended everything by itself.
* For that, a host gives a sign of life only while it can read what the others say, and lets no replica live for
  longer than `lease` after it began to give the last one that came through (`Keep`, `End`).
* What a replica's seconds come to on this host is said once more after the last of them has ended, before `Halt`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from batchpredict.training.cluster.replicas import Replica, Role
from batchpredict.training.gang import events as e
from batchpredict.training.gang import facts as f
from batchpredict.training.gang.events import Event, Instruction
from batchpredict.training.gang.exchange import is_quiet, is_settled, next_exchange, with_signs
from batchpredict.training.gang.facts import Over
from batchpredict.training.gang.interface import Ending, Exit
from batchpredict.training.gang.state import Child, State
from batchpredict.training.gang.verdicts import Verdict, restarted, verdict

Step = tuple[State, list[Instruction]]

# Seconds after the last news in which more is soon to be expected, as long as nothing runs here.
_LIVELY = 5.0


def step(state: State, event: Event, now: float) -> Step:
    """How a host stands after an event, and what is to be done, in order."""
    if state.halted:
        return state, []
    if state.answered is None:
        state = replace(state, answered=now, unhindered=now)
    state, todo = _HANDLERS[type(event)](state, event, now)
    for due in (_ends, _binds, _starts):
        state, more = due(state, now)
        todo += more
    state, exchange = next_exchange(state, now)
    if exchange is not None:
        return state, [*todo, exchange]
    state, more = _halts(state, now)
    return state, todo + more


def _tick(state: State, event: e.Tick, now: float) -> Step:
    del event, now
    return state, []


def _exchanged(state: State, event: e.Exchanged, now: float) -> Step:
    state = replace(state, exchanging=False, sighted=event.documents is not None)
    todo: list[Instruction] = []
    if event.beaten:
        state = replace(state, confirmed=event.asked, said=state.saying)
        if state.children:
            todo.append(e.Keep(event.asked + state.rules.lease - now))
    if event.documents is None:
        return replace(state, looking=False, barred=event.barred, next_exchange=now + state.rules.poll), todo
    looked = event.asked if state.looking else state.looked
    facts = state.facts.learn(event.documents, now)
    news = state.news if facts is state.facts else now
    looks = state.looking
    state = replace(state, facts=facts, answered=event.asked, looked=looked, looking=False, news=news)
    state = replace(state, barred=event.barred, unhindered=state.unhindered if event.failed else event.asked)
    if looks:
        state = with_signs(state, event.documents, now)
    forming = not state.children and now - news < _LIVELY
    pace = state.rules.forming_poll if forming else state.rules.poll
    return replace(state, next_exchange=now + pace), todo


def _bound(state: State, event: e.Bound, now: float) -> Step:
    del now
    return replace(state, bound={**state.bound, (event.number, event.replica): event.address}), []


def _refused(state: State, event: e.Refused, now: float) -> Step:
    state = _without(state, event.replica, now)
    if event.passes:
        reason = f"{event.replica.words} could not get ready: {event.reason}"
        over = restarted(state.facts, state.rules, reason, counted=False)
    else:
        over = Over(Ending.FAILED, event.reason)
    return replace(state, refusal=(event.number, over)), []


def _exited(state: State, event: e.Exited, now: float) -> Step:
    child = state.children.get(event.replica)
    if child is None:
        return state, []
    state = _without(state, event.replica, now)
    if child.ending:
        return state, []
    at = (child.number, event.replica)
    exit = Exit(event.replica, child.attempt, event.status, now - child.began, event.tail, event.port_taken)
    exits = {**state.exits, at: (*state.exits.get(at, ()), exit)}
    return replace(state, exits=exits, ended_at={**state.ended_at, event.replica: now}), []


def _unwanted(state: State, event: e.Unwanted, now: float) -> Step:
    del now
    return replace(state, unwanted=state.unwanted or event.reason), []


_HANDLERS: dict[type, Callable[..., Step]] = {
    e.Tick: _tick,
    e.Exchanged: _exchanged,
    e.Bound: _bound,
    e.Refused: _refused,
    e.Exited: _exited,
    e.Unwanted: _unwanted,
}


def _ends(state: State, now: float) -> Step:
    """The replicas that must not live any longer."""
    living = [replica for replica, child in state.children.items() if not child.ending]
    if not living:
        return state, []
    fenced = not state.may_live(now)
    if fenced:
        state = replace(state, fenced=max(child.number for child in state.children.values()))
    ending = [one for one in living if fenced or _must_end(state, one, now)]
    if not ending:
        return state, []
    children = {one: replace(child, ending=child.ending or one in ending) for one, child in state.children.items()}
    return replace(state, children=children), [e.End(one, state.rules.end_grace) for one in ending]


def _must_end(state: State, replica: Replica, now: float) -> bool:
    facts = state.facts
    if state.unwanted is not None or facts.cancel is not None or state.children[replica].number < facts.number:
        return True
    over = facts.final
    if over is None:
        return state.refusal is not None and state.refusal[0] == facts.number
    if over.ending is not Ending.SUCCEEDED or replica.role is Role.PS:
        # A parameter server never ends by itself.
        return True
    served = replica.role is Role.WORKER and state.members.has_servers
    grace = state.rules.served_grace if served else state.rules.worker_grace
    return now >= facts.noticed[f.over_name(facts.number)] + grace


def _goes_on(state: State) -> bool:
    """Whether replicas of the current generation may be started here, as far as is known."""
    number = state.facts.number
    return (
        state.facts.final is None
        and state.facts.cancel is None
        and state.unwanted is None
        and state.fenced < number
        and (state.refusal is None or state.refusal[0] < number)
    )


def _binds(state: State, now: float) -> Step:
    del now
    number = state.facts.number
    new = [one for one in state.mine if (number, one) not in state.binding] if _goes_on(state) else []
    # What is left of it here has its port.
    new = [one for one in new if one not in state.children]
    if not new:
        return state, []
    binding = state.binding | {(number, one) for one in new}
    return replace(state, binding=binding), [e.Bind(number, one) for one in new]


def _starts(state: State, now: float) -> Step:
    current, number = state.facts.current, state.facts.number
    if not _goes_on(state) or len(current.addresses) < len(state.members.replicas):
        return state, []
    ready = [one for one in state.mine if one not in state.children and _may_start(state, one, now)]
    # Not at the end of a lease, only to be ended at once.
    if not ready or not state.may_live(now + state.rules.lease / 3) or not is_settled(state):
        return state, []
    assert state.confirmed is not None
    seconds = state.confirmed + state.rules.lease - now
    todo: list[Instruction] = []
    children = dict(state.children)
    for one in ready:
        attempt = len(state.exits.get((number, one), ())) + 1
        children[one] = Child(number, attempt, now)
        todo.append(e.Start(number, one, attempt, current.addresses, seconds))
    return replace(state, children=children), todo


def _may_start(state: State, replica: Replica, now: float) -> bool:
    exits = state.exits.get((state.facts.number, replica))
    if not exits:
        return True
    if verdict(state.members, state.facts.number, exits, state.rules) is not Verdict.AGAIN:
        return False
    return now >= state.ended_at[replica] + state.rules.restart_pause * len(exits)


def _halts(state: State, now: float) -> Step:
    if state.children or state.exchanging:
        return state, []
    patience = state.rules.patience if state.unwanted is None else state.rules.lease
    assert state.unhindered is not None
    if state.barred or now - state.unhindered >= patience:
        return replace(state, halted=True), [e.GiveUp()]
    outcome = state.facts.outcome()
    if outcome is None and not _is_superfluous(state):
        return state, []
    if not is_quiet(state, now):
        return state, []
    return replace(state, halted=True), [e.Halt(outcome)]


def _is_superfluous(state: State) -> bool:
    return (
        not state.stay
        and state.sighted
        and not state.mine
        and len(state.facts.current.claims) == len(state.members.replicas)
    )


def _without(state: State, replica: Replica, now: float) -> State:
    """Without a child, its seconds counted."""
    child = state.children.get(replica)
    if child is None:
        return state
    ran = {**state.ran, replica.name: state.ran.get(replica.name, 0.0) + now - child.began}
    return replace(state, children={one: kept for one, kept in state.children.items() if one != replica}, ran=ran)
