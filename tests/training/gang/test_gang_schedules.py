"""What a gang promises, under random schedules. More of them: GANG_STEPS=5000000."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import os
import types
from collections import Counter
from collections.abc import Iterator

import pytest
from training.gang import schedules

from batchpredict.training.gang import events as e
from batchpredict.training.gang import machine

STEPS = int(os.environ.get("GANG_STEPS", "120000"))


@pytest.mark.timeout(120 + STEPS / 500)
def test_every_promise_holds():
    steps, seed = 0, 0
    while steps < STEPS:
        steps += schedules.replay(seed).steps
        seed += 1


@pytest.mark.long
def test_the_schedules_come_through_everything(monkeypatch):
    # Or the test above would say little.
    seen: Counter[str] = Counter()
    honest = machine.step

    def counted(state, event, now):
        after, todo = honest(state, event, now)
        for one in (event, *todo):
            seen[type(one).__name__] += 1
            if isinstance(one, e.Start):
                seen[f"attempt {one.attempt}"] += 1
                seen[f"generation {one.number}"] += 1
            if isinstance(one, e.Halt) and one.outcome is not None:
                seen[one.outcome.ending.value] += 1
        if after.fenced > state.fenced:
            seen["fenced"] += 1
        if after.facts.number > state.facts.number:
            over = after.facts.before[-1].over
            assert over is not None
            seen["lost" if over.lost else "port" if not over.counted else "crash"] += 1
        return after, todo

    monkeypatch.setattr(machine, "step", counted)
    for seed in range(100):
        schedules.replay(seed)

    assert seen.keys() >= {
        *(one.__name__ for one in (e.Refused, e.Unwanted, e.Bind, e.Keep, e.End, e.Halt, e.GiveUp)),
        *("attempt 1", "attempt 2", "attempt 3", "generation 2", "generation 3", "generation 4"),
        *("succeeded", "failed", "cancelled", "fenced", "lost", "port", "crash"),
    }


# What is wrong, in which file, the text there and what stands there instead, and what finds it.
FAULTS = {
    "a generation does not wait for those before it": (
        "exchange",
        ">= state.rules.quiet",
        ">= 0",
        "an? older generation",
    ),
    "a lost host is not given time to end its replicas": (
        "exchange",
        ">= state.rules.quiet",
        ">= state.rules.lease",
        "an? older generation",
    ),
    "a host says that nothing runs there while it does": (
        "exchange",
        "if not here and state.me",
        "if state.me",
        "an? older generation",
    ),
    "own replicas of a generation before are forgotten": (
        "exchange",
        "if any(child.number < state.facts.number for",
        "if any(False for",
        "an? older generation",
    ),
    "a host that nobody may have heard of goes on": (
        "state",
        "now < self.confirmed + self.rules.lease",
        "True",
        "an? older generation|comes to an outcome",
    ),
    "replicas are let live for a lease from the answer": (
        "machine",
        "e.Keep(event.asked + state.rules.lease - now)",
        "e.Keep(2 * state.rules.lease)",
        "an? older generation",
    ),
    "who does not see gives signs of life": (
        "machine",
        "sighted=event.documents is not None",
        "sighted=True",
        "comes to an outcome",
    ),
    "a sign of life need not have been written": (
        "machine",
        "if event.beaten:",
        "if True:",
        "an? older generation|seconds are counted",
    ),
    "replicas go on when their generation is over": (
        "machine",
        "or state.children[replica].number < facts.number",
        "or False",
        "comes to an outcome",
    ),
    "a replica starts before all are there": (
        "machine",
        "len(current.addresses) < len(state.members.replicas)",
        "False",
        "when all are there",
    ),
    "a host takes all that is free for its own": (
        "state",
        "return self.facts.current.held_by(self.me)",
        "return list(self.facts.current.claims)",
        "has claimed it",
    ),
    "an end is forgotten": (
        "machine",
        "(*state.exits.get(at, ()), exit)",
        "()",
        "an attempt is made once|comes to an outcome",
    ),
    "there is no deadline": ("exchange", "waited >= rules.deadline", "False", "comes to an outcome"),
    "a host that is silent is never lost": (
        "exchange",
        "_silence(state, host) >= rules.lease",
        "False",
        "comes to an outcome",
    ),
    "there is no end to generations": ("verdicts", "if done < most", "if True", "3 times at most|ports are tried"),
    "any replica that finishes makes the gang succeed": (
        "verdicts",
        "Verdict.SUCCEED if role is Role.MASTER else Verdict.NOTHING",
        "Verdict.SUCCEED",
        "succeeds by its master",
    ),
    "seconds of what was ended are not counted": (
        "machine",
        "    state = _without(state, event.replica, now)\n    if child.ending:",
        "    if child.ending:\n        return replace(state, children={}), []\n"
        "    state = _without(state, event.replica, now)\n    if child.ending:",
        "seconds are counted once|nothing runs on a host",
    ),
    "seconds are counted twice": (
        "machine",
        "state.ran.get(replica.name, 0.0) + now - child.began",
        "state.ran.get(replica.name, 0.0) * 2 + now - child.began",
        "seconds are counted",
    ),
    "the last word is not waited for": ("exchange", "and state.said == state.ran", "", "seconds are counted once"),
    "a host ends while replicas run": (
        "machine",
        "if state.children or state.exchanging:",
        "if state.exchanging:",
        "nothing runs on a host",
    ),
    "a cancel is not heard": (
        "facts",
        "if name == CANCEL:",
        "if False:",
        "knows of a cancel|comes to an outcome",
    ),
}


# The first seed that finds what is found rarely, so that nobody waits for it; the others follow.
SEEDS = {
    "a generation does not wait for those before it": 79,
    "a lost host is not given time to end its replicas": 91,
    "a host says that nothing runs there while it does": 32,
    "own replicas of a generation before are forgotten": 229,
    "a host that nobody may have heard of goes on": 78,
    "replicas are let live for a lease from the answer": 87,
    "who does not see gives signs of life": 589,
    "a sign of life need not have been written": 48,
    "replicas go on when their generation is over": 137,
    "there is no deadline": 20,
    "there is no end to generations": 11,
    "seconds of what was ended are not counted": 3,
    "seconds are counted twice": 9,
    "the last word is not waited for": 139,
    "a host ends while replicas run": 139,
    "a cancel is not heard": 9,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_machine_with_a_fault_does_not_pass(fault):
    name, text, instead, found = FAULTS[fault]
    module = importlib.import_module(f"batchpredict.training.gang.{name}")
    with changed(module, text, instead), pytest.raises(AssertionError, match=rf"^seed \d+: .*({found})"):
        replay_many(SEEDS.get(fault, 0), 2000)


def replay_many(first: int, gangs: int) -> None:
    for seed in range(first, first + gangs):
        schedules.replay(seed)


@contextlib.contextmanager
def changed(module: types.ModuleType, text: str, instead: str) -> Iterator[None]:
    """While this lasts, the functions of a module are those of a source in which a text is another."""
    source = inspect.getsource(module)
    assert source.count(text) == 1, f"{text!r} stands {source.count(text)} times in {module.__name__}"
    other = types.ModuleType(module.__name__)
    code = compile(source.replace(text, instead), module.__file__ or "", "exec", dont_inherit=True)
    # A dataclass looks itself up by the name of its module.
    exec(code, other.__dict__)
    before = []
    for function, replacement in paired(module, other):
        before.append((function, function.__code__))
        function.__code__ = replacement.__code__
    try:
        yield
    finally:
        for function, was in before:
            function.__code__ = was


def paired(one: object, other: object) -> Iterator[tuple[types.FunctionType, types.FunctionType]]:
    """The functions of two modules or classes that have the same names, with those of their classes."""
    module = one.__name__ if isinstance(one, types.ModuleType) else one.__module__
    for name, value in vars(one).items():
        match = vars(other).get(name)
        if getattr(value, "__module__", None) != module and not isinstance(value, property):
            continue
        if isinstance(value, property):
            value, match = value.fget, match.fget if isinstance(match, property) else None
        if isinstance(value, types.FunctionType) and isinstance(match, types.FunctionType):
            if value.__code__.co_freevars == match.__code__.co_freevars:
                yield value, match
        elif isinstance(value, type) and isinstance(match, type) and not name.startswith("__"):
            yield from paired(value, match)
