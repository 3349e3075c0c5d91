"""Watchers that die at any operation of their store, and others that do something between any two of them."""

from __future__ import annotations

import random

import pytest
from epochs.watching import PACE, World
from hypothesis import given, settings
from hypothesis import strategies as st

from batchpredict import storage
from batchpredict.epochs.watch import Watch
from batchpredict.errors import BudgetSpent, RunnerFailed

# Who dies lets go of nothing.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

# More than a step of a watch has.
_OPERATIONS = 60


class Died(BaseException):
    """A watcher is no more."""


class Races:
    """A world with some watchers, driven by chance.

    Args:
      world: the world.
      chance: of what is done.
    """

    def __init__(self, world: World, chance: random.Random) -> None:
        self._world = world
        self._chance = chance
        self._watches: list[Watch | None] = [None, None, None]
        self.deaths = self.between = 0

    def play(self, rounds: int) -> None:
        for _ in range(rounds):
            self._chance.choice([self._write, self._delete, self._step, self._step, self._step, self._trouble])()
            self._world.clock.pass_by(self._chance.choice([0.0, 11.0, 31.0]))
        self._world.trouble.clear()

    def _write(self) -> None:
        for _ in range(self._chance.randint(1, 3)):
            self._world.write(self._chance.choice("abcdefgh"), b"1\n" * self._chance.randint(1, 3))

    def _delete(self) -> None:
        self._world.delete(self._chance.choice("abcdefgh"))

    def _trouble(self) -> None:
        self._world.trouble.clear()
        epoch = self._chance.randint(0, 4)
        error = self._chance.choice([BudgetSpent, RunnerFailed])
        self._world.trouble[epoch] = error("not now")

    def _step(self) -> None:
        """A step of a watcher, which dies within it, or is overtaken by another one or by a change of a file."""
        number = self._chance.randrange(3)
        left = self._chance.randint(1, _OPERATIONS)
        event = self._chance.choice(["", "die", "other", "write", "delete"])

        def hook(operation: str, url: str) -> None:
            nonlocal left
            del operation, url
            left -= 1
            if left or not event:
                return
            self._world.store.before = self._world.store.after = _nothing
            self.between += 1
            if event == "die":
                self.deaths += 1
                raise Died
            if event == "other":
                self._run((number + 1) % 3)
            elif event == "write":
                self._write()
            else:
                self._delete()

        which = self._chance.choice(["before", "after"])
        setattr(self._world.store, which, hook)
        try:
            self._run(number)
        except Died:
            self._watches[number] = None
        finally:
            self._world.store.before = self._world.store.after = _nothing

    def _run(self, number: int) -> None:
        watch = self._watches[number]
        if watch is None:
            retry = self._chance.random() < 0.3
            most = self._chance.choice([None, 2])
            watch = self._watches[number] = self._world.watch(retry=retry, max_files=most)
        watch.step()


def _nothing(operation: str, url: str) -> None:
    pass


def played(seed: int) -> Races:
    double = storage.Double()
    with double.mounted():
        world = World(double)
        try:
            races = Races(world, random.Random(seed))
            races.play(80)
            world.clock.pass_by(1000)
            # Whatever was given up is taken up, and then nothing is left.
            for _ in range(3):
                world.once(retry=True, pace=PACE)
            scored = world.scored()
            assert len(scored) == len(set(scored))
            assert set(world.inputs().items()) <= set(scored)
            check_leftovers(world)
        finally:
            world.close()
    return races


def check_leftovers(world: World) -> None:
    """Nothing that the state names is missing, and no list of a done epoch is kept beside the run that has it."""
    state = world.watch().state
    assert state.last == 0
    watch = world.watch()
    watch.step()
    state = watch.state
    assert {one.name for one in state.claimed.values()} <= set(storage.list_names(world.folder.lists))
    assert {run.name for run in state.runs} <= set(storage.list_names(world.folder.runs))
    assert state.open == state.aside == ()


@settings(max_examples=20)
@given(st.integers(0, 2**32))
def test_every_file_is_scored_once_whoever_dies_or_overtakes(seed):
    played(seed)


@pytest.mark.long
def test_the_same_three_hundred_times():
    deaths = sum(played(seed).deaths for seed in range(300))
    assert deaths > 300


@pytest.mark.kills
@pytest.mark.timeout(900)
def test_the_same_five_thousand_times():
    deaths = sum(played(seed).deaths for seed in range(5000))
    assert deaths > 5000
