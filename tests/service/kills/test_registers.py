"""The check of etags: it takes linearizable histories, and refuses one that breaks any of its properties."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from service.kills.registers import NotLinearizable, Operation, Outcome, Read, Write, check_register

FIRST = Read("a", 0, 1, "e0", "v0")


def wrote(began: float, ended: float, used: str, version: str, *, client: str = "a") -> Write:
    return Write(client, began, ended, used, f"v{version}", Outcome.OK, f"e{version}")


def refused(began: float, ended: float, used: str) -> Write:
    return Write("a", began, ended, used, f"refused {began}", Outcome.REFUSED)


def unheard(began: float, ended: float, used: str, version: str) -> Write:
    return Write("a", began, ended, used, f"v{version}", Outcome.UNKNOWN)


def saw(began: float, ended: float, version: str) -> Read:
    return Read("b", began, ended, f"e{version}", f"v{version}")


GOOD: dict[str, list[Operation]] = {
    "nothing": [],
    "one read": [FIRST],
    "writes one after the other": [FIRST, wrote(2, 3, "e0", "1"), wrote(4, 5, "e1", "2"), saw(6, 7, "2")],
    "the loser of two is refused": [FIRST, wrote(2, 5, "e0", "1"), refused(3, 4, "e0")],
    "a read beside a write sees either": [FIRST, wrote(2, 9, "e0", "1"), saw(3, 4, "0"), saw(5, 6, "1")],
    "an unknown write took effect": [FIRST, unheard(2, 3, "e0", "1"), saw(4, 5, "1")],
    "an unknown write took effect late": [FIRST, unheard(2, 3, "e0", "1"), saw(4, 5, "0"), saw(6, 7, "1")],
    "an unknown write did not": [FIRST, unheard(2, 3, "e0", "1"), wrote(4, 5, "e0", "2"), saw(6, 7, "2")],
    "an unknown write was followed": [FIRST, unheard(2, 3, "e0", "1"), saw(4, 5, "1"), wrote(6, 7, "e1", "2")],
    "an unknown write is why another was refused": [
        FIRST,
        unheard(2, 3, "e0", "1"),
        refused(4, 5, "e0"),
        saw(6, 7, "1"),
    ],
    "in any order": [saw(6, 7, "2"), wrote(4, 5, "e1", "2"), wrote(2, 3, "e0", "1"), FIRST],
}

BAD: dict[str, tuple[str, list[Operation]]] = {
    "an etag stays although the value changes": (
        "two values",
        [FIRST, Read("b", 2, 3, "e0", "other")],
    ),
    "an etag changes although the value stays": (
        "two etags",
        [FIRST, Read("b", 2, 3, "e9", "v0")],
    ),
    "a value that nobody wrote": (
        "out of nothing",
        [FIRST, saw(2, 3, "1")],
    ),
    "a refused write is seen": (
        "a refused write took effect",
        [FIRST, refused(2, 3, "e0"), Read("b", 4, 5, "e1", "refused 2")],
    ),
    "two acknowledged writes consumed one etag": (
        "two writes consumed one etag",
        [FIRST, wrote(2, 5, "e0", "1"), wrote(3, 6, "e0", "2", client="b")],
    ),
    "an acknowledged and an unknown write consumed one etag": (
        "two writes consumed one etag",
        [FIRST, unheard(2, 3, "e0", "1"), saw(4, 5, "1"), wrote(6, 7, "e0", "2")],
    ),
    "an etag out of nothing was good enough": (
        "never was",
        [FIRST, wrote(2, 3, "e7", "1")],
    ),
    "writes in a circle": (
        "only each other",
        [FIRST, wrote(2, 9, "e2", "1"), wrote(3, 8, "e1", "2")],
    ),
    "an acknowledged write is lost at the end": (
        "took effect",
        [FIRST, wrote(2, 3, "e0", "1"), saw(4, 5, "0")],
    ),
    "an acknowledged write is lost in the middle": (
        "took effect",
        [FIRST, wrote(2, 3, "e0", "1"), saw(4, 5, "0"), saw(6, 7, "1")],
    ),
    "a read goes back": (
        "took effect",
        [FIRST, unheard(2, 3, "e0", "1"), saw(4, 5, "1"), saw(6, 7, "0")],
    ),
    "a read sees what is not yet written": (
        "took effect",
        [FIRST, saw(2, 3, "1"), wrote(4, 5, "e0", "1")],
    ),
    "a write came before the one that it follows": (
        "took effect",
        [FIRST, wrote(2, 3, "e1", "2"), wrote(4, 5, "e0", "1")],
    ),
    "a write is refused that nothing had overtaken": (
        "although its etag was the current one",
        [FIRST, refused(2, 3, "e0")],
    ),
    "a write is refused before it was overtaken": (
        "took effect",
        [FIRST, refused(2, 3, "e0"), wrote(4, 5, "e0", "1")],
    ),
}


@pytest.mark.parametrize("name", GOOD)
def test_what_clients_may_see_is_taken(name):
    check_register(GOOD[name])


@pytest.mark.parametrize("name", BAD)
def test_what_clients_must_not_see_is_refused(name):
    reason, operations = BAD[name]
    with pytest.raises(NotLinearizable, match=reason):
        check_register(operations)


def test_the_writes_that_took_effect_are_given_in_their_order():
    first, lost, second = wrote(2, 3, "e0", "1"), unheard(4, 5, "e1", "x"), unheard(6, 7, "e1", "2")
    assert check_register([FIRST, lost, second, first, saw(8, 9, "2")]) == [first, second]


# The definition, word for word and slow: some order of the operations that respects their times explains them all.


def is_linearizable(operations: list[Operation]) -> bool:
    etags = {each.value: each.etag for each in operations if each.etag}

    def search(left: list[Operation], etag: str, value: str) -> bool:
        must = [each for each in left if not _may_be_left_out(each)]
        if not must:
            return True
        bound = min(each.ended for each in must)
        for each in left:
            if each.began > bound:
                continue
            rest = [other for other in left if other is not each]
            if isinstance(each, Read):
                fits, after = (each.etag, each.value) == (etag, value), (etag, value)
            elif each.outcome is Outcome.REFUSED:
                fits, after = each.used != etag, (etag, value)
            else:
                fits, after = each.used == etag, (etags.get(each.value, f"of {each.value}"), each.value)
            if fits and search(rest, *after):
                return True
        return False

    return search(operations, "e0", "v0")


def _may_be_left_out(each: Operation) -> bool:
    return isinstance(each, Write) and each.outcome is Outcome.UNKNOWN


def a_history(chance: random.Random, faults: int) -> list[Operation]:
    """What clients see of a register that forgets, repeats and errs so many times."""
    times = iter(range(2, 1000))
    etag, value, shown = "e0", "v0", [("e0", "v0")]
    known = {client: ["e0"] for client in "abc"}
    done: list[Operation] = [Read(client, -2, -1, "e0", "v0") for client in "abc"]
    running: dict[str, tuple[float, str, bool | None, str, str]] = {}
    for step in range(chance.randrange(4, 12)):
        client = chance.choice("abc")
        if client not in running:
            used = chance.choice(["", known[client][-1], chance.choice(known[client])])
            running[client] = next(times), used, None, "", ""
        began, used, decided, seen_etag, seen_value = running[client]
        if decided is None:
            if faults and chance.random() < 0.3:
                faults -= 1
                etag, value = chance.choice(shown) if chance.random() < 0.5 else (used or etag, value)
            if used and used == etag:
                etag, value = f"e{step + 1}", f"v{step + 1}"
                shown.append((etag, value))
                running[client] = began, used, True, etag, value
            else:
                running[client] = began, used, False, etag, value
            continue
        del running[client]
        ended = next(times)
        if not used:
            done.append(Read(client, began, ended, seen_etag, seen_value))
        elif chance.random() < 0.3:
            done.append(Write(client, began, ended, used, seen_value if decided else f"w{step}", Outcome.UNKNOWN))
            continue
        elif decided:
            done.append(Write(client, began, ended, used, seen_value, Outcome.OK, seen_etag))
        else:
            done.append(Write(client, began, ended, used, f"w{step}", Outcome.REFUSED))
            continue
        known[client].append(seen_etag)
    done += [
        Write(client, began, 1000, used, told if decided else f"w{client}", Outcome.UNKNOWN)
        for client, (began, used, decided, _, told) in running.items()
        if used
    ]
    return [*done, Read("final", 1001, 1002, etag, value)]


@given(seed=st.integers(0, 2**32))
def test_every_history_of_a_register_that_works_is_taken(seed):
    check_register(a_history(random.Random(seed), faults=0))


def test_faulty_histories_are_judged_as_by_the_definition():
    verdicts = []
    for seed in range(3000):
        operations = a_history(random.Random(seed), faults=2)
        try:
            check_register(operations)
            verdicts.append(True)
        except NotLinearizable:
            verdicts.append(False)
        assert verdicts[-1] == is_linearizable(operations), operations
    # Both are common, or the comparison says little.
    assert 300 < sum(verdicts) < 2700
