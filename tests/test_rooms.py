"""Which room knows which: what every import between rooms takes, and whether what a room offers is taken."""

from __future__ import annotations

import ast
import functools
import os
from collections.abc import Iterator
from importlib import import_module

import pytest
import support

PACKAGE = "batchpredict"
ROOMS = sorted(
    entry.name
    for entry in os.scandir(os.path.join(support.ROOT, PACKAGE))
    if os.path.isfile(os.path.join(entry.path, "__init__.py"))
)

# What nobody in the tree takes, and why it is offered all the same.
OFFERED = {
    "beam.SavedModelHandler": "a step for pipelines of users",
    "storage.Double": "a store for tests of whatever uses one",
    "storage.Store": "the contract, for stores of others",
    "storage.mounted": "puts a store of others, or a double, under its scheme",
    "storage.version": "an operation of the contract; its tests call it",
    "runners.Driver": "the contract of what a kind of work implements",
    "runners.Execution": "the contract of what a runner implements",
    "runners.Unobserved": "an observer for whoever wants to hear only a part",
}
# The Job resource of the specification is offered whole, whichever messages of it are read here.
WHOLE = frozenset(("job",))


def files() -> Iterator[tuple[str, str]]:
    """(room, path) of every file of the tree; "" for those that are in no room."""
    for top in (PACKAGE, "pipelines"):
        for folder, _, names in os.walk(os.path.join(support.ROOT, top)):
            path = os.path.relpath(folder, support.ROOT).split(os.sep)
            room = path[1] if top == PACKAGE and len(path) > 1 else ""
            for name in sorted(names):
                if name.endswith(".py"):
                    yield room, os.path.join(folder, name)


def offered(room: str) -> list[str]:
    found: list[str] = import_module(f"{PACKAGE}.{room}").__all__
    return found


@functools.cache
def taken() -> frozenset[tuple[str, str, str, str]]:
    """(room that takes, room that gives, name, where) of everything that a file takes from another room.

    The name is "" where a module of the room is taken and not a name of the room itself.
    """
    found = set()
    for room, path in files():
        with open(path, encoding="utf-8") as file:
            tree = ast.parse(file.read())
        # Rooms that are imported whole, by the names that they have here.
        whole: dict[str, str] = {}
        for node in ast.walk(tree):
            where = f"{os.path.relpath(path, support.ROOT)}:{getattr(node, 'lineno', 0)}"
            for module, name, alias in imported(node):
                first, _, rest = module.removeprefix(f"{PACKAGE}.").partition(".")
                if module == PACKAGE and name in ROOMS:
                    whole[alias] = name
                elif module.startswith(f"{PACKAGE}.") and first in ROOMS:
                    found.add((room, first, "" if rest else name, where))
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in whole:
                where = f"{os.path.relpath(path, support.ROOT)}:{node.lineno}"
                found.add((room, whole[node.value.id], node.attr, where))
    return frozenset(one for one in found if one[0] != one[1])


def imported(node: ast.AST) -> Iterator[tuple[str, str, str]]:
    """(module, name, name here) of everything that a statement imports; no name where it is the module itself."""
    if isinstance(node, ast.Import):
        for one in node.names:
            yield one.name, "", one.asname or one.name
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, "imports are absolute"
        for one in node.names:
            yield str(node.module), one.name, one.asname or one.name


def test_there_are_rooms_and_they_take_from_each_other():
    assert {"job", "storage", "ledger", "prediction", "cli"} <= set(ROOMS)
    assert any(giver == "storage" and name == "join" for _, giver, name, _ in taken())


@pytest.mark.parametrize("room", ROOMS)
def test_others_take_only_what_a_room_offers_and_from_the_room_itself(room):
    wrong = [
        f"{where} takes {name or 'a module within it'}"
        for _, giver, name, where in sorted(taken())
        if giver == room and name not in offered(room)
    ]
    assert wrong == []


@pytest.mark.parametrize("room", ROOMS)
def test_what_a_room_offers_is_there_and_named_in_order(room):
    module = import_module(f"{PACKAGE}.{room}")
    names = offered(room)
    assert sorted(set(names)) == sorted(names)
    for name in names:
        # Twice: what is imported on demand must not be hidden by a module of its name afterwards.
        first = getattr(module, name)
        assert getattr(module, name) is first
        assert type(first).__name__ != "module", f"{room}.{name} is a module"


@pytest.mark.parametrize("room", sorted(set(ROOMS) - WHOLE))
def test_what_a_room_offers_somebody_takes(room):
    names = {name for _, giver, name, _ in taken() if giver == room}
    unused = [f"{room}.{name}" for name in offered(room) if name not in names]
    assert [name for name in unused if name not in OFFERED] == []


def test_what_is_offered_without_being_taken_is_so():
    used = {f"{giver}.{name}" for _, giver, name, _ in taken()}
    assert used.isdisjoint(OFFERED)
    for name in OFFERED:
        room, _, inner = name.partition(".")
        assert inner in offered(room)
